//! A store that records its calls, and that can be down or slow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scrapest_webhook::store::{Claim, Fence, Key, Owner, Settled, StoreError};
use scrapest_webhook::{DeliveryStore, MemoryStore};
use tokio::time::Instant;

#[derive(Clone, Debug, Default)]
pub struct Watched {
    memory: MemoryStore,
    asked: Arc<Mutex<Vec<(Instant, Asked)>>>,
    down: Arc<AtomicBool>,
    pause: Duration,
}

/// A call, without its key and its owner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Asked {
    Claim { lease: Duration, keep: Duration },
    Renew { lease: Duration },
    Complete { keep: Duration },
    Release,
}

impl Watched {
    /// A store that takes `pause` for each answer.
    pub fn slow(pause: Duration) -> Self {
        Self { pause, ..Self::default() }
    }

    /// Takes the store down, or brings it up again.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// The calls so far, and their times.
    pub fn asked(&self) -> Vec<(Instant, Asked)> {
        self.asked.lock().unwrap().clone()
    }

    async fn ask(&self, asked: Asked) -> Result<(), StoreError> {
        self.asked.lock().unwrap().push((Instant::now(), asked));
        tokio::time::sleep(self.pause).await;
        match self.down.load(Ordering::SeqCst) {
            true => Err(StoreError::new("it is down")),
            false => Ok(()),
        }
    }
}

impl DeliveryStore for Watched {
    async fn claim(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claim, StoreError> {
        self.ask(Asked::Claim { lease, keep }).await?;
        self.memory.claim(key, owner, lease, keep).await
    }

    async fn renew(&self, key: &Key, owner: Owner, lease: Duration) -> Result<Settled, StoreError> {
        self.ask(Asked::Renew { lease }).await?;
        self.memory.renew(key, owner, lease).await
    }

    async fn complete(
        &self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        self.ask(Asked::Complete { keep }).await?;
        self.memory.complete(key, owner, fence, keep).await
    }

    async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
        self.ask(Asked::Release).await?;
        self.memory.release(key, owner).await
    }
}
