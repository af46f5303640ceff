//! The object-safe twin of [`DeliveryStore`], so that the layer has no type parameter for its store.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{Claim, DeliveryStore, Fence, Key, Owner, Settled, StoreError};

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

/// Any store, shared by every clone of a layer. Itself a store.
#[derive(Clone)]
pub(crate) struct SharedStore(Arc<dyn DynStore>);

impl SharedStore {
    pub(crate) fn new(store: impl DeliveryStore) -> Self {
        Self(Arc::new(store))
    }

    pub(crate) async fn claim(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claim, StoreError> {
        self.0.claim(key, owner, lease, keep).await
    }

    pub(crate) async fn renew(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
    ) -> Result<Settled, StoreError> {
        self.0.renew(key, owner, lease).await
    }

    pub(crate) async fn complete(
        &self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        self.0.complete(key, owner, fence, keep).await
    }

    pub(crate) async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
        self.0.release(key, owner).await
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
