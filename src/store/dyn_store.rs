//! The object-safe counterpart of [`DeliveryStore`].

use std::any::TypeId;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;

use super::{Claims, DeliveryStore, Fence, Key, Owner, Settled, Settlement, StoreError};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

pub(super) trait DynStore: fmt::Debug + Send + Sync {
    fn dyn_claim_all<'a>(
        &'a self,
        keys: &'a mut [(Key, Fence)],
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Answer<'a, Claims>;
    fn dyn_renew_all<'a>(
        &'a self,
        keys: &'a [(Key, Fence)],
        owner: Owner,
        lease: Duration,
    ) -> Answer<'a, Settled>;
    fn dyn_settle_all<'a>(
        &'a self,
        keys: &'a [(Key, Fence)],
        owner: Owner,
        how: Settlement,
    ) -> Answer<'a, Settled>;
    fn dyn_ready(&self) -> Answer<'_, ()>;
    /// The server or the file, for the stores of this crate.
    fn dyn_name(&self) -> Option<String>;
}

impl<S: DeliveryStore> DynStore for S {
    fn dyn_claim_all<'a>(
        &'a self,
        keys: &'a mut [(Key, Fence)],
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Answer<'a, Claims> {
        answered(async move { DeliveryStore::claim_all(self, keys, owner, lease, keep).await })
    }

    fn dyn_renew_all<'a>(
        &'a self,
        keys: &'a [(Key, Fence)],
        owner: Owner,
        lease: Duration,
    ) -> Answer<'a, Settled> {
        answered(async move { DeliveryStore::renew_all(self, keys, owner, lease).await })
    }

    fn dyn_settle_all<'a>(
        &'a self,
        keys: &'a [(Key, Fence)],
        owner: Owner,
        how: Settlement,
    ) -> Answer<'a, Settled> {
        answered(async move { DeliveryStore::settle_all(self, keys, owner, how).await })
    }

    fn dyn_ready(&self) -> Answer<'_, ()> {
        answered(async move { DeliveryStore::ready(self).await })
    }

    fn dyn_name(&self) -> Option<String> {
        is_shipped(TypeId::of::<S>()).then(|| format!("{self:?}"))
    }
}

/// Whether `Debug` of this store type names its server or file. Other types may print anything.
fn is_shipped(store: TypeId) -> bool {
    let shipped: &[TypeId] = &[
        #[cfg(feature = "postgres")]
        TypeId::of::<super::PostgresStore>(),
        #[cfg(feature = "redis")]
        TypeId::of::<super::RedisStore>(),
        #[cfg(feature = "sqlite")]
        TypeId::of::<super::SqliteStore>(),
    ];
    shipped.contains(&store)
}

/// Boxes the future and turns a panic into an error, so that it does not reach the handler or the connection.
fn answered<'a, T>(
    answer: impl Future<Output = Result<T, StoreError>> + Send + 'a,
) -> Answer<'a, T> {
    Box::pin(AssertUnwindSafe(answer).catch_unwind().map(|answer| {
        answer.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
            Err(StoreError::new(format!("the store panicked: {text}")))
        })
    }))
}
