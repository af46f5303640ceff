//! The object-safe twin of [`DeliveryStore`].

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
}

/// Boxed; a panic is an answer too. The handler and the connection have nothing to do with it.
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
