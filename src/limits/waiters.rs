//! Duplicates that wait for the attempt that runs: how many, and with one body between them.

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

/// A place among the waiting, given up when it is dropped.
#[derive(Debug)]
pub(crate) struct WaiterGuard {
    waiters: Arc<Waiters>,
    key: Key,
}

impl Default for Waiters {
    /// More duplicates of one delivery than this at one time are no retries.
    fn default() -> Self {
        Self::new(16, 1_024)
    }
}

impl Waiters {
    pub(super) fn new(per_key: usize, in_all: usize) -> Self {
        Self { per_key, in_all, waiting: Mutex::default() }
    }

    /// Waits for `key`; `body` is exchanged for the one that is held already, if the bytes are the same.
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

    /// Nothing under the lock can panic half-way, so a poisoned one is as good.
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
