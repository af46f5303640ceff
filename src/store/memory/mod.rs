//! The default store: this process, forgotten at its end.
//!
//! One mutex guards four structures; `table.rs` keeps them in step, `records.rs` has the verbs.
//!
//! ```text
//! key ─► index (index.rs): key's hash → where its record is
//!          ├─ Live ─► slab (slab.rs): runs or was released, ≤ 128 B
//!          │            └─► queues, oldest first: Running · Released
//!          └─ Done ─► ring (ring.rs): completed, in that order, ≤ 48 B
//!                       front (leaves first) … next (a new one)
//! ```
//!
//! A completion moves a record from the slab to the ring. Its sequence number says who is oldest. Records leave from the
//! front, a few with each claim, so nothing stalls for a sweep.

mod index;
mod record;
mod records;
mod ring;
mod shares;
mod slab;
mod table;
mod verbs;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::PoisonError;
#[cfg(not(scrapest_webhook_loom))]
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

// For `tests/interleavings`.
#[cfg(scrapest_webhook_loom)]
use loom::sync::{Arc, Mutex, MutexGuard};
use tokio::time::Instant;

use self::record::Now;
use self::records::{Full, Records};
use super::StoreError;
use crate::observe;

/// 1,000 deliveries a minute, kept for 70 minutes, from 3 webhooks, and some more.
const DELIVERIES: NonZeroUsize = NonZeroUsize::new(250_000).unwrap();

/// A delivery is filed under its id and under its tag.
const RECORDS_A_DELIVERY: usize = 2;

/// Keeps the deliveries of one process in its memory, and forgets them when it ends.
///
/// Clones share their records. Its clock is monotonic: setting the machine's clock ends no lease. A lease
/// ends to the nanosecond; a completed record leaves up to 0.14 s after the end of its retention, never
/// before it.
///
/// # When it is full
///
/// A delivery takes two records, of at most 48 bytes each once it is completed, so the default of 250,000
/// deliveries takes up to 24 MB, and only once there are as many. One that runs or has failed takes two of
/// at most 128 bytes. Expired records leave by themselves, a few with each claim. When a claim finds the store
/// full all the same:
///
/// 1. a record goes whose lease has ended without a word from its owner (anyone may take its key anyway);
/// 2. else the one goes that was completed or released the longest ago, of a webhook that has more than its share,
///    or of the webhook that the claim belongs to. Each webhook with records here has an equal share, and the
///    test events of a webhook have a share of their own. If the record was completed, its delivery, sent once
///    more, runs again;
/// 3. a record whose lease is running never goes. If there are no others, or all that a webhook has beyond its
///    share is running, the claim is an error.
///
/// [`evicted`](Self::evicted) counts what went, and a warning says so, at the first and then whenever the
/// count has doubled. Rule 2 counts from the end of the run, not to the end of the retention, and a record that
/// stays while most of those after it leave is filed anew: layers with very different retentions are better off with a
/// store each.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use scrapest_webhook::store::{Claim, DeliveryStore, Key, MemoryStore, Owner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (lease, keep) = (Duration::from_secs(15), Duration::from_secs(4_200));
/// let (store, key, owner) = (MemoryStore::new(), Key::from_bytes([7; 32]), Owner::random());
///
/// let Claim::Acquired { fence, attempt: 1 } = store.claim(&key, owner, lease, keep).await? else {
///     panic!("nobody else claimed it");
/// };
/// assert!(matches!(store.claim(&key, Owner::random(), lease, keep).await?, Claim::InProgress { .. }));
///
/// store.complete(&key, owner, fence, keep).await?;
/// assert_eq!(store.claim(&key, Owner::random(), lease, keep).await?, Claim::Completed);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Inner>);

struct Inner {
    records: Mutex<Records>,
    capacity: usize,
    created: Instant,
}

impl MemoryStore {
    /// A store for 250,000 deliveries.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(DELIVERIES)
    }

    /// A store for this many deliveries, which is twice as many records. Next to nothing is allocated ahead.
    ///
    /// Zero, which could only refuse every claim, is no `NonZeroUsize`.
    ///
    /// ```
    /// # use scrapest_webhook::store::MemoryStore;
    /// let store = MemoryStore::with_capacity(1_000_000.try_into()?);
    /// # Ok::<_, std::num::TryFromIntError>(())
    /// ```
    #[must_use]
    pub fn with_capacity(deliveries: NonZeroUsize) -> Self {
        let capacity = deliveries.get().saturating_mul(RECORDS_A_DELIVERY);
        // A clock before 1970 costs the growth of the fence over a restart, and nothing else.
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Arc::new(Inner {
            records: Mutex::new(Records::new(capacity, created)),
            capacity,
            created: Instant::now(),
        }))
    }

    /// How many records are kept: two a delivery, in progress or ended, those included that have expired
    /// but not left yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no record is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many records left before their time because the store was full, since it was created. More
    /// than 0 says that [`with_capacity`](Self::with_capacity) should be given more.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.lock().evicted()
    }

    /// How many records there are, and when the oldest was claimed.
    #[cfg(feature = "metrics")]
    pub(crate) fn held(&self) -> (usize, Option<SystemTime>) {
        let records = self.lock();
        let (count, oldest) = (records.len(), records.oldest_unix_millis());
        drop(records);
        (count, oldest.map(|millis| UNIX_EPOCH + std::time::Duration::from_millis(millis)))
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        // Nothing in a verb can panic half-way through a change, so the records are good in any case.
        self.0.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One verb: one lock, and one look at the clock before it, so that nobody waits for that.
    fn verb<T>(
        &self,
        verb: impl FnOnce(&mut Records, Now) -> Result<T, Full>,
    ) -> Result<T, StoreError> {
        self.verb_at(Instant::now(), verb)
    }

    /// The same where the clock was looked at already.
    fn verb_at<T>(
        &self,
        now: Instant,
        verb: impl FnOnce(&mut Records, Now) -> Result<T, Full>,
    ) -> Result<T, StoreError> {
        let elapsed = now.saturating_duration_since(self.0.created);
        let mut records = self.lock();
        let now = records.now(elapsed);
        let (evicted_before, taken_before) = (records.evicted(), records.taken_over());
        let answer = verb(&mut records, now);
        let (evicted, taken_over) = (records.evicted(), records.taken_over());
        drop(records);

        observe::taken_over(taken_over - taken_before);
        observe::evicted(evicted - evicted_before);
        // Not each time: a store that is full stays full.
        if evicted > evicted_before && evicted.is_power_of_two() {
            self.warn(evicted);
        }
        answer.map_err(|Full| {
            let deliveries = self.0.capacity / RECORDS_A_DELIVERY;
            StoreError::new(format!(
                "all {deliveries} deliveries of the memory store are in progress: \
                 raise MemoryStore::with_capacity"
            ))
        })
    }

    fn warn(&self, evicted: u64) {
        tracing::warn!(
            evicted,
            deliveries = self.0.capacity / RECORDS_A_DELIVERY,
            "memory store is full: records were evicted before they expired, so a delivery could run twice; \
             raise MemoryStore::with_capacity"
        );
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// The same for clones alone.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

/// Counts, never contents.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("records", &self.len())
            .field("capacity", &self.0.capacity)
            .field("evicted", &self.evicted())
            .finish()
    }
}
