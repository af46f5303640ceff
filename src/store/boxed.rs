//! The object-safe twin of [`DeliveryStore`], so that the layer has no type parameter for its store.

use std::any::{Any, TypeId};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::outage::Outage;
use super::{Claim, DeliveryStore, Fence, Key, MemoryStore, Owner, Settled, StoreError};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

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
    lasting: bool,
    outage: Arc<Outage>,
}

impl AnyStore {
    /// This store; one that is an `AnyStore` already is not wrapped again.
    pub fn new<S: DeliveryStore>(store: S) -> Self {
        match (&store as &dyn Any).downcast_ref::<Self>() {
            Some(any) => any.clone(),
            None => Self {
                // Memory is short of room, not of lifetime: the default of the retention depends on it.
                lasting: TypeId::of::<S>() != TypeId::of::<MemoryStore>(),
                store: Arc::new(store),
                outage: Arc::default(),
            },
        }
    }

    /// Whether it is meant to remember for longer than memory can afford.
    pub(crate) fn is_lasting(&self) -> bool {
        self.lasting
    }

    /// For a caller that did not wait for the answer any longer, which then is never noted here.
    pub(crate) fn gave_up(
        &self,
        limit: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        let error = StoreError::new(limit);
        self.outage.failed(self, &error);
        error
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
        let answer = self.store.claim(key, owner, lease, keep).await;
        self.outage.note(self, answer)
    }

    async fn renew(&self, key: &Key, owner: Owner, lease: Duration) -> Result<Settled, StoreError> {
        let answer = self.store.renew(key, owner, lease).await;
        self.outage.note(self, answer)
    }

    async fn complete(
        &self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        let answer = self.store.complete(key, owner, fence, keep).await;
        self.outage.note(self, answer)
    }

    async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
        let answer = self.store.release(key, owner).await;
        self.outage.note(self, answer)
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}
