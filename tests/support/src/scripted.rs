//! A store that fails on request and records its calls. It wraps a real store.

use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scrapest_webhook::store::{
    Claim, DeliveryStore, Fence, Key, MemoryStore, Owner, Settled, StoreError,
};
use tokio::time::{Instant, sleep};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Claim,
    Renew,
    Complete,
    Release,
}

/// A call to the store.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub verb: Verb,
    /// The number of earlier calls with this verb.
    pub nth: usize,
    pub key: Key,
    pub owner: Owner,
    pub at: Instant,
}

/// The fault to inject into a call.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    None,
    /// An error at once, without doing the operation.
    Error,
    /// No answer, without doing the operation.
    Hang,
    /// The operation is done, but the answer is an error.
    DoneThenError,
    /// The operation is done, but no answer ever comes.
    DoneThenHang,
    /// A panic at once, without doing the operation.
    Panic,
    /// A delay before the operation is done.
    Slow(Duration),
}

#[derive(Clone)]
pub struct ScriptedStore {
    inner: MemoryStore,
    script: Arc<dyn Fn(&Call) -> Fault + Send + Sync>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl ScriptedStore {
    pub fn new(script: impl Fn(&Call) -> Fault + Send + Sync + 'static) -> Self {
        Self { inner: MemoryStore::new(), script: Arc::new(script), calls: Arc::default() }
    }

    /// Only records the calls.
    pub fn recording() -> Self {
        Self::new(|_| Fault::None)
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub fn calls_of(&self, verb: Verb) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.verb == verb).collect()
    }

    /// The keys of all calls, without repetitions, in the order of their first call.
    pub fn keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        for call in self.calls() {
            if !keys.contains(&call.key) {
                keys.push(call.key);
            }
        }
        keys
    }

    /// The wrapped store, without the script and without recording.
    pub fn real(&self) -> &MemoryStore {
        &self.inner
    }

    async fn play<T, F>(
        &self,
        verb: Verb,
        key: &Key,
        owner: Owner,
        real: F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let call = {
            let mut calls = self.calls.lock().unwrap();
            let nth = calls.iter().filter(|call| call.verb == verb).count();
            let call = Call { verb, nth, key: *key, owner, at: Instant::now() };
            calls.push(call);
            call
        };
        match (self.script)(&call) {
            Fault::None => real.await,
            Fault::Error => Err(StoreError::new("as scripted")),
            Fault::Hang => pending().await,
            Fault::Panic => panic!("as scripted"),
            Fault::DoneThenError => {
                real.await?;
                Err(StoreError::new("as scripted, its answer was lost"))
            }
            Fault::DoneThenHang => {
                real.await?;
                pending().await
            }
            Fault::Slow(time) => {
                sleep(time).await;
                real.await
            }
        }
    }
}

impl DeliveryStore for ScriptedStore {
    async fn claim(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claim, StoreError> {
        self.play(Verb::Claim, key, owner, self.inner.claim(key, owner, lease, keep)).await
    }

    async fn renew(&self, key: &Key, owner: Owner, lease: Duration) -> Result<Settled, StoreError> {
        self.play(Verb::Renew, key, owner, self.inner.renew(key, owner, lease)).await
    }

    async fn complete(
        &self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        self.play(Verb::Complete, key, owner, self.inner.complete(key, owner, fence, keep)).await
    }

    async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
        self.play(Verb::Release, key, owner, self.inner.release(key, owner)).await
    }
}

impl fmt::Debug for ScriptedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedStore").finish_non_exhaustive()
    }
}
