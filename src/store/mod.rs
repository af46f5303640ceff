//! Stores that remember which deliveries are running and which are done.
//!
//! A store keeps one record per [`Key`] and has four operations, each atomic:
//!
//! 1. [`claim`](DeliveryStore::claim) takes a key for one attempt;
//! 2. [`renew`](DeliveryStore::renew) extends that attempt's lease while its handler runs;
//! 3. [`complete`](DeliveryStore::complete) records that the handler succeeded;
//! 4. [`release`](DeliveryStore::release) records that it failed, so that the sender's retry may run.
//!
//! A delivery has one to five keys, so the layer calls the operations over several keys, like
//! [`DeliveryStore::claim_all`]. They have default implementations; a store that can process several keys in one
//! step overrides them.
//!
//! [`MemoryStore`] is the default. It serves one process, and its records end with that process. `SqliteStore`
//! (feature `sqlite`) is for one machine whose receiver restarts; `RedisStore` and `PostgresStore` (features
//! `redis` and `postgres`) are for receivers on several machines. Receivers that share a store act as one
//! receiver. Test a store of your own with `store_contract_tests!` (feature `testing`).

mod answers;
mod any;
mod dyn_store;
mod from_url;
mod key;
mod keys;
mod memory;
mod one_by_one;
mod outage;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod unrecorded;

#[cfg(feature = "testing")]
pub mod contract;

use std::fmt;
use std::future::Future;
use std::time::Duration;

pub use self::answers::{Claim, Claims, Settled, Settlement, StoreError};
pub use self::any::AnyStore;
pub(crate) use self::any::StorePlace;
pub use self::from_url::store_from_url;
pub use self::key::{Fence, Key, Owner};
pub(crate) use self::keys::{Held, Keys};
pub use self::memory::MemoryStore;
pub(crate) use self::one_by_one::ONE_QUESTION;
#[cfg(feature = "postgres")]
pub use self::postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use self::sql::{CompletionError, CompletionErrorKind};
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteStore;
pub(crate) use self::unrecorded::UnrecordedGuard;

/// Remembers which deliveries are running and which are done.
///
/// The four operations over one key are required, and each is one atomic step. Implementors write `async fn`. A
/// store uses its own time (a monotonic clock, a server's clock), never the caller's wall clock, because the
/// clocks of two callers differ.
///
/// The operations over several keys have default implementations, which call the four for one key after another.
/// Override them if the store can process several keys in one step: a layer calls only those, so a delivery then
/// costs two operations.
///
/// A record is *in progress* (an owner holds it until its lease ends), *completed*, or *retryable* (the last
/// attempt failed). A record that the implementation cannot read (a newer format, a foreign value under the key)
/// must be an error or *in progress*. It must never be *absent* and never be overwritten.
///
/// # Example
///
/// The smallest store that fulfils the contract is a mutex around a map. It never forgets, so it is not for
/// production.
///
/// ```
/// use std::{collections::HashMap, sync::Mutex, time::{Duration, Instant}};
/// use scrapest_webhook::store::{Claim, DeliveryStore, Fence, Key, Owner, Settled, StoreError};
///
/// #[derive(Debug, Default)]
/// struct MapStore(Mutex<HashMap<Key, Record>>);
///
/// #[derive(Debug)]
/// struct Record { held: Option<(Owner, Instant)>, completed: bool, fence: u64, attempt: u32 }
///
/// impl DeliveryStore for MapStore {
///     async fn claim(&self, key: &Key, owner: Owner, lease: Duration, _keep: Duration) -> Result<Claim, StoreError> {
///         let (now, mut map) = (Instant::now(), self.0.lock().unwrap());
///         let record = map.entry(*key).or_insert(Record { held: None, completed: false, fence: 0, attempt: 0 });
///         match record.held {
///             _ if record.completed => return Ok(Claim::Completed),
///             Some((holder, until)) if holder != owner && until > now => {
///                 return Ok(Claim::InProgress { retry_after: until - now });
///             }
///             // The same owner asks again: the answer to its first claim was lost.
///             Some((holder, _)) if holder == owner => {}
///             _ => (record.fence, record.attempt) = (record.fence + 1, record.attempt + 1),
///         }
///         record.held = Some((owner, now + lease));
///         Ok(Claim::Acquired { fence: Fence::new(record.fence), attempt: record.attempt })
///     }
///
///     async fn renew(&self, key: &Key, owner: Owner, lease: Duration) -> Result<Settled, StoreError> {
///         match self.0.lock().unwrap().get_mut(key) {
///             Some(Record { held: Some((holder, until)), completed: false, .. }) if *holder == owner => {
///                 *until = Instant::now() + lease;
///                 Ok(Settled::Done)
///             }
///             _ => Ok(Settled::Lost),
///         }
///     }
///
///     async fn complete(&self, key: &Key, owner: Owner, fence: Fence, _keep: Duration) -> Result<Settled, StoreError> {
///         let mut map = self.0.lock().unwrap();
///         let record = map.entry(*key).or_insert(Record { held: None, completed: false, fence: fence.get(), attempt: 1 });
///         let held = record.held.take().is_some_and(|(holder, _)| holder == owner);
///         record.completed = true; // a success counts, even from another owner
///         Ok(if held { Settled::Done } else { Settled::Lost })
///     }
///
///     async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
///         match self.0.lock().unwrap().get_mut(key) {
///             Some(record) if record.held.is_some_and(|(holder, _)| holder == owner) => {
///                 record.held = None;
///                 Ok(Settled::Done)
///             }
///             _ => Ok(Settled::Lost),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store of deliveries",
    label = "expected a `DeliveryStore`, like `MemoryStore::new()`",
    note = "if it is a URL, open it: `.with_store(store_from_url(url)?)`, from `scrapest_webhook::store`"
)]
pub trait DeliveryStore: fmt::Debug + Send + Sync + 'static {
    /// Takes `key` for `owner` and for the duration of `lease`. The record is kept for `keep` from now, also after
    /// a release, and at least until this lease or a renewed one ends.
    ///
    /// Succeeds if the key is absent or retryable, if its lease or its record has expired, and if `owner` already
    /// holds the key. A claim whose answer was lost is therefore simply repeated: it gets the same fence, the same
    /// attempt and a fresh lease.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. It is then unknown whether the claim took effect. The caller repeats it with
    /// the same owner.
    fn claim(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> impl Future<Output = Result<Claim, StoreError>> + Send;

    /// Extends the lease to `lease` from now. Takes effect only for the owner that holds the key, also if its
    /// lease has expired but no other owner took over.
    ///
    /// # Errors
    ///
    /// If the store cannot answer.
    fn renew(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// Records a success for `keep` from now. A completion always takes effect: the key is completed even if
    /// another owner holds it, or if the store has forgotten it. [`Settled::Lost`] then means only that `owner`
    /// was not the holder.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. Repeating is safe.
    fn complete(
        &self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// Makes the key retryable: the next claim starts the next attempt. Takes effect only for the owner that holds
    /// the key, also if its lease has expired but no other owner took over. It never undoes a completion.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. Repeating is safe.
    fn release(
        &self,
        key: &Key,
        owner: Owner,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// Takes all of these keys for `owner`, or none of them. Writes the fence of each key; the fences are valid
    /// only if all keys were acquired. Each key is taken as by [`claim`](Self::claim).
    ///
    /// The first key in the slice that is not free decides the answer. The keys before it are released again.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. It is then unknown which of the keys the owner holds. The caller repeats the
    /// claim with the same owner, or releases all keys.
    fn claim_all(
        &self,
        keys: &mut [(Key, Fence)],
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> impl Future<Output = Result<Claims, StoreError>> + Send {
        one_by_one::claim_all(self, keys, owner, lease, keep)
    }

    /// Extends the lease of each of these keys, as by [`renew`](Self::renew). Returns [`Settled::Lost`] if one of
    /// them was lost.
    ///
    /// # Errors
    ///
    /// If the store cannot answer.
    fn renew_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        lease: Duration,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send {
        one_by_one::renew_all(self, keys, owner, lease)
    }

    /// Completes each of these keys in their order, as by [`complete`](Self::complete), or releases each in
    /// reverse order, as by [`release`](Self::release). All keys are processed even if one was lost. Returns
    /// [`Settled::Lost`] if one of them was lost.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. Repeating is safe.
    fn settle_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        how: Settlement,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send {
        one_by_one::settle_all(self, keys, owner, how)
    }

    /// Checks whether the store can accept a delivery now, for a health endpoint. By default it completes a
    /// reserved key, with a retention of 1 ms.
    ///
    /// # Errors
    ///
    /// The reason why the store cannot accept a delivery.
    fn ready(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        async {
            let (probe, keep) = (Key::from_bytes([0; 32]), Duration::from_millis(1));
            self.complete(&probe, Owner::random(), Fence::new(0), keep).await.map(drop)
        }
    }

    #[doc(hidden)]
    fn into_any(self) -> AnyStore
    where
        Self: Sized,
    {
        AnyStore::other(self)
    }
}
