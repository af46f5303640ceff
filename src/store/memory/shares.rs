//! Decides which records a full store evicts. A webhook that has no more than its share keeps its records.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use super::super::Key;
use super::ring::Seq;

/// The number of groups in which webhooks are counted. With more webhooks some share a group. An attacker cannot
/// choose which, because the hash is new in each process.
const GROUPS: usize = 4_096;

pub(super) type Group = u16;

pub(super) struct Shares {
    counts: Vec<u32>,
    /// The number of groups that have records.
    live: usize,
    hasher: DefaultHashBuilder,
    /// Completed records before this one belonged to groups that had no more than their share at the last check.
    pub(super) passed: Seq,
}

impl Shares {
    pub(super) fn new() -> Self {
        let hasher = DefaultHashBuilder::default();
        Self { counts: vec![0; GROUPS], live: 0, hasher, passed: 0 }
    }

    #[inline]
    pub(super) fn group(&self, key: &Key) -> Group {
        (self.hasher.hash_one(key.of_webhook()) as usize % GROUPS) as Group
    }

    #[inline]
    pub(super) fn add(&mut self, key: &Key) {
        let group = usize::from(self.group(key));
        let count = &mut self.counts[group];
        self.live += usize::from(*count == 0);
        *count += 1;
    }

    #[inline]
    pub(super) fn take(&mut self, key: &Key) {
        let group = usize::from(self.group(key));
        let count = &mut self.counts[group];
        *count -= 1;
        self.live -= usize::from(*count == 0);
    }

    /// Whether all records belong to this group.
    #[inline]
    pub(super) fn is_alone(&self, group: Group) -> bool {
        self.live == usize::from(self.counts[usize::from(group)] > 0)
    }

    /// The number of records that a group may have out of `capacity`, once `newcomer` has some.
    pub(super) fn share(&self, newcomer: Group, capacity: usize) -> usize {
        let live = self.live + usize::from(self.counts[usize::from(newcomer)] == 0);
        capacity / live.max(1)
    }

    pub(super) fn count(&self, group: Group) -> usize {
        self.counts[usize::from(group)] as usize
    }
}
