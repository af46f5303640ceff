//! A correct store with one defect that other implementations have shipped.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use scrapest_webhook::store::{
    Claim, Claims, DeliveryStore, Fence, Key, MemoryStore, Owner, Settled, Settlement, StoreError,
};

const LONG: Duration = Duration::from_secs(3_600);

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Defect {
    None,
    UnfencedRelease,
    CompleteOnlyForTheHolder,
    UnknownHolder,
    EndlessLease,
    ConstantFence,
    ConstantAttempt,
    CheckThenAct,
    RenewalOnPaper,
    RenewalByAnyone,
    LeaseWithinTheRetention,
    EndlessRetention,
    RetentionOfTheClaim,
    ReleaseUndoesCompletion,
    ClaimsHalf,
    KeepsWhatItTook,
    RenewsHalf,
    SettlesHalf,
    StopsAtTheFirstLost,
    ForgetsTheFences,
}

/// A correct store with one defect.
#[derive(Debug)]
pub struct Defective {
    defect: Defect,
    inner: MemoryStore,
    seen: Mutex<HashMap<Key, Seen>>,
    deleted: Mutex<HashSet<Key>>,
}

/// The state of a key that a defect needs.
#[derive(Clone, Copy, Debug)]
struct Seen {
    holder: Owner,
    keep: Duration,
}

pub fn with(defect: Defect) -> Defective {
    Defective {
        defect,
        inner: MemoryStore::new(),
        seen: Mutex::default(),
        deleted: Mutex::default(),
    }
}

impl Defective {
    fn seen(&self, key: &Key) -> Option<Seen> {
        self.seen.lock().unwrap().get(key).copied()
    }

    fn holder(&self, key: &Key) -> Option<Owner> {
        self.seen(key).map(|seen| seen.holder)
    }
}

impl DeliveryStore for Defective {
    async fn claim(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claim, StoreError> {
        let held_by_caller = self.holder(key) == Some(owner);
        let lease = match self.defect {
            Defect::EndlessLease => LONG,
            Defect::LeaseWithinTheRetention => lease.min(keep),
            _ => lease,
        };
        if self.defect == Defect::CheckThenAct && self.seen(key).is_none() {
            // As long as a round trip, so that a second claim can come in between.
            tokio::time::sleep(Duration::from_millis(1)).await;
            let (fence, seen) = (Fence::new(1), Seen { holder: owner, keep });
            self.seen.lock().unwrap().insert(*key, seen);
            self.inner.claim(key, owner, lease, keep).await?;
            return Ok(Claim::Acquired { fence, attempt: 1 });
        }
        if self.deleted.lock().unwrap().remove(key) {
            let fence = Fence::new(u64::MAX);
            return Ok(Claim::Acquired { fence, attempt: 1 });
        }
        let claim = self.inner.claim(key, owner, lease, keep).await?;
        let Claim::Acquired { fence, attempt } = claim else {
            return Ok(claim);
        };
        let seen = Seen { holder: owner, keep };
        self.seen.lock().unwrap().insert(*key, seen);
        Ok(match self.defect {
            Defect::UnknownHolder if held_by_caller => Claim::InProgress { retry_after: lease },
            Defect::ConstantFence => Claim::Acquired { fence: Fence::new(1), attempt },
            Defect::ConstantAttempt => Claim::Acquired { fence, attempt: 1 },
            _ => claim,
        })
    }

    async fn renew(&self, key: &Key, owner: Owner, lease: Duration) -> Result<Settled, StoreError> {
        let seen = self.seen(key);
        match (self.defect, seen) {
            (Defect::RenewalOnPaper, _) => Ok(Settled::Done),
            (Defect::RenewalByAnyone, Some(Seen { holder, .. })) => {
                self.inner.renew(key, holder, lease).await
            }
            (Defect::LeaseWithinTheRetention, Some(Seen { keep, .. })) => {
                self.inner.renew(key, owner, lease.min(keep)).await
            }
            _ => self.inner.renew(key, owner, lease).await,
        }
    }

    async fn complete(
        &self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        let keep = match (self.defect, self.seen(key)) {
            (Defect::CompleteOnlyForTheHolder, seen) => {
                if seen.is_none_or(|seen| seen.holder != owner) {
                    return Ok(Settled::Lost);
                }
                keep
            }
            (Defect::EndlessRetention, _) => LONG,
            (Defect::RetentionOfTheClaim, Some(seen)) => seen.keep,
            _ => keep,
        };
        self.inner.complete(key, owner, fence, keep).await
    }

    async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
        match (self.defect, self.holder(key)) {
            (Defect::UnfencedRelease, Some(holder)) => self.inner.release(key, holder).await,
            (Defect::ReleaseUndoesCompletion, Some(holder)) if holder == owner => {
                // Deletes the record in any state.
                self.deleted.lock().unwrap().insert(*key);
                Ok(Settled::Done)
            }
            _ => self.inner.release(key, owner).await,
        }
    }

    async fn claim_all(
        &self,
        keys: &mut [(Key, Fence)],
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claims, StoreError> {
        let half = keys.len().div_ceil(2);
        match self.defect {
            Defect::ClaimsHalf => self.inner.claim_all(&mut keys[..half], owner, lease, keep).await,
            Defect::KeepsWhatItTook => {
                for (place, (key, of_key)) in keys.iter_mut().enumerate() {
                    match self.claim(key, owner, lease, keep).await? {
                        Claim::Acquired { fence, .. } => *of_key = fence,
                        Claim::InProgress { retry_after } => {
                            return Ok(Claims::InProgress { place, retry_after });
                        }
                        Claim::Completed => return Ok(Claims::Completed { place }),
                    }
                }
                Ok(Claims::Acquired { attempt: 1 })
            }
            Defect::ForgetsTheFences => {
                self.inner.claim_all(&mut keys.to_vec(), owner, lease, keep).await
            }
            _ => self.inner.claim_all(keys, owner, lease, keep).await,
        }
    }

    async fn renew_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        lease: Duration,
    ) -> Result<Settled, StoreError> {
        match self.defect {
            Defect::RenewsHalf => self.inner.renew_all(&keys[..1], owner, lease).await,
            Defect::StopsAtTheFirstLost => {
                for (key, _) in keys {
                    if self.renew(key, owner, lease).await? == Settled::Lost {
                        return Ok(Settled::Lost);
                    }
                }
                Ok(Settled::Done)
            }
            _ => self.inner.renew_all(keys, owner, lease).await,
        }
    }

    async fn settle_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        how: Settlement,
    ) -> Result<Settled, StoreError> {
        match self.defect {
            Defect::SettlesHalf => self.inner.settle_all(&keys[..1], owner, how).await,
            Defect::StopsAtTheFirstLost => {
                for (key, fence) in keys {
                    let settled = match how {
                        Settlement::Complete { keep } => {
                            self.complete(key, owner, *fence, keep).await?
                        }
                        Settlement::Release => self.release(key, owner).await?,
                    };
                    if settled == Settled::Lost {
                        return Ok(Settled::Lost);
                    }
                }
                Ok(Settled::Done)
            }
            _ => self.inner.settle_all(keys, owner, how).await,
        }
    }
}
