//! Where it is remembered which delivery runs and which is done.
//!
//! A store keeps one record a [`Key`] and has four verbs, each atomic:
//!
//! 1. [`claim`](DeliveryStore::claim) takes a key for one attempt;
//! 2. [`renew`](DeliveryStore::renew) extends that attempt's lease while its handler runs;
//! 3. [`complete`](DeliveryStore::complete) says that the handler succeeded;
//! 4. [`release`](DeliveryStore::release) says that it did not, so that the sender's retry may run.
//!
//! [`MemoryStore`] is the default: one process, forgotten at its end. `SqliteStore` (feature `sqlite`) is for one
//! machine whose receiver restarts; `RedisStore` and `PostgresStore` (features `redis` and `postgres`) are for
//! receivers on several machines. Receivers that share a store are one receiver. A store of one's own proves
//! itself with `store_contract_tests!` (feature `testing`).

mod boxed;
mod from_url;
mod key;
mod keys;
mod memory;
mod outage;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod together;

#[cfg(feature = "testing")]
pub mod contract;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

pub use self::boxed::AnyStore;
pub use self::from_url::store_from_url;
pub use self::key::{Fence, Key, Owner};
pub(crate) use self::keys::{Held, Keys};
pub use self::memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use self::postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use self::sql::{CompletionError, CompletionErrorKind};
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteStore;
pub(crate) use self::together::{Claims, ONE_QUESTION};

/// Remembers deliveries: which run, which are done.
///
/// All verbs are required and each is one atomic step. Implementors write `async fn`. Time is the
/// store's own (a monotonic clock, a server's clock), never the wall clock of the caller, because two
/// callers' clocks differ.
///
/// A record is one of *in progress* (an owner holds it until its lease ends), *completed*, or
/// *retryable* (the last attempt failed). A record that the implementation cannot read (a newer format,
/// a foreign value under the key) must be an error or *in progress*, never *absent* and never overwritten.
///
/// # Example
///
/// The smallest store that keeps the contract is a mutex around a map; it never forgets, so it is not
/// for production.
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
///         record.completed = true; // a success is a fact, also from another owner
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
pub trait DeliveryStore: fmt::Debug + Send + Sync + 'static {
    /// Takes `key` for `owner`, for the length of `lease`. The record is kept for `keep` from now, a
    /// release notwithstanding, and in any case while a lease, this or a renewed one, is running.
    ///
    /// Succeeds on an absent key, a retryable one, an expired lease, an expired record, and when `owner`
    /// already holds the key (a claim whose answer was lost is simply repeated: same fence, same
    /// attempt, fresh lease).
    ///
    /// # Errors
    ///
    /// When the store cannot answer. Whether the claim took effect is then unknown; the caller asks
    /// again with the same owner.
    fn claim(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> impl Future<Output = Result<Claim, StoreError>> + Send;

    /// Extends the lease to `lease` from now. Acts only for the owner that holds the key, also when its
    /// lease has expired but nobody took over.
    ///
    /// # Errors
    ///
    /// When the store cannot answer.
    fn renew(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// Records a success for `keep` from now. Monotone: the key ends completed,
    /// also when another owner holds it, or when the store has forgotten it.
    /// [`Settled::Lost`] then says that `owner` was not the holder; the record is completed all the same.
    ///
    /// # Errors
    ///
    /// When the store cannot answer. Repeating is safe.
    fn complete(
        &self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// Makes the key retryable: the next claim is the next attempt. Acts only for the owner that holds
    /// the key, also when its lease has expired but nobody took over; never undoes a completion.
    ///
    /// # Errors
    ///
    /// When the store cannot answer. Repeating is safe.
    fn release(
        &self,
        key: &Key,
        owner: Owner,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;
}

/// What a [`claim`](DeliveryStore::claim) found. Complete: there is no fourth case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The key is the caller's until the lease ends.
    Acquired {
        /// Larger than the fence of every earlier acquisition of this key.
        fence: Fence,
        /// How many times the key was acquired, this one included, as far as the store remembers.
        attempt: u32,
    },
    /// Another attempt holds the key.
    InProgress {
        /// What is left of that attempt's lease.
        retry_after: Duration,
    },
    /// A handler has reported success for the key.
    Completed,
}

/// Whether the caller still held the key. Complete: there is no third case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It did, and the verb took effect.
    Done,
    /// It did not: another attempt took over, the key was completed, or the store forgot it.
    Lost,
}

/// The store could not answer. Opaque; the cause is its [`source`](Error::source).
#[derive(Debug)]
pub struct StoreError(Box<dyn Error + Send + Sync>);

impl StoreError {
    /// An error with this cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "delivery store did not answer: {}", self.0)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
