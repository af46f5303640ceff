//! Successes of this process that the store has yet to be told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Fence, Key};

/// The keys of deliveries that have succeeded here while the store could not be told. The store still says that they
/// are free once their leases have ended, so this is asked first.
#[derive(Debug, Default)]
pub(super) struct Unrecorded {
    /// A key may wait several times: each attempt reports its own success.
    keys: Mutex<HashMap<Key, usize>>,
    /// The number of keys: usually 0, and then nothing is locked.
    count: AtomicUsize,
}

/// Until it is dropped, a claim of one of its keys is a duplicate.
#[derive(Debug)]
pub(crate) struct UnrecordedGuard {
    unrecorded: Arc<Unrecorded>,
    keys: Vec<Key>,
}

impl Unrecorded {
    pub(super) fn add(self: &Arc<Self>, keys: &[(Key, Fence)]) -> UnrecordedGuard {
        let keys: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
        let mut waiting = self.lock();
        for key in &keys {
            *waiting.entry(*key).or_default() += 1;
        }
        self.count.store(waiting.len(), Ordering::Release);
        drop(waiting);
        UnrecordedGuard { unrecorded: Arc::clone(self), keys }
    }

    /// The place of the first of these keys that waits.
    pub(super) fn first_of(&self, keys: &[(Key, Fence)]) -> Option<usize> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let waiting = self.lock();
        keys.iter().position(|(key, _)| waiting.contains_key(key))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, usize>> {
        // Nothing under the lock can panic half-way through a change.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnrecordedGuard {
    fn drop(&mut self) {
        let mut waiting = self.unrecorded.lock();
        for key in &self.keys {
            if let Some(times) = waiting.get_mut(key) {
                *times -= 1;
                if *times == 0 {
                    waiting.remove(key);
                }
            }
        }
        self.unrecorded.count.store(waiting.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_until_every_success_of_it_is_recorded() {
        let unrecorded = Arc::<Unrecorded>::default();
        let key = |byte| (Key::from_bytes([byte; 32]), Fence::new(0));
        assert_eq!(unrecorded.first_of(&[key(1)]), None);
        let first = unrecorded.add(&[key(1), key(2)]);
        let second = unrecorded.add(&[key(2)]);
        drop(first);
        assert_eq!(unrecorded.first_of(&[key(1), key(2)]), Some(1));
        assert_eq!(unrecorded.first_of(&[key(1), key(3)]), None);
        drop(second);
        assert_eq!(unrecorded.first_of(&[key(2)]), None);
    }
}
