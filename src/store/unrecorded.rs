//! Successes of this process that the store has not received yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Fence, Key};

/// The keys of deliveries that have succeeded here while the store did not answer. Once their leases have ended,
/// the store would report these keys as free, so they are looked up here first.
#[derive(Debug, Default)]
pub(super) struct Unrecorded {
    /// A key may be in it several times: each attempt reports its own success.
    keys: Mutex<HashMap<Key, usize>>,
    /// The number of keys. It is usually 0, and then nothing is locked.
    count: AtomicUsize,
}

/// A claim of one of its keys is a duplicate until this is dropped.
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

    /// The position of the first of these keys that is not recorded yet.
    pub(super) fn first_of(&self, keys: &[(Key, Fence)]) -> Option<usize> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let waiting = self.lock();
        keys.iter().position(|(key, _)| waiting.contains_key(key))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, usize>> {
        // No operation under the lock can panic and leave a partial change.
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
    fn a_key_stays_listed_until_all_its_successes_are_recorded() {
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
