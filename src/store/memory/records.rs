//! The records of a memory store and the rules by which they change, without the lock and the clock.
//!
//! There are two lines, of what runs and of what has ended, each in the order in which its records expire or
//! are given up. So the record to give up is always the oldest of a line, and nothing is ever searched or
//! swept.

use std::time::Duration;

use super::super::{Claim, Fence, Key, Owner, Settled};
use super::table::{Line, Place, Table};

/// How many expired records of each line leave with one claim. More than the one it adds, so that they
/// become fewer; few, so that no claim waits for many.
const LEAVE_AT_ONCE: usize = 4;

/// The store's time.
#[derive(Clone, Copy)]
pub(super) struct Now {
    /// Since the store was created, never going back: for leases and retention.
    pub(super) nanos: u64,
    /// For fences, which must also be larger than those before a restart.
    pub(super) unix_millis: u64,
}

impl Now {
    fn plus(self, duration: Duration) -> u64 {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.saturating_add(nanos)
    }
}

/// There is no room for a record, as all of them are in progress.
#[derive(Debug)]
pub(super) struct Full;

/// What is kept of a key. Times are in nanoseconds since the store was created.
struct Record {
    fence: u64,
    keep_until: u64,
    attempt: u32,
    state: State,
}

enum State {
    Running {
        /// As bytes: as a number it would make every record larger.
        owner: [u8; 16],
        lease_until: u64,
    },
    Completed,
    Retryable,
}

// With its key (32 bytes), its links (12), its share of the index (9, at most 7/8 of them used, and at least
// half of that) and the allocator's own it stays under 128 bytes a record.
const _: () = assert!(size_of::<Record>() <= 56);

impl Record {
    fn is_leased(&self, now: Now) -> bool {
        matches!(self.state, State::Running { lease_until, .. } if now.nanos < lease_until)
    }

    /// Whether the record still counts; otherwise its key reads as absent.
    fn is_known(&self, now: Now) -> bool {
        now.nanos < self.keep_until || self.is_leased(now)
    }

    fn is_held_by(&self, by: Owner, now: Now) -> bool {
        matches!(self.state, State::Running { owner, .. } if owner == by.to_bytes())
            && self.is_known(now)
    }

    fn hold(&mut self, by: Owner, lease_until: u64) {
        self.state = State::Running { owner: by.to_bytes(), lease_until };
    }

    fn acquired(&self) -> Claim {
        Claim::Acquired { fence: Fence::new(self.fence), attempt: self.attempt }
    }
}

pub(super) struct Records {
    table: Table<Record>,
    capacity: usize,
    evicted: u64,
    taken_over: u64,
    /// The largest fence of a record that is no longer kept: its key may come back, and be acquired
    /// within the same millisecond.
    forgotten_fence: u64,
}

impl Records {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.min(Table::<Record>::MOST);
        Self { table: Table::new(), capacity, evicted: 0, taken_over: 0, forgotten_fence: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// How many went that still counted.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many were claimed anew whose lease had ended without a word.
    pub(super) fn taken_over(&self) -> u64 {
        self.taken_over
    }

    /// When the oldest was claimed: its fence begins with that time. Of what has ended, the first to end.
    #[cfg(feature = "metrics")]
    pub(super) fn oldest_unix_millis(&self) -> Option<u64> {
        let oldest = [Line::Running, Line::Ended].map(|line| self.table.oldest(line));
        oldest.into_iter().flatten().map(|place| self.table.get(place).fence).min()
    }

    pub(super) fn claim(
        &mut self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
        now: Now,
    ) -> Result<Claim, Full> {
        self.forget_expired(now);
        let (lease_until, keep_until) = (now.plus(lease), now.plus(keep));
        let Some(place) = self.table.find(key) else {
            self.make_room(now)?;
            let record = Record {
                fence: next(self.forgotten_fence, now),
                keep_until,
                attempt: 1,
                state: State::Running { owner: owner.to_bytes(), lease_until },
            };
            let acquired = record.acquired();
            self.table.insert(*key, record, Line::Running);
            return Ok(acquired);
        };
        let record = self.table.get_mut(place);
        if !record.is_held_by(owner, now) {
            match record.state {
                State::Running { lease_until, .. } if now.nanos < lease_until => {
                    let retry_after = Duration::from_nanos(lease_until - now.nanos);
                    return Ok(Claim::InProgress { retry_after });
                }
                State::Completed if record.is_known(now) => return Ok(Claim::Completed),
                _ => {}
            }
            let is_abandoned = matches!(record.state, State::Running { .. });
            self.taken_over += u64::from(is_abandoned && record.is_known(now));
            // The attempts are counted as far as the store remembers; the fence grows in any case.
            let before = if record.is_known(now) { record.attempt } else { 0 };
            record.attempt = before.saturating_add(1);
            record.fence = next(record.fence, now);
        }
        record.hold(owner, lease_until);
        record.keep_until = keep_until;
        let acquired = record.acquired();
        self.table.requeue(place, Line::Running);
        Ok(acquired)
    }

    pub(super) fn renew(&mut self, key: &Key, owner: Owner, lease: Duration, now: Now) -> Settled {
        let Some(place) = self.held(key, owner, now) else { return Settled::Lost };
        self.table.get_mut(place).hold(owner, now.plus(lease));
        self.table.requeue(place, Line::Running);
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
        let keep_until = now.plus(keep);
        let Some(place) = self.table.find(key) else {
            self.forget_expired(now);
            self.make_room(now)?;
            let fence = fence.get().max(self.forgotten_fence);
            let record = Record { fence, keep_until, attempt: 1, state: State::Completed };
            self.table.insert(*key, record, Line::Ended);
            return Ok(Settled::Lost);
        };
        let record = self.table.get_mut(place);
        let is_held = record.is_held_by(owner, now);
        record.fence = record.fence.max(fence.get());
        record.keep_until = match record.state {
            State::Running { .. } => keep_until,
            // Two may have reported it: the longer promise counts.
            State::Completed | State::Retryable => record.keep_until.max(keep_until),
        };
        record.state = State::Completed;
        // Also one that has ended before.
        self.table.requeue(place, Line::Ended);
        Ok(if is_held { Settled::Done } else { Settled::Lost })
    }

    pub(super) fn release(&mut self, key: &Key, owner: Owner, now: Now) -> Settled {
        let Some(place) = self.held(key, owner, now) else { return Settled::Lost };
        self.table.get_mut(place).state = State::Retryable;
        self.table.requeue(place, Line::Ended);
        Settled::Done
    }

    fn held(&self, key: &Key, owner: Owner, now: Now) -> Option<Place> {
        self.table.find(key).filter(|place| self.table.get(*place).is_held_by(owner, now))
    }

    fn forget_expired(&mut self, now: Now) {
        for line in [Line::Ended, Line::Running] {
            for _ in 0..LEAVE_AT_ONCE {
                match self.table.oldest(line) {
                    Some(oldest) if !self.table.get(oldest).is_known(now) => {
                        self.forget(oldest, now);
                    }
                    _ => break,
                }
            }
        }
    }

    /// Makes room for one record, at the cost of one whose loss does the least harm.
    fn make_room(&mut self, now: Now) -> Result<(), Full> {
        if self.len() < self.capacity {
            return Ok(());
        }
        let abandoned = self.table.oldest(Line::Running);
        let abandoned = abandoned.filter(|place| !self.table.get(*place).is_leased(now));
        match abandoned.or_else(|| self.table.oldest(Line::Ended)) {
            Some(place) => self.forget(place, now),
            None => return Err(Full),
        }
        Ok(())
    }

    fn forget(&mut self, place: Place, now: Now) {
        let gone = self.table.get(place);
        let (fence, is_known) = (gone.fence, gone.is_known(now));
        self.forgotten_fence = self.forgotten_fence.max(fence);
        self.evicted += u64::from(is_known);
        self.table.remove(place);
    }
}

/// Larger than the one before, also over a restart.
fn next(fence: u64, now: Now) -> u64 {
    fence.saturating_add(1).max(now.unix_millis)
}
