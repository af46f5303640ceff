//! The object-safe twin of [`DeliveryStore`], so that the layer has no type parameter for its store.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::outage::Outage;
use super::together::{self, Together};
use super::{Claim, DeliveryStore, Fence, Key, MemoryStore, Owner, Settled, StoreError};
use crate::observe::{Asked, StoreMeters, Verb};

/// The longest time that a question about health waits.
const READY_LIMIT: Duration = Duration::from_secs(1);

pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

trait DynStore: fmt::Debug + Send + Sync {
    fn claim<'a>(
        &'a self,
        key: &'a Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> BoxFuture<'a, Claim>;
    fn renew<'a>(&'a self, key: &'a Key, owner: Owner, lease: Duration) -> BoxFuture<'a, Settled>;
    fn complete<'a>(
        &'a self,
        key: &'a Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> BoxFuture<'a, Settled>;
    fn release<'a>(&'a self, key: &'a Key, owner: Owner) -> BoxFuture<'a, Settled>;
}

impl<S: DeliveryStore> DynStore for S {
    fn claim<'a>(
        &'a self,
        key: &'a Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> BoxFuture<'a, Claim> {
        Box::pin(DeliveryStore::claim(self, key, owner, lease, keep))
    }

    fn renew<'a>(&'a self, key: &'a Key, owner: Owner, lease: Duration) -> BoxFuture<'a, Settled> {
        Box::pin(DeliveryStore::renew(self, key, owner, lease))
    }

    fn complete<'a>(
        &'a self,
        key: &'a Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> BoxFuture<'a, Settled> {
        Box::pin(DeliveryStore::complete(self, key, owner, fence, keep))
    }

    fn release<'a>(&'a self, key: &'a Key, owner: Owner) -> BoxFuture<'a, Settled> {
        Box::pin(DeliveryStore::release(self, key, owner))
    }
}

/// Any store, behind a pointer: what a layer keeps, and what [`store_from_url`](super::store_from_url)
/// gives. Clones are the same store. Itself a [`DeliveryStore`].
///
/// It says so once, as a warning, when the store begins to fail, and once when it answers again.
///
/// ```
/// use scrapest_webhook::store::{AnyStore, MemoryStore};
///
/// # fn configured() -> Option<MemoryStore> { None }
/// let store = match configured() {
///     Some(store) => AnyStore::new(store),
///     None => AnyStore::new(MemoryStore::new()),
/// };
/// let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes").with_store(store);
/// ```
#[derive(Clone)]
pub struct AnyStore {
    store: Arc<dyn DynStore>,
    /// The same store, where it takes several keys at once.
    pub(super) together: Option<Arc<dyn Together>>,
    /// The same store, where nothing has to be waited for.
    memory: Option<MemoryStore>,
    outage: Arc<Outage>,
    meters: Arc<StoreMeters>,
}

impl AnyStore {
    /// This store; one that is an `AnyStore` already is not wrapped again.
    pub fn new<S: DeliveryStore>(store: S) -> Self {
        match (&store as &dyn Any).downcast_ref::<Self>() {
            Some(any) => any.clone(),
            None => Self {
                memory: (&store as &dyn Any).downcast_ref().cloned(),
                together: together::of(&store),
                store: Arc::new(store),
                outage: Arc::default(),
                meters: Arc::default(),
            },
        }
    }

    /// Whether the store could take a delivery now, found out by writing a record that is kept for 1 ms. For a
    /// health endpoint; takes 1 s at most. Memory is always ready.
    ///
    /// # Errors
    ///
    /// Why it could not.
    pub async fn ready(&self) -> Result<(), StoreError> {
        if self.memory.is_some() {
            return Ok(());
        }
        let (probe, keep) = (Key::from_bytes([0; 32]), Duration::from_millis(1));
        let asked = DeliveryStore::complete(self, &probe, Owner::random(), Fence::new(0), keep);
        match tokio::time::timeout(READY_LIMIT, asked).await {
            Ok(answer) => answer.map(drop),
            Err(elapsed) => Err(self.gave_up(Verb::Complete, elapsed)),
        }
    }

    /// Whether it is meant to remember for longer than memory can afford, which is short of room and not of
    /// lifetime.
    pub(crate) fn is_lasting(&self) -> bool {
        self.memory.is_none()
    }

    /// Whether its answers are those of this process, without waiting.
    pub(crate) fn is_immediate(&self) -> bool {
        self.memory.is_some()
    }

    pub(crate) fn memory(&self) -> Option<&MemoryStore> {
        self.memory.as_ref()
    }

    /// For a caller that did not wait for the answer any longer, which then is never noted here.
    pub(crate) fn gave_up(
        &self,
        verb: Verb,
        limit: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        let error = StoreError::new(limit);
        self.outage.failed(self, &error);
        self.meters.gave_up(verb);
        error
    }

    /// The same where the failure is logged elsewhere: it is only counted.
    pub(crate) fn unanswered(&self, verb: Verb) {
        self.meters.gave_up(verb);
    }

    pub(super) fn asked(&self) -> Asked {
        self.meters.asked()
    }

    /// An answer of the store, taken note of.
    pub(super) async fn noted<T>(
        &self,
        verb: Verb,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let asked = self.asked();
        self.note(verb, asked, question.await)
    }

    pub(super) fn note<T>(
        &self,
        verb: Verb,
        asked: Asked,
        answer: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.meters.answered(verb, asked, answer.is_ok());
        self.outage.note(self, answer)
    }
}

impl DeliveryStore for AnyStore {
    async fn claim(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claim, StoreError> {
        self.noted(Verb::Claim, self.store.claim(key, owner, lease, keep)).await
    }

    async fn renew(&self, key: &Key, owner: Owner, lease: Duration) -> Result<Settled, StoreError> {
        self.noted(Verb::Renew, self.store.renew(key, owner, lease)).await
    }

    async fn complete(
        &self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        self.noted(Verb::Complete, self.store.complete(key, owner, fence, keep)).await
    }

    async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
        self.noted(Verb::Release, self.store.release(key, owner)).await
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}
