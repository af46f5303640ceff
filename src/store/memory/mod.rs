//! The default store, which keeps the records in the memory of this process.
//!
//! One mutex guards four structures; `table.rs` keeps them consistent, `records.rs` has the operations.
//!
//! ```text
//! key ─► index (index.rs): key's hash → where its record is
//!          ├─ Live ─► slab (slab.rs): runs or was released, ≤ 128 B
//!          │            └─► queues, oldest first: Running · Released
//!          └─ Done ─► ring (ring.rs): completed, in that order, ≤ 48 B
//!                       front (removed first) … next (added here)
//! ```
//!
//! A completion moves a record from the slab to the ring. Its sequence number gives its age. Expired records are
//! removed from the front, a few with each claim, so no sweep stalls a claim.

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

/// 1,000 deliveries a minute, kept for 70 minutes, from 3 webhooks, and a margin.
const DELIVERIES: NonZeroUsize = NonZeroUsize::new(250_000).unwrap();

/// A delivery has an id key and a tag key.
const RECORDS_A_DELIVERY: usize = 2;

/// Keeps deliveries in the memory of one process and forgets them when the process ends.
///
/// Clones share their records. The store's clock is monotonic: setting the machine's clock ends no lease. A lease
/// ends to the nanosecond. A completed record expires up to 0.14 s after the end of its retention, never before
/// it.
///
/// # When the store is full
///
/// A delivery takes two records of at most 48 bytes each once it is completed, so the default of 250,000
/// deliveries takes up to 24 MB. The memory is allocated as the records are added. A delivery that is running or
/// has failed takes two records of at most 128 bytes. Each claim removes a few expired records. If the store is
/// full nevertheless, a claim evicts a record:
///
/// 1. first a record whose lease has ended without a completion or release (another attempt may take over its key
///    anyway);
/// 2. otherwise the record that was completed or released the longest ago, of a webhook that has more than its
///    share, or of the claim's own webhook. Each webhook with records in the store has an equal share, and its
///    test events have a share of their own. If the evicted record was completed and its delivery is sent again,
///    the handler runs again;
/// 3. never a record whose lease is running. If there are no other records, or if all records of a webhook beyond
///    its share are running, the claim is an error.
///
/// [`evicted`](Self::evicted) counts the evicted records. A warning is logged at the first one and each time the
/// count has doubled. Rule 2 uses the time since the end of the run, not the end of the retention, and a record
/// that is kept much longer than those completed after it is moved to the back. Layers with very different
/// retentions should therefore have a store each.
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
    /// Creates a store for 250,000 deliveries.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(DELIVERIES)
    }

    /// Creates a store for this many deliveries, which is twice as many records. Almost nothing is allocated in
    /// advance.
    ///
    /// A capacity of zero, which would refuse every claim, cannot be written as a `NonZeroUsize`.
    ///
    /// ```
    /// # use scrapest_webhook::store::MemoryStore;
    /// let store = MemoryStore::with_capacity(1_000_000.try_into()?);
    /// # Ok::<_, std::num::TryFromIntError>(())
    /// ```
    #[must_use]
    pub fn with_capacity(deliveries: NonZeroUsize) -> Self {
        let capacity = deliveries.get().saturating_mul(RECORDS_A_DELIVERY);
        // A clock before 1970 only means that fences do not grow across a restart.
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Arc::new(Inner {
            records: Mutex::new(Records::new(capacity, created)),
            capacity,
            created: Instant::now(),
        }))
    }

    /// The number of records: two per delivery, in progress or ended. Expired records count until they are
    /// removed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether the store has no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many records were evicted because the store was full, since it was created. If it is more than 0, pass
    /// a larger number to [`with_capacity`](Self::with_capacity).
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.lock().evicted()
    }

    /// The number of records, and when the oldest was claimed.
    #[cfg(feature = "metrics")]
    pub(crate) fn held(&self) -> (usize, Option<SystemTime>) {
        let records = self.lock();
        let (count, oldest) = (records.len(), records.oldest_unix_millis());
        drop(records);
        (count, oldest.map(|millis| UNIX_EPOCH + std::time::Duration::from_millis(millis)))
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        // No operation can panic and leave a partial change, so the records are always valid.
        self.0.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one operation under the lock. The clock is read before it, so that other callers do not wait for that.
    fn verb<T>(
        &self,
        verb: impl FnOnce(&mut Records, Now) -> Result<T, Full>,
    ) -> Result<T, StoreError> {
        self.verb_at(Instant::now(), verb)
    }

    /// Runs one operation under the lock, at a time that the caller has already read.
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
        // Logged only at powers of two, because a full store stays full.
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
    /// An address that only clones have in common.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

/// Prints counts, never contents.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("records", &self.len())
            .field("capacity", &self.0.capacity)
            .field("evicted", &self.evicted())
            .finish()
    }
}
