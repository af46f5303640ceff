//! The records of a memory store and the rules by which they change, without the lock and the clock.
//!
//! Running and ended records are in queues, in the order in which they expire or are evicted. The record to evict
//! is therefore always the oldest of a queue, and nothing is searched or swept.

use std::time::Duration;

use super::super::{Claim, Fence, Key, Owner, Settled};
use super::record::{NANOS_A_MILLI, Now, Record, State, nanos};
use super::ring::Completed;
use super::slab::{Queue, Slot};
use super::table::{Found, Name, Place, Table};

/// How many expired records are removed before those of a delivery are added. It is more than a delivery adds, so
/// that their number falls, and small, so that no claim takes long.
const LEAVE_AT_ONCE: usize = 4;

/// No record can be evicted, because all of them are in progress.
#[derive(Debug)]
pub(super) struct Full;

pub(super) struct Records {
    table: Table<Record>,
    capacity: usize,
    created_unix_millis: u64,
    /// The time of the last operation, in nanoseconds since the store was created.
    last: u64,
    evicted: u64,
    taken_over: u64,
    /// At least the largest fence of all forgotten records. A forgotten key may be acquired again within the same
    /// millisecond.
    forgotten_fence: u64,
}

impl Records {
    /// Creates the records. `created` is the time since 1970.
    pub(super) fn new(capacity: usize, created: Duration) -> Self {
        let capacity = capacity.min(Table::<Record>::MOST);
        Self {
            table: Table::new(capacity),
            capacity,
            created_unix_millis: nanos(created) / NANOS_A_MILLI,
            last: 0,
            evicted: 0,
            taken_over: 0,
            forgotten_fence: 0,
        }
    }

    /// The time of an operation that began `elapsed` after the store was created. Operations may get the lock in
    /// another order than they began, so the time is never earlier than that of the operation before.
    #[inline]
    pub(super) fn now(&mut self, elapsed: Duration) -> Now {
        self.last = self.last.max(nanos(elapsed));
        Now { nanos: self.last, unix_millis: self.unix_millis(self.last) }
    }

    fn unix_millis(&self, nanos: u64) -> u64 {
        self.created_unix_millis.saturating_add(nanos / NANOS_A_MILLI)
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// How many records were evicted before they had expired.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many claims took over a key whose lease had ended without a completion or release.
    pub(super) fn taken_over(&self) -> u64 {
        self.taken_over
    }

    /// When the oldest record was claimed (its fence begins with that time), or approximately when it was
    /// completed.
    #[cfg(feature = "metrics")]
    pub(super) fn oldest_unix_millis(&self) -> Option<u64> {
        let lines = [Queue::Running, Queue::Released];
        let claimed = lines.into_iter().filter_map(|line| self.table.oldest(line));
        let claimed = claimed.map(|slot| self.table.live(slot).fence);
        let completed = self.table.filed_since().map(|nanos| self.unix_millis(nanos));
        let oldest = claimed.chain(completed).min()?;
        // No record is older than the store, even if a foreign fence suggests it.
        Some(oldest.max(self.created_unix_millis))
    }

    pub(super) fn claim(
        &mut self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
        now: Now,
    ) -> Result<Claim, Full> {
        let (lease_until, keep_until) = (now.plus(lease), now.plus(keep));
        let name = self.table.name(key);
        let slot = match self.find(name, now).map(|found| found.place) {
            Some(Place::Live(slot)) => slot,
            Some(Place::Done(_)) => return Ok(Claim::Completed),
            None => {
                self.make_room(key, now)?;
                let record = Record {
                    fence: next(self.forgotten_fence, now),
                    keep_until,
                    attempt: 1,
                    state: State::Running { owner: owner.to_bytes(), lease_until },
                };
                let acquired = record.acquired();
                self.table.insert(name, record, Queue::Running);
                return Ok(acquired);
            }
        };
        let record = self.table.loose_mut(slot);
        if !record.is_held_by(owner) {
            match record.state {
                State::Running { lease_until, .. } if now.nanos < lease_until => {
                    let retry_after = Duration::from_nanos(lease_until - now.nanos);
                    return Ok(Claim::InProgress { retry_after });
                }
                State::Running { .. } => self.taken_over += 1,
                State::Retryable => {}
            }
            // Attempts are counted as far as the store remembers.
            record.attempt = record.attempt.saturating_add(1);
            record.fence = next(record.fence, now);
        }
        record.hold(owner, lease_until);
        record.keep_until = keep_until;
        let acquired = record.acquired();
        self.table.requeue(slot, Queue::Running);
        Ok(acquired)
    }

    pub(super) fn renew(&mut self, key: &Key, owner: Owner, lease: Duration, now: Now) -> Settled {
        let Some(slot) = self.held(key, owner, now) else { return Settled::Lost };
        self.table.loose_mut(slot).hold(owner, now.plus(lease));
        self.table.requeue(slot, Queue::Running);
        Settled::Done
    }

    pub(super) fn complete(
        &mut self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
        now: Now,
    ) -> Result<Settled, Full> {
        let mut completed = Completed { fence: fence.get(), keep_until: now.plus(keep) };
        let name = self.table.name(key);
        let Some(found) = self.find(name, now) else {
            self.forget_expired(now);
            self.make_room(key, now)?;
            self.table.insert_completed(name, completed, now.nanos);
            return Ok(Settled::Lost);
        };
        let (before, is_running, is_held) = match found.place {
            Place::Done(spot) => (self.table.done(spot), false, false),
            Place::Live(slot) => {
                let record = self.table.live(slot);
                let is_running = matches!(record.state, State::Running { .. });
                (record.into(), is_running, record.is_held_by(owner))
            }
        };
        completed.fence = completed.fence.max(before.fence);
        // Two attempts may have reported a success. The longer retention applies.
        if !is_running {
            completed.keep_until = completed.keep_until.max(before.keep_until);
        }
        // A record that had ended before becomes the last to end.
        self.table.complete(key, found, completed, now.nanos);
        Ok(if is_held { Settled::Done } else { Settled::Lost })
    }

    pub(super) fn release(&mut self, key: &Key, owner: Owner, now: Now) -> Settled {
        let Some(slot) = self.held(key, owner, now) else { return Settled::Lost };
        self.table.loose_mut(slot).state = State::Retryable;
        self.table.requeue(slot, Queue::Released);
        Settled::Done
    }

    fn held(&mut self, key: &Key, owner: Owner, now: Now) -> Option<Slot> {
        match self.find(self.table.name(key), now)?.place {
            Place::Live(slot) if self.table.live(slot).is_held_by(owner) => Some(slot),
            _ => None,
        }
    }

    /// Finds a record that has not expired. An expired one is removed.
    #[inline(always)]
    fn find(&mut self, name: Name<'_>, now: Now) -> Option<Found> {
        let found = self.table.find(name)?;
        if !self.is_known(found.place, now) {
            self.forget(found.place, now);
            return None;
        }
        Some(found)
    }

    #[inline(always)]
    fn is_known(&self, place: Place, now: Now) -> bool {
        match place {
            Place::Live(slot) => self.table.live(slot).is_known(now),
            Place::Done(spot) => now.nanos < self.table.done(spot).keep_until,
        }
    }

    /// Removes a few expired records. Called before records are added.
    #[inline]
    pub(super) fn forget_expired(&mut self, now: Now) {
        for _ in 0..LEAVE_AT_ONCE {
            let Some(place) = self.expired(now) else { return };
            self.forget(place, now);
        }
    }

    /// The oldest record of a queue if it has expired. A record with a longer retention delays only its own queue.
    #[inline]
    fn expired(&self, now: Now) -> Option<Place> {
        let done = self.table.oldest_done().map(Place::Done);
        let live = [Queue::Running, Queue::Released].map(|line| self.table.oldest(line));
        let live = live.into_iter().flatten().map(Place::Live);
        done.into_iter().chain(live).find(|place| !self.is_known(*place, now))
    }

    /// Makes room for a record of this key by evicting the record whose loss does the least harm.
    #[inline]
    fn make_room(&mut self, key: &Key, now: Now) -> Result<(), Full> {
        if self.len() < self.capacity {
            return Ok(());
        }
        let abandoned = self.table.oldest(Queue::Running);
        let abandoned = abandoned.filter(|slot| !self.table.live(*slot).is_leased(now));
        match abandoned.map(Place::Live).or_else(|| self.table.next_to_go(key, self.capacity)) {
            Some(place) => self.forget(place, now),
            None => return Err(Full),
        }
        Ok(())
    }

    /// Removes a record. Never called for a record whose lease is running.
    #[inline]
    fn forget(&mut self, place: Place, now: Now) {
        let gone = self.table.remove(place);
        self.evicted += u64::from(now.nanos < gone.keep_until);
        self.forgotten_fence = self.forgotten_fence.max(gone.fence);
    }
}

/// The next fence: larger than the last one, also after a restart.
fn next(fence: u64, now: Now) -> u64 {
    fence.saturating_add(1).max(now.unix_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_go_back_after_waiting_for_the_lock() {
        let mut records = Records::new(2, Duration::ZERO);
        let [first, last] = [3_000_000_007, 2].map(Duration::from_nanos);
        for elapsed in [first, last] {
            let now = records.now(elapsed);
            assert_eq!((now.nanos, now.unix_millis), (3_000_000_007, 3_000));
        }
    }
}
