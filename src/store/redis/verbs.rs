//! The verbs: one script each, over one key or several.

use std::slice;
use std::time::Duration;

use ::redis::{ServerErrorKind, Value};
use tokio::time::Instant;

use super::link::Failure;
use super::scripts::{self, Script};
use super::{OPERATION_LIMIT, RedisStore};
use crate::store::boxed::BoxFuture;
use crate::store::together::Together;
use crate::store::{Claim, Claims, DeliveryStore, Fence, Key, Owner, Settled, StoreError};

/// Scripts count in doubles, which are exact up to here: 285,000 years of fences.
const EXACT: u64 = (1 << 53) - 1;

/// Longer than anything is kept; added to the time it is still exact.
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
        let arguments = [hex(owner), millis(lease), millis(keep)];
        let answer = self.run(&scripts::CLAIM, keys, &arguments).await?;
        scripts::claimed(&answer, fences).map_err(StoreError::new)
    }

    async fn renew_keys(
        &self,
        keys: &[Key],
        owner: Owner,
        lease: Duration,
    ) -> Result<Settled, StoreError> {
        self.settle(&scripts::RENEW, keys, &[hex(owner), millis(lease)]).await
    }

    async fn complete_keys(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        let (keys, fences): (Vec<_>, Vec<_>) = keys.iter().copied().unzip();
        let fences = fences.into_iter().map(|fence| fence.get().min(EXACT).to_string());
        let arguments: Vec<_> = [hex(owner), millis(keep)].into_iter().chain(fences).collect();
        self.settle(&scripts::COMPLETE, &keys, &arguments).await
    }

    async fn release_keys(&self, keys: &[Key], owner: Owner) -> Result<Settled, StoreError> {
        self.settle(&scripts::RELEASE, keys, &[hex(owner)]).await
    }

    async fn settle(
        &self,
        script: &Script,
        keys: &[Key],
        arguments: &[String],
    ) -> Result<Settled, StoreError> {
        let answer = self.run(script, keys, arguments).await?;
        scripts::settled(&answer, keys.len()).map_err(StoreError::new)
    }

    async fn run(
        &self,
        script: &Script,
        keys: &[Key],
        arguments: &[String],
    ) -> Result<Value, StoreError> {
        let deadline = Instant::now() + OPERATION_LIMIT;
        let keys: Vec<_> = keys.iter().map(|key| format!("{}{key}", self.prefix)).collect();
        let mut answer = self.link.call(&script.by_name(&keys, arguments), deadline).await;
        if let Err(Failure::Driver(error)) = &answer
            && error.kind() == ServerErrorKind::NoScript.into()
        {
            answer = self.link.call(&script.whole(&keys, arguments), deadline).await;
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
        fence: Fence,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        self.complete_keys(&[(*key, fence)], owner, keep).await
    }

    async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
        self.release_keys(slice::from_ref(key), owner).await
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
        Box::pin(async move {
            match keep {
                Some(keep) => self.complete_keys(keys, owner, keep).await,
                None => {
                    let keys: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
                    self.release_keys(&keys, owner).await
                }
            }
        })
    }
}

fn hex(owner: Owner) -> String {
    format!("{:032x}", u128::from_be_bytes(owner.to_bytes()))
}

/// Full milliseconds, rounded up: what is promised is kept for at least as long.
fn millis(duration: Duration) -> String {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    millis.min(u128::from(LONGEST_MILLIS)).to_string()
}
