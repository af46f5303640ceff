//! All keys of a delivery in one question, where one step of the store can answer it; else key by key.

use std::any::Any;
use std::cmp::min;
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
    /// The keys in their order, until one is taken; each question at most until `patience`. Writes the
    /// fences of the keys, and may be given more room.
    pub(crate) async fn claim_all(
        &self,
        keys: &[Key],
        owner: Owner,
        lease: Duration,
        keep: Duration,
        fences: &mut [Fence],
        patience: Instant,
    ) -> Result<Claims, StoreError> {
        let fences = &mut fences[..keys.len()];
        if let Some(memory) = self.memory() {
            let asked = self.asked();
            let claims = memory.claim_keys(keys, owner, lease, keep, fences);
            return self.note(Verb::Claim, asked, claims);
        }
        if let Some(together) = self.together(keys.len()) {
            let asked = self.noted(Verb::Claim, together.claim(keys, owner, lease, keep, fences));
            return self.by(patience, asked).await;
        }
        let mut last = 0;
        for (place, (key, fence)) in keys.iter().zip(fences).enumerate() {
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
        keys: &[Key],
        owner: Owner,
        lease: Duration,
    ) -> Result<Settled, StoreError> {
        if let Some(together) = self.together(keys.len()) {
            return self.noted(Verb::Renew, together.renew(keys, owner, lease)).await;
        }
        for key in keys {
            if self.renew(key, owner, lease).await? == Settled::Lost {
                return Ok(Settled::Lost);
            }
        }
        Ok(Settled::Done)
    }

    /// The first of these keys, or all where that is one question or none: completed for `keep`, or with
    /// `None` released. Takes out what is told.
    pub(crate) async fn settle_next(
        &self,
        left: &mut [Option<(Key, Fence)>],
        owner: Owner,
        keep: Option<Duration>,
    ) -> Result<Settled, StoreError> {
        let verb = if keep.is_some() { Verb::Complete } else { Verb::Release };
        if let Some(memory) = self.memory() {
            let asked = self.asked();
            return self.note(verb, asked, memory.settle_keys(left, owner, keep));
        }
        if let Some(together) = self.together(left.iter().flatten().count()) {
            let keys: Vec<_> = left.iter().flatten().copied().collect();
            let settled = self.noted(verb, together.settle(&keys, owner, keep)).await?;
            left.fill(None);
            return Ok(settled);
        }
        let Some(slot) = left.iter_mut().find(|slot| slot.is_some()) else {
            return Ok(Settled::Done);
        };
        let settled = match (*slot, keep) {
            (Some((key, fence)), Some(keep)) => self.complete(&key, owner, fence, keep).await?,
            (Some((key, _)), None) => self.release(&key, owner).await?,
            (None, _) => Settled::Done,
        };
        *slot = None;
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
        let limit = min(patience, Instant::now() + ONE_QUESTION);
        timeout_at(limit, asked)
            .await
            .unwrap_or_else(|elapsed| Err(self.gave_up(Verb::Claim, elapsed)))
    }
}
