//! The verbs: one script each, over one key or several.

use std::iter;
use std::slice;
use std::time::Duration;

use ::redis::{ServerErrorKind, Value};
use tokio::time::Instant;

use super::failure::Failure;
use super::scripts::{self, Call, Script};
use super::{OPERATION_LIMIT, RedisStore};
use crate::store::boxed::BoxFuture;
use crate::store::together::Together;
use crate::store::{Claim, Claims, DeliveryStore, Fence, Key, Owner, Settled, StoreError};

/// Longer than anything is kept. Scripts count in doubles: added to the time, this is still exact.
const LONGEST_MILLIS: u64 = 1 << 45;

impl RedisStore {
    async fn claim_keys(
        &self,
        keys: &[Key],
        owner: Owner,
        lease: Duration,
        keep: Duration,
        fences: &mut [Fence],
    ) -> Result<Claims, StoreError> {
        let (lease, keep) = (millis(lease), millis(keep));
        let durations = [lease, keep, lease.max(keep)];
        let answer = self.run(&scripts::CLAIM, keys.iter().copied(), owner, &durations).await?;
        scripts::claimed(&answer, fences).map_err(StoreError::new)
    }

    async fn renew_keys(
        &self,
        keys: &[Key],
        owner: Owner,
        lease: Duration,
    ) -> Result<Settled, StoreError> {
        self.settle(&scripts::RENEW, keys.iter().copied(), owner, &[millis(lease)]).await
    }

    /// Completes for `keep`, or with `None` releases.
    async fn settle_keys(
        &self,
        keys: impl ExactSizeIterator<Item = Key> + Clone,
        owner: Owner,
        keep: Option<Duration>,
    ) -> Result<Settled, StoreError> {
        match keep {
            Some(keep) => self.settle(&scripts::COMPLETE, keys, owner, &[millis(keep)]).await,
            None => self.settle(&scripts::RELEASE, keys, owner, &[]).await,
        }
    }

    async fn settle(
        &self,
        script: &Script,
        keys: impl ExactSizeIterator<Item = Key> + Clone,
        owner: Owner,
        durations: &[u64],
    ) -> Result<Settled, StoreError> {
        let answer = self.run(script, keys, owner, durations).await?;
        scripts::settled(&answer).map_err(StoreError::new)
    }

    async fn run(
        &self,
        script: &Script,
        keys: impl ExactSizeIterator<Item = Key> + Clone,
        owner: Owner,
        durations: &[u64],
    ) -> Result<Value, StoreError> {
        let deadline = Instant::now() + OPERATION_LIMIT;
        let command = |call: Call<'_>| call.command(&self.prefix, keys.clone(), owner, durations);
        let mut answer = self.link.call(&command(script.by_name()), deadline).await;
        if let Err(Failure::Driver(error)) = &answer
            && error.kind() == ServerErrorKind::NoScript.into()
        {
            answer = self.link.call(&command(script.whole()), deadline).await;
        }
        answer.map_err(StoreError::new)
    }
}

impl DeliveryStore for RedisStore {
    async fn claim(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claim, StoreError> {
        let (keys, mut fence) = (slice::from_ref(key), Fence::new(0));
        let fences = slice::from_mut(&mut fence);
        match self.claim_keys(keys, owner, lease, keep, fences).await? {
            Claims::Acquired { attempt } => Ok(Claim::Acquired { fence, attempt }),
            Claims::Taken { claim, .. } => Ok(claim),
        }
    }

    async fn renew(&self, key: &Key, owner: Owner, lease: Duration) -> Result<Settled, StoreError> {
        self.renew_keys(slice::from_ref(key), owner, lease).await
    }

    async fn complete(
        &self,
        key: &Key,
        owner: Owner,
        _fence: Fence,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        self.settle_keys(iter::once(*key), owner, Some(keep)).await
    }

    async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
        self.settle_keys(iter::once(*key), owner, None).await
    }
}

impl Together for RedisStore {
    /// A script may only touch keys of one server.
    fn is_possible(&self) -> bool {
        self.link.stands_alone()
    }

    fn claim<'a>(
        &'a self,
        keys: &'a [Key],
        owner: Owner,
        lease: Duration,
        keep: Duration,
        fences: &'a mut [Fence],
    ) -> BoxFuture<'a, Claims> {
        Box::pin(self.claim_keys(keys, owner, lease, keep, fences))
    }

    fn renew<'a>(
        &'a self,
        keys: &'a [Key],
        owner: Owner,
        lease: Duration,
    ) -> BoxFuture<'a, Settled> {
        Box::pin(self.renew_keys(keys, owner, lease))
    }

    fn settle<'a>(
        &'a self,
        keys: &'a [(Key, Fence)],
        owner: Owner,
        keep: Option<Duration>,
    ) -> BoxFuture<'a, Settled> {
        Box::pin(self.settle_keys(keys.iter().map(|(key, _)| *key), owner, keep))
    }
}

/// Full milliseconds, rounded up: what is promised is kept for at least as long.
fn millis(duration: Duration) -> u64 {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    millis.try_into().unwrap_or(u64::MAX).min(LONGEST_MILLIS)
}
