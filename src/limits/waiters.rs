//! Limits the duplicates that wait for a running attempt, and lets them share one body.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Body;
use crate::rejection::RejectionKind;
use crate::store::Key;

#[derive(Debug)]
pub(super) struct Waiters {
    per_key: usize,
    in_all: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    in_all: usize,
    keys: HashMap<Key, Group>,
}

#[derive(Debug)]
struct Group {
    count: usize,
    /// The body of the first waiter. A waiter with the same bytes drops its own copy.
    body: Arc<Body>,
}

/// Counts one waiter until it is dropped.
#[derive(Debug)]
pub(crate) struct WaiterGuard {
    waiters: Arc<Waiters>,
    key: Key,
}

impl Default for Waiters {
    /// More simultaneous duplicates of one delivery than this are not genuine retries.
    fn default() -> Self {
        Self::new(16, 1_024)
    }
}

impl Waiters {
    pub(super) fn new(per_key: usize, in_all: usize) -> Self {
        Self { per_key, in_all, waiting: Mutex::default() }
    }

    /// Registers a waiter for `key`. If the bytes are the same, `body` is replaced by the one that is already in
    /// memory.
    pub(super) fn join(
        self: &Arc<Self>,
        key: Key,
        body: &mut Arc<Body>,
    ) -> Result<WaiterGuard, RejectionKind> {
        let mut waiting = self.lock();
        if waiting.in_all >= self.in_all || self.per_key == 0 {
            return Err(RejectionKind::TooManyWaiting);
        }
        match waiting.keys.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(Group { count: 1, body: Arc::clone(body) });
            }
            Entry::Occupied(group) => {
                let group = group.into_mut();
                if group.count >= self.per_key {
                    return Err(RejectionKind::TooManyWaiting);
                }
                group.count += 1;
                if group.body.bytes == body.bytes {
                    *body = Arc::clone(&group.body);
                }
            }
        }
        waiting.in_all += 1;
        drop(waiting);
        Ok(WaiterGuard { waiters: Arc::clone(self), key })
    }

    /// No code panics while it holds the lock, so a poisoned lock is still valid.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaiterGuard {
    fn drop(&mut self) {
        let mut waiting = self.waiters.lock();
        waiting.in_all -= 1;
        if let Entry::Occupied(mut group) = waiting.keys.entry(self.key) {
            group.get_mut().count -= 1;
            if group.get().count == 0 {
                group.remove();
            }
        }
    }
}
