//! The operations over all keys of a delivery, each under one lock.

use std::time::Duration;

use tokio::time::Instant;

use super::MemoryStore;
use crate::store::one_by_one::one_key_verbs;
use crate::store::{
    AnyStore, Claim, Claims, DeliveryStore, Fence, Key, Owner, Settled, Settlement, StoreError,
};

impl MemoryStore {
    /// Claims all keys or none, under one lock, with leases that start at `since`. Writes the fences of the keys.
    pub(in crate::store) fn claim_keys(
        &self,
        keys: &mut [(Key, Fence)],
        owner: Owner,
        lease: Duration,
        keep: Duration,
        since: Instant,
    ) -> Result<Claims, StoreError> {
        self.verb_at(since, |records, now| {
            records.forget_expired(now);
            let mut last = 0;
            for place in 0..keys.len() {
                let taken = match records.claim(&keys[place].0, owner, lease, keep, now) {
                    Ok(Claim::Acquired { fence, attempt }) => {
                        (keys[place].1, last) = (fence, attempt);
                        continue;
                    }
                    Ok(Claim::InProgress { retry_after }) => {
                        Ok(Claims::InProgress { place, retry_after })
                    }
                    Ok(Claim::Completed) => Ok(Claims::Completed { place }),
                    Err(full) => Err(full),
                };
                for (key, _) in keys[..place].iter().rev() {
                    records.release(key, owner, now);
                }
                return taken;
            }
            Ok(Claims::Acquired { attempt: last })
        })
    }

    /// Settles each key, under one lock. `at` is the current time, if known.
    pub(in crate::store) fn settle_keys(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        how: Settlement,
        at: Option<Instant>,
    ) -> Result<Settled, StoreError> {
        self.verb_at(at.unwrap_or_else(Instant::now), |records, now| {
            let mut all = Settled::Done;
            match how {
                Settlement::Complete { keep } => {
                    for (key, fence) in keys {
                        all = all.and(records.complete(key, owner, *fence, keep, now)?);
                    }
                }
                Settlement::Release => {
                    for (key, _) in keys.iter().rev() {
                        all = all.and(records.release(key, owner, now));
                    }
                }
            }
            Ok(all)
        })
    }
}

impl DeliveryStore for MemoryStore {
    one_key_verbs!();

    async fn claim_all(
        &self,
        keys: &mut [(Key, Fence)],
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claims, StoreError> {
        self.claim_keys(keys, owner, lease, keep, Instant::now())
    }

    async fn renew_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        lease: Duration,
    ) -> Result<Settled, StoreError> {
        self.verb(|records, now| {
            let renewed = keys.iter().map(|(key, _)| records.renew(key, owner, lease, now));
            Ok(renewed.fold(Settled::Done, Settled::and))
        })
    }

    async fn settle_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        how: Settlement,
    ) -> Result<Settled, StoreError> {
        self.settle_keys(keys, owner, how, None)
    }

    /// Always succeeds.
    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn into_any(self) -> AnyStore {
        AnyStore::memory(self)
    }
}
