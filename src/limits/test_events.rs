//! Limits how often the same test event may run if it does not contain the time at which it was sent.
//!
//! A test event without a timestamp never becomes too old, so anyone who captured one can send it forever, each time
//! under a new id. But the sender's test button sends the same bytes each time it is pressed. So each run takes one
//! of a few extra keys in the store, in addition to the key of its id, and only a few runs are allowed per minute.
//! Requests beyond that leave no record.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Key, Keys};

/// The number of different test events that are remembered here; the one that was sent the longest ago is evicted.
const KEPT: usize = 1_024;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct TestEvents {
    per_minute: usize,
    in_all: u16,
    known: Mutex<HashMap<Key, Runs>>,
}

#[derive(Debug)]
struct Runs {
    /// The starts of the runs of the last minute, the oldest first.
    recent: VecDeque<Instant>,
    /// How many of its keys, counted from the first, are known to be completed.
    completed: u16,
    since: Instant,
    last: Instant,
}

/// The keys of an undated test event. Each run takes one of them.
#[derive(Debug)]
pub(crate) struct RunKeys {
    first: Key,
    next: u16,
    any_in_progress: bool,
}

impl RunKeys {
    /// `first` is derived from the signed bytes.
    pub(crate) fn new(first: Key) -> Self {
        Self { first, next: 0, any_in_progress: false }
    }

    /// Whether one of the taken keys belongs to a run that has not ended.
    pub(crate) fn any_in_progress(&self) -> bool {
        self.any_in_progress
    }

    fn key(&self, number: u16) -> Key {
        let mut bytes = *self.first.as_bytes();
        for (byte, of_number) in bytes.iter_mut().zip(number.to_be_bytes()) {
            *byte ^= of_number;
        }
        Key::from_bytes(bytes)
    }
}

impl TestEvents {
    pub(super) fn new(per_minute: u32, in_all: u16) -> Self {
        Self { per_minute: per_minute as usize, in_all, known: Mutex::default() }
    }

    /// Counts a run in this minute, and sets the first key that may be free. Returns `false` if the event may not run
    /// now. `keep` is how long the store keeps a record.
    pub(crate) fn begin(&self, run: &mut RunKeys, keys: &mut Keys, keep: Duration) -> bool {
        let now = Instant::now();
        let mut known = self.lock();
        if known.len() >= KEPT && !known.contains_key(&run.first) {
            let oldest = known.iter().min_by_key(|(_, runs)| runs.last).map(|(key, _)| *key);
            oldest.map(|oldest| known.remove(&oldest));
        }
        let runs = known.entry(run.first).or_insert_with(|| Runs {
            recent: VecDeque::new(),
            completed: 0,
            since: now,
            last: now,
        });
        runs.last = now;
        if now.duration_since(runs.since) > keep {
            (runs.completed, runs.since) = (0, now);
        }
        while runs.recent.front().is_some_and(|began| now.duration_since(*began) >= MINUTE) {
            runs.recent.pop_front();
        }
        if runs.completed >= self.in_all || runs.recent.len() >= self.per_minute {
            return false;
        }
        runs.recent.push_back(now);
        run.next = runs.completed;
        keys.all_mut()[0].0 = run.key(run.next);
        true
    }

    /// Advances to the next key, because this one is taken. Returns `false` if there is none.
    pub(crate) fn next(&self, run: &mut RunKeys, keys: &mut Keys, completed: bool) -> bool {
        run.any_in_progress |= !completed;
        if completed
            && let Some(runs) = self.lock().get_mut(&run.first)
            && runs.completed == run.next
        {
            runs.completed += 1;
        }
        if run.next.saturating_add(1) >= self.in_all {
            return false;
        }
        run.next += 1;
        keys.all_mut()[0].0 = run.key(run.next);
        true
    }

    /// Takes back the count of a run that did not start.
    pub(crate) fn give_back(&self, run: &RunKeys) {
        if let Some(runs) = self.lock().get_mut(&run.first) {
            runs.recent.pop_back();
        }
    }

    /// No code panics while it holds the lock, so a poisoned lock is still valid.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Runs>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
