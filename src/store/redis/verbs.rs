//! The operations: one script each, over one key or over all keys of a delivery.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{ServerErrorKind, Value};
use tokio::time::Instant;

use super::failure::Failure;
use super::link::Link;
use super::scripts::{self, Call, Script};
use super::{OPERATION_LIMIT, RedisStore};
use crate::store::one_by_one::{self, one_key_verbs};
use crate::store::{Claims, DeliveryStore, Fence, Key, Owner, Settled, Settlement, StoreError};

/// The longest duration, about 1,100 years. Scripts count in doubles: the sum of this and the time is still exact.
const LONGEST_MILLIS: u64 = 1 << 45;

/// A store whose keys are on one server, so that one script can take several.
#[derive(Clone, Debug)]
pub(super) struct Scripts {
    pub(super) link: Arc<Link>,
    pub(super) prefix: Arc<str>,
}

impl Scripts {
    async fn settle(
        &self,
        script: &Script,
        keys: &[(Key, Fence)],
        owner: Owner,
        durations: &[u64],
    ) -> Result<Settled, StoreError> {
        let answer = self.run(script, keys, owner, durations).await?;
        scripts::settled(&answer).map_err(StoreError::new)
    }

    async fn run(
        &self,
        script: &Script,
        keys: &[(Key, Fence)],
        owner: Owner,
        durations: &[u64],
    ) -> Result<Value, StoreError> {
        let deadline = Instant::now() + OPERATION_LIMIT;
        let command = |call: Call<'_>| call.command(&self.prefix, keys, owner, durations);
        let mut answer = self.link.call(&command(script.by_name()), deadline).await;
        if let Err(Failure::Driver(error)) = &answer
            && error.kind() == ServerErrorKind::NoScript.into()
        {
            answer = self.link.call(&command(script.whole()), deadline).await;
        }
        answer.map_err(StoreError::new)
    }
}

impl DeliveryStore for Scripts {
    one_key_verbs!();

    async fn claim_all(
        &self,
        keys: &mut [(Key, Fence)],
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claims, StoreError> {
        let (lease, keep) = (millis(lease), millis(keep));
        let durations = [lease, keep, lease.max(keep)];
        let answer = self.run(&scripts::CLAIM, keys, owner, &durations).await?;
        scripts::claimed(&answer, keys).map_err(StoreError::new)
    }

    async fn renew_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        lease: Duration,
    ) -> Result<Settled, StoreError> {
        self.settle(&scripts::RENEW, keys, owner, &[millis(lease)]).await
    }

    async fn settle_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        how: Settlement,
    ) -> Result<Settled, StoreError> {
        match how {
            Settlement::Complete { keep } => {
                self.settle(&scripts::COMPLETE, keys, owner, &[millis(keep)]).await
            }
            Settlement::Release => self.settle(&scripts::RELEASE, keys, owner, &[]).await,
        }
    }
}

impl RedisStore {
    /// Returns whether one script may take all of these keys, which may be on several servers.
    fn takes_at_once(&self, keys: &[(Key, Fence)]) -> bool {
        keys.len() == 1 || self.0.link.stands_alone()
    }
}

/// Each operation is one script over all keys if the server accepts that, otherwise one script per key. A sharding
/// proxy may claim to be standalone and then refuse several keys. After its first refusal it gets one script per key.
impl DeliveryStore for RedisStore {
    one_key_verbs!();

    async fn claim_all(
        &self,
        keys: &mut [(Key, Fence)],
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claims, StoreError> {
        if self.takes_at_once(keys) {
            let claims = self.0.claim_all(keys, owner, lease, keep).await;
            if claims.is_ok() || self.takes_at_once(keys) {
                return claims;
            }
        }
        one_by_one::claim_all(&self.0, keys, owner, lease, keep).await
    }

    async fn renew_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        lease: Duration,
    ) -> Result<Settled, StoreError> {
        if self.takes_at_once(keys) {
            let settled = self.0.renew_all(keys, owner, lease).await;
            if settled.is_ok() || self.takes_at_once(keys) {
                return settled;
            }
        }
        one_by_one::renew_all(&self.0, keys, owner, lease).await
    }

    async fn settle_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        how: Settlement,
    ) -> Result<Settled, StoreError> {
        if self.takes_at_once(keys) {
            let settled = self.0.settle_all(keys, owner, how).await;
            if settled.is_ok() || self.takes_at_once(keys) {
                return settled;
            }
        }
        one_by_one::settle_all(&self.0, keys, owner, how).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.ready().await
    }
}

/// Converts to milliseconds, rounded up, so that a record is kept for at least the promised time.
fn millis(duration: Duration) -> u64 {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    millis.try_into().unwrap_or(u64::MAX).min(LONGEST_MILLIS)
}
