//! How often the same test event may run, if nothing in it says when it was sent.
//!
//! A test event without a timestamp never grows old, so anyone who captured one can send it for ever, each time under
//! a new id; and the sender's test button sends the same bytes each time it is pressed. So each run takes one
//! of a few keys of its own in the store, beside that of its id, and within a minute only a handful may run. What
//! goes beyond that leaves no record.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Key, Keys};

/// Of so many different test events what is known here is kept; the one that was sent the longest ago is forgotten.
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
    /// Those of the last minute, the oldest first.
    recent: VecDeque<Instant>,
    /// So many of its keys, from the first on, are known to be completed.
    completed: u16,
    since: Instant,
    last: Instant,
}

/// The keys of an undated test event, of which a run takes one.
#[derive(Debug)]
pub(crate) struct RunKeys {
    first: Key,
    next: u16,
    any_in_progress: bool,
}

impl RunKeys {
    /// `first` is made of the signed bytes.
    pub(crate) fn new(first: Key) -> Self {
        Self { first, next: 0, any_in_progress: false }
    }

    /// Whether a key that is taken is that of a run that goes on.
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

    /// Takes a place among the runs of this minute, and the first key that may be free. `false` if this may
    /// not run now. `keep` is how long the store remembers.
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

    /// Goes on to the next key, since this one is taken. `false` if there is none.
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

    /// It did not run after all.
    pub(crate) fn give_back(&self, run: &RunKeys) {
        if let Some(runs) = self.lock().get_mut(&run.first) {
            runs.recent.pop_back();
        }
    }

    /// Nothing under the lock can panic half-way, so a poisoned one is as good.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Runs>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
