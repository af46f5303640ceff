//! Stores that wrap a store: one that dies between its steps, and one that is broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use scrapest_webhook::store::{
    AnyStore, Claim, DeliveryStore, Fence, Key, Owner, Settled, StoreError,
};

use super::Defect;
use super::points::{Point, Points};

/// Passes a point before and after each verb. Made for one delivery: the first claim and completion belong to
/// its first key, the second ones to the other.
#[derive(Debug)]
pub(super) struct Watched {
    store: AnyStore,
    points: Arc<Points>,
    claims: AtomicU32,
    completions: AtomicU32,
}

impl Watched {
    pub(super) fn new(store: AnyStore, points: Arc<Points>) -> Self {
        Self { store, points, claims: AtomicU32::new(0), completions: AtomicU32::new(0) }
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
        self.points.pass(Point::BeforeClaim);
        let claim = self.store.claim(key, owner, lease, keep).await?;
        match self.claims.fetch_add(1, Ordering::SeqCst) {
            0 => self.points.pass(Point::BetweenClaims),
            _ => self.points.pass(Point::AfterClaim),
        }
        Ok(claim)
    }

    async fn renew(&self, key: &Key, owner: Owner, lease: Duration) -> Result<Settled, StoreError> {
        self.store.renew(key, owner, lease).await
    }

    async fn complete(
        &self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        self.points.pass(Point::BeforeComplete);
        let settled = self.store.complete(key, owner, fence, keep).await?;
        match self.completions.fetch_add(1, Ordering::SeqCst) {
            0 => self.points.pass(Point::BetweenCompletes),
            _ => self.points.pass(Point::AfterComplete),
        }
        Ok(settled)
    }

    async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
        self.store.release(key, owner).await
    }
}

/// Breaks the contract of a store, as its defect says.
#[derive(Debug)]
pub(super) struct Defective {
    pub(super) store: AnyStore,
    pub(super) defect: Defect,
}

impl DeliveryStore for Defective {
    async fn claim(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claim, StoreError> {
        static FENCE: AtomicU64 = AtomicU64::new(1);
        Ok(match self.store.claim(key, owner, lease, keep).await? {
            Claim::InProgress { .. } if self.defect == Defect::NoLease => {
                let fence = Fence::new(FENCE.fetch_add(1, Ordering::SeqCst));
                Claim::Acquired { fence, attempt: 1 }
            }
            claim => claim,
        })
    }

    async fn renew(&self, key: &Key, owner: Owner, lease: Duration) -> Result<Settled, StoreError> {
        self.store.renew(key, owner, lease).await
    }

    async fn complete(
        &self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        match self.defect {
            Defect::Forget => self.store.release(key, owner).await,
            _ => self.store.complete(key, owner, fence, keep).await,
        }
    }

    async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
        self.store.release(key, owner).await
    }
}
