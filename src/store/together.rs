//! All keys of a delivery in one question, where one step of the store can answer it; else key by key.

use std::any::Any;
use std::cmp::min;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::boxed::BoxFuture;
use super::{AnyStore, Claim, DeliveryStore, Fence, Key, Owner, Settled, StoreError};
use crate::observe::Verb;
use crate::timer::timeout_at;

/// A question that takes longer was lost, and is asked again.
pub(crate) const ONE_QUESTION: Duration = Duration::from_secs(2);

/// What a claim of several keys found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claims {
    /// All are the caller's; with the attempt of the last.
    Acquired { attempt: u32 },
    /// The key at `place` is taken. Those at the first `held` places are the caller's.
    Taken { place: usize, claim: Claim, held: usize },
}

/// The verbs of [`DeliveryStore`] over several keys at once, for a store where that is a round trip less for
/// each. A claim takes all of them or none; the others take effect on each key for itself.
pub(super) trait Together: Send + Sync {
    /// Whether the store as it is now can; one that is spread over several servers cannot.
    fn is_possible(&self) -> bool;

    /// Writes the fence of each key; they have their meaning only where all are acquired.
    fn claim<'a>(
        &'a self,
        keys: &'a [Key],
        owner: Owner,
        lease: Duration,
        keep: Duration,
        fences: &'a mut [Fence],
    ) -> BoxFuture<'a, Claims>;

    /// [`Settled::Lost`] if any was lost; and so for settling.
    fn renew<'a>(
        &'a self,
        keys: &'a [Key],
        owner: Owner,
        lease: Duration,
    ) -> BoxFuture<'a, Settled>;

    /// Completes for `keep`, or with `None` releases.
    fn settle<'a>(
        &'a self,
        keys: &'a [(Key, Fence)],
        owner: Owner,
        keep: Option<Duration>,
    ) -> BoxFuture<'a, Settled>;
}

/// The same store, if it has the verbs over several keys.
pub(super) fn of(store: &dyn Any) -> Option<Arc<dyn Together>> {
    #[cfg(feature = "redis")]
    if let Some(redis) = store.downcast_ref::<super::RedisStore>() {
        return Some(Arc::new(redis.clone()));
    }
    _ = store;
    None
}

impl AnyStore {
    /// The keys in their order, until one is taken, where nothing has to be waited for, with leases from `since` on.
    /// Writes their fences.
    pub(crate) fn claim_at_once(
        &self,
        keys: &mut [(Key, Fence)],
        owner: Owner,
        lease: Duration,
        keep: Duration,
        since: Instant,
    ) -> Option<Result<Claims, StoreError>> {
        let memory = self.memory()?;
        let asked = self.asked();
        Some(self.note(Verb::Claim, asked, memory.claim_keys(keys, owner, lease, keep, since)))
    }

    /// The same of any store, each question at most until `patience`.
    pub(crate) async fn claim_all(
        &self,
        keys: &mut [(Key, Fence)],
        owner: Owner,
        lease: Duration,
        keep: Duration,
        patience: Instant,
    ) -> Result<Claims, StoreError> {
        if let Some(claims) = self.claim_at_once(keys, owner, lease, keep, Instant::now()) {
            return claims;
        }
        if let Some(together) = self.together(keys.len()) {
            let (names, mut fences): (Vec<_>, Vec<_>) = keys.iter().copied().unzip();
            let asked = together.claim(&names, owner, lease, keep, &mut fences);
            let claims = self.by(patience, self.noted(Verb::Claim, asked)).await;
            keys.iter_mut().zip(fences).for_each(|((_, fence), new)| *fence = new);
            return claims;
        }
        let mut last = 0;
        for (place, (key, fence)) in keys.iter_mut().enumerate() {
            match self.by(patience, self.claim(key, owner, lease, keep)).await? {
                Claim::Acquired { fence: new, attempt } => (*fence, last) = (new, attempt),
                claim => return Ok(Claims::Taken { place, claim, held: place }),
            }
        }
        Ok(Claims::Acquired { attempt: last })
    }

    /// Says whether all were held.
    pub(crate) async fn renew_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        lease: Duration,
    ) -> Result<Settled, StoreError> {
        if let Some(together) = self.together(keys.len()) {
            let keys: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
            return self.noted(Verb::Renew, together.renew(&keys, owner, lease)).await;
        }
        for (key, _) in keys {
            if self.renew(key, owner, lease).await? == Settled::Lost {
                return Ok(Settled::Lost);
            }
        }
        Ok(Settled::Done)
    }

    /// All of these keys in their order, where nothing has to be waited for: completed for `keep`, or with
    /// `None` released.
    pub(crate) fn settle_at_once<'a>(
        &self,
        keys: impl Iterator<Item = &'a (Key, Fence)>,
        owner: Owner,
        keep: Option<Duration>,
    ) -> Option<Result<Settled, StoreError>> {
        let memory = self.memory()?;
        let asked = self.asked();
        Some(self.note(settling(keep), asked, memory.settle_keys(keys, owner, keep)))
    }

    /// The first of these keys, or all where that is one question or none: completed for `keep`, or with
    /// `None` released. Takes out what is told.
    pub(crate) async fn settle_next(
        &self,
        left: &mut VecDeque<(Key, Fence)>,
        owner: Owner,
        keep: Option<Duration>,
    ) -> Result<Settled, StoreError> {
        if let Some(settled) = self.settle_at_once(left.iter(), owner, keep) {
            if settled.is_ok() {
                left.clear();
            }
            return settled;
        }
        if let Some(together) = self.together(left.len()) {
            let asked = together.settle(left.make_contiguous(), owner, keep);
            let settled = self.noted(settling(keep), asked).await?;
            left.clear();
            return Ok(settled);
        }
        let Some(&(key, fence)) = left.front() else { return Ok(Settled::Done) };
        let settled = match keep {
            Some(keep) => self.complete(&key, owner, fence, keep).await?,
            None => self.release(&key, owner).await?,
        };
        left.pop_front();
        Ok(settled)
    }

    fn together(&self, keys: usize) -> Option<&dyn Together> {
        self.together.as_deref().filter(|together| keys > 1 && together.is_possible())
    }

    async fn by<T>(
        &self,
        patience: Instant,
        asked: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let limit = || min(patience, Instant::now() + ONE_QUESTION);
        timeout_at(limit, pin!(asked))
            .await
            .unwrap_or_else(|elapsed| Err(self.gave_up(Verb::Claim, elapsed)))
    }
}

fn settling(keep: Option<Duration>) -> Verb {
    if keep.is_some() { Verb::Complete } else { Verb::Release }
}
