//! Implements the operations over several keys with those over one key, and the reverse.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use super::{Claim, Claims, DeliveryStore, Fence, Key, Owner, Settled, Settlement, StoreError};
use crate::timer::timeout_at;

/// The answer to a claim of one key that takes longer counts as lost.
pub(crate) const ONE_QUESTION: Duration = Duration::from_secs(2);

pub(super) async fn claim_all<S: DeliveryStore + ?Sized>(
    store: &S,
    keys: &mut [(Key, Fence)],
    owner: Owner,
    lease: Duration,
    keep: Duration,
) -> Result<Claims, StoreError> {
    let mut last = 0;
    for place in 0..keys.len() {
        let claim = pin!(store.claim(&keys[place].0, owner, lease, keep));
        let claim = timeout_at(|| Instant::now() + ONE_QUESTION, claim).await;
        let taken = match claim.map_err(StoreError::new)?? {
            Claim::Acquired { fence, attempt } => {
                (keys[place].1, last) = (fence, attempt);
                continue;
            }
            Claim::InProgress { retry_after } => Claims::InProgress { place, retry_after },
            Claim::Completed => Claims::Completed { place },
        };
        for (key, _) in keys[..place].iter().rev() {
            store.release(key, owner).await?;
        }
        return Ok(taken);
    }
    Ok(Claims::Acquired { attempt: last })
}

pub(super) async fn renew_all<S: DeliveryStore + ?Sized>(
    store: &S,
    keys: &[(Key, Fence)],
    owner: Owner,
    lease: Duration,
) -> Result<Settled, StoreError> {
    let mut all = Settled::Done;
    for (key, _) in keys {
        all = all.and(store.renew(key, owner, lease).await?);
    }
    Ok(all)
}

pub(super) async fn settle_all<S: DeliveryStore + ?Sized>(
    store: &S,
    keys: &[(Key, Fence)],
    owner: Owner,
    how: Settlement,
) -> Result<Settled, StoreError> {
    let mut all = Settled::Done;
    match how {
        Settlement::Complete { keep } => {
            for (key, fence) in keys {
                all = all.and(store.complete(key, owner, *fence, keep).await?);
            }
        }
        // In reverse, so that the keys that are claimed first are released last.
        Settlement::Release => {
            for (key, _) in keys.iter().rev() {
                all = all.and(store.release(key, owner).await?);
            }
        }
    }
    Ok(all)
}

/// Implements the four operations over one key for a store whose own operations take several keys.
macro_rules! one_key_verbs {
    () => {
        async fn claim(
            &self,
            key: &$crate::store::Key,
            owner: $crate::store::Owner,
            lease: std::time::Duration,
            keep: std::time::Duration,
        ) -> Result<$crate::store::Claim, $crate::store::StoreError> {
            use $crate::store::{Claim, Claims, Fence};
            let mut keys = [(*key, Fence::new(0))];
            Ok(match self.claim_all(&mut keys, owner, lease, keep).await? {
                Claims::Acquired { attempt } => Claim::Acquired { fence: keys[0].1, attempt },
                Claims::InProgress { retry_after, .. } => Claim::InProgress { retry_after },
                Claims::Completed { .. } => Claim::Completed,
            })
        }

        async fn renew(
            &self,
            key: &$crate::store::Key,
            owner: $crate::store::Owner,
            lease: std::time::Duration,
        ) -> Result<$crate::store::Settled, $crate::store::StoreError> {
            self.renew_all(&[(*key, $crate::store::Fence::new(0))], owner, lease).await
        }

        async fn complete(
            &self,
            key: &$crate::store::Key,
            owner: $crate::store::Owner,
            fence: $crate::store::Fence,
            keep: std::time::Duration,
        ) -> Result<$crate::store::Settled, $crate::store::StoreError> {
            let how = $crate::store::Settlement::Complete { keep };
            self.settle_all(&[(*key, fence)], owner, how).await
        }

        async fn release(
            &self,
            key: &$crate::store::Key,
            owner: $crate::store::Owner,
        ) -> Result<$crate::store::Settled, $crate::store::StoreError> {
            let how = $crate::store::Settlement::Release;
            self.settle_all(&[(*key, $crate::store::Fence::new(0))], owner, how).await
        }
    };
}
pub(super) use one_key_verbs;
