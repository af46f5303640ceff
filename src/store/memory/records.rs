//! The records of a memory store and the rules by which they change, without the lock and the clock.
//!
//! There are two tables, for what runs and for what has ended, each in the order in which its records
//! expire or are given up. So the record to give up is always the oldest of a table, and nothing is ever
//! searched or swept. It also makes an ended record, of which there are many, small: it has no owner.

use std::time::Duration;

use lru::LruCache;

use super::super::{Claim, Fence, Key, Owner, Settled};

/// How many expired records of each table leave with one claim. More than the one it adds, so that they
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

/// A record in progress. Times are in nanoseconds since the store was created.
struct Running {
    owner: Owner,
    fence: u64,
    lease_until: u64,
    keep_until: u64,
    attempt: u32,
}

impl Running {
    fn is_leased(&self, now: Now) -> bool {
        now.nanos < self.lease_until
    }

    /// Whether the record still counts; otherwise its key reads as absent.
    fn is_known(&self, now: Now) -> bool {
        self.is_leased(now) || now.nanos < self.keep_until
    }

    fn is_held_by(&self, owner: Owner, now: Now) -> bool {
        self.owner == owner && self.is_known(now)
    }

    fn past(&self, now: Now) -> Past {
        Past::new(self.fence, self.attempt, self.is_known(now))
    }

    fn acquired(&self) -> Claim {
        Claim::Acquired { fence: Fence::new(self.fence), attempt: self.attempt }
    }
}

/// A record that is completed, or else retryable.
struct Ended {
    fence: u64,
    keep_until: u64,
    attempt: u32,
    completed: bool,
}

impl Ended {
    fn is_known(&self, now: Now) -> bool {
        now.nanos < self.keep_until
    }

    fn past(&self, now: Now) -> Past {
        Past::new(self.fence, self.attempt, self.is_known(now))
    }
}

/// What the next attempt at a key goes on from.
struct Past {
    fence: u64,
    attempt: u32,
}

impl Past {
    /// The attempts are counted as far as the store remembers; the fence grows in any case.
    fn new(fence: u64, attempt: u32, known: bool) -> Self {
        let attempt = if known { attempt } else { 0 };
        Self { fence, attempt }
    }
}

// With its key (32 bytes), its links (16), its slot in the table (17, at most 7/8 of them used, and at
// least half of that) and the allocator's own it stays under 128 bytes a record.
const _: () = assert!(size_of::<Ended>() == 24);

pub(super) struct Records {
    /// In the order of the last claim or renewal.
    running: LruCache<Key, Running>,
    /// In the order in which they ended.
    ended: LruCache<Key, Ended>,
    capacity: usize,
    evicted: u64,
    taken_over: u64,
    /// The largest fence of a record that is no longer kept: its key may come back, and be acquired
    /// within the same millisecond.
    forgotten_fence: u64,
}

impl Records {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            // Bounded here, by `make_room`: the cache's own bound would drop a record in progress.
            running: LruCache::unbounded(),
            ended: LruCache::unbounded(),
            capacity,
            evicted: 0,
            taken_over: 0,
            forgotten_fence: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.running.len() + self.ended.len()
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
        let running = self.running.peek_lru().map(|(_, oldest)| oldest.fence);
        let ended = self.ended.peek_lru().map(|(_, oldest)| oldest.fence);
        running.into_iter().chain(ended).min()
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

        let mut past = None;
        if let Some(running) = self.running.peek_mut(key) {
            if running.is_held_by(owner, now) {
                (running.lease_until, running.keep_until) = (lease_until, keep_until);
                let acquired = running.acquired();
                self.running.promote(key);
                return Ok(acquired);
            }
            if running.is_leased(now) {
                let retry_after = Duration::from_nanos(running.lease_until - now.nanos);
                return Ok(Claim::InProgress { retry_after });
            }
            past = Some(running.past(now));
            self.taken_over += u64::from(running.is_known(now));
        } else if let Some(ended) = self.ended.peek(key) {
            if ended.completed && ended.is_known(now) {
                return Ok(Claim::Completed);
            }
            past = Some(ended.past(now));
            self.ended.pop(key);
        }
        if past.is_none() {
            self.make_room(now)?;
        }
        let past = past.unwrap_or(Past::new(self.forgotten_fence, 0, false));
        let running = Running {
            owner,
            fence: past.fence.saturating_add(1).max(now.unix_millis),
            lease_until,
            keep_until,
            attempt: past.attempt.saturating_add(1),
        };
        let acquired = running.acquired();
        // In place of the attempt that it takes over from, if there is one.
        self.running.put(*key, running);
        Ok(acquired)
    }

    pub(super) fn renew(&mut self, key: &Key, owner: Owner, lease: Duration, now: Now) -> Settled {
        match self.running.peek_mut(key) {
            Some(running) if running.is_held_by(owner, now) => {
                running.lease_until = now.plus(lease);
                self.running.promote(key);
                Settled::Done
            }
            _ => Settled::Lost,
        }
    }

    pub(super) fn complete(
        &mut self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
        now: Now,
    ) -> Result<Settled, Full> {
        let mut completed =
            Ended { fence: fence.get(), keep_until: now.plus(keep), attempt: 1, completed: true };
        let mut settled = Settled::Lost;
        if let Some(running) = self.running.pop(key) {
            completed.fence = completed.fence.max(running.fence);
            completed.attempt = running.attempt;
            if running.is_held_by(owner, now) {
                settled = Settled::Done;
            }
        } else if let Some(ended) = self.ended.peek(key) {
            completed.fence = completed.fence.max(ended.fence);
            completed.attempt = ended.attempt;
            // Two may have reported it: the longer promise counts.
            completed.keep_until = completed.keep_until.max(ended.keep_until);
        } else {
            self.forget_expired(now);
            self.make_room(now)?;
            completed.fence = completed.fence.max(self.forgotten_fence);
        }
        // Also moves a record that has ended before to the young end.
        self.ended.put(*key, completed);
        Ok(settled)
    }

    pub(super) fn release(&mut self, key: &Key, owner: Owner, now: Now) -> Settled {
        match self.running.peek(key) {
            Some(running) if running.is_held_by(owner, now) => {}
            _ => return Settled::Lost,
        }
        if let Some(running) = self.running.pop(key) {
            let retryable = Ended {
                fence: running.fence,
                keep_until: running.keep_until,
                attempt: running.attempt,
                completed: false,
            };
            self.ended.put(*key, retryable);
        }
        Settled::Done
    }

    fn forget_expired(&mut self, now: Now) {
        for _ in 0..LEAVE_AT_ONCE {
            match self.ended.peek_lru() {
                Some((_, oldest)) if !oldest.is_known(now) => self.forget_ended(now),
                _ => break,
            }
        }
        for _ in 0..LEAVE_AT_ONCE {
            match self.running.peek_lru() {
                Some((_, oldest)) if !oldest.is_known(now) => self.forget_running(now),
                _ => break,
            }
        }
    }

    /// Makes room for one record, at the cost of one whose loss does the least harm.
    fn make_room(&mut self, now: Now) -> Result<(), Full> {
        if self.len() < self.capacity {
            return Ok(());
        }
        match self.running.peek_lru() {
            Some((_, oldest)) if !oldest.is_leased(now) => self.forget_running(now),
            _ if !self.ended.is_empty() => self.forget_ended(now),
            _ => return Err(Full),
        }
        Ok(())
    }

    fn forget_running(&mut self, now: Now) {
        if let Some((_, gone)) = self.running.pop_lru() {
            self.forget(gone.fence, gone.is_known(now));
        }
    }

    fn forget_ended(&mut self, now: Now) {
        if let Some((_, gone)) = self.ended.pop_lru() {
            self.forget(gone.fence, gone.is_known(now));
        }
    }

    fn forget(&mut self, fence: u64, before_its_time: bool) {
        self.forgotten_fence = self.forgotten_fence.max(fence);
        self.evicted += u64::from(before_its_time);
    }
}
