//! Finds records by their key: records that may still change are in a [`Slab`], completed ones in a [`Ring`].
//!
//! Nothing is searched, swept, or moved when the number of records grows, so no operation stalls because of it.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use super::super::Key;
use super::index::{Entry, Index};
use super::ring::{Completed, Ring, RingSlot};
use super::shares::Shares;
use super::slab::{Queue, Slab, Slot};

/// How many entries of the ring are moved to the back at once.
const REFILED_AT_ONCE: usize = 4;

/// The place of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Live(Slot),
    Done(RingSlot),
}

/// A record that was found. Valid until the table changes.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) place: Place,
    entry: Entry,
}

/// A key and its hash.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) key: &'a Key,
    hash: u64,
}

pub(super) struct Table<T> {
    index: Index,
    hasher: DefaultHashBuilder,
    live: Slab<T>,
    done: Ring,
    shares: Shares,
}

/// Marks a place in the index as a slot. Without it, the place is the last bits of a sequence number.
const LOOSE: u32 = 1 << 31;

impl<T> Table<T>
where
    for<'a> &'a T: Into<Completed>,
{
    /// More records than fit into any memory. Even with dead entries there are fewer sequence numbers than the
    /// index can distinguish.
    pub(super) const MOST: usize = 1 << 29;

    pub(super) fn new(capacity: usize) -> Self {
        Self {
            index: Index::new(capacity),
            hasher: DefaultHashBuilder::default(),
            live: Slab::new(),
            done: Ring::new(capacity),
            shares: Shares::new(),
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.live.len() + self.done.len()
    }

    #[inline]
    pub(super) fn name<'a>(&self, key: &'a Key) -> Name<'a> {
        Name { key, hash: self.hasher.hash_one(key) }
    }

    #[inline]
    pub(super) fn find(&self, Name { key, hash }: Name<'_>) -> Option<Found> {
        let is_it = |at| match decode(at) {
            Place::Live(slot) => self.live.key(slot) == key,
            Place::Done(spot) => self.is_done_at(spot, key),
        };
        let (entry, at) = self.index.find(hash, is_it)?;
        Some(Found { place: decode(at), entry })
    }

    /// Not inlined: the key of a new delivery is compared with running records only.
    #[cold]
    #[inline(never)]
    fn is_done_at(&self, spot: RingSlot, key: &Key) -> bool {
        self.done.key(spot) == key
    }

    #[inline]
    pub(super) fn live(&self, slot: Slot) -> &T {
        self.live.get(slot)
    }

    #[inline]
    pub(super) fn loose_mut(&mut self, slot: Slot) -> &mut T {
        self.live.get_mut(slot)
    }

    #[inline]
    pub(super) fn done(&self, spot: RingSlot) -> Completed {
        self.done.get(spot)
    }

    #[cfg(feature = "metrics")]
    pub(super) fn filed_since(&self) -> Option<u64> {
        self.done.front_since()
    }

    #[inline]
    pub(super) fn oldest(&self, line: Queue) -> Option<Slot> {
        self.live.oldest(line)
    }

    /// The record that was completed the longest ago.
    #[inline]
    pub(super) fn oldest_done(&self) -> Option<RingSlot> {
        self.done.front().map(|(spot, _)| spot)
    }

    /// The record that was completed or released the longest ago.
    #[inline]
    pub(super) fn oldest_ended(&self) -> Option<Place> {
        let done = self.done.front().map(|(spot, turn)| (Place::Done(spot), turn));
        match (done, self.oldest(Queue::Released)) {
            (Some((place, turn)), Some(released)) if turn < self.live.turn(released) => Some(place),
            (Some((place, _)), None) => Some(place),
            (_, released) => released.map(Place::Live),
        }
    }

    /// The record that was completed or released the longest ago, of a webhook that has more than its share of
    /// `capacity`, or of the webhook that `key` belongs to.
    #[inline]
    pub(super) fn next_to_go(&mut self, key: &Key, capacity: usize) -> Option<Place> {
        let oldest = self.oldest_ended()?;
        match self.shares.is_alone(self.shares.group(key)) {
            true => Some(oldest),
            false => self.of_more_than_its_share(oldest, key, capacity),
        }
    }

    #[cold]
    fn of_more_than_its_share(
        &mut self,
        oldest: Place,
        key: &Key,
        capacity: usize,
    ) -> Option<Place> {
        let Self { live, done, shares, .. } = self;
        let own = shares.group(key);
        let share = shares.share(own, capacity);
        let may_go = |key: &Key| {
            let group = shares.group(key);
            group == own && shares.count(own) >= share || shares.count(group) > share
        };
        if may_go(key_at(live, done, oldest)) {
            return Some(oldest);
        }
        // The search continues where the last one ended, so no record is checked twice.
        let done_from = |from| done.first_from(from, may_go);
        let found = done_from(shares.passed).or_else(|| done_from(0));
        let found = found.map(|(spot, turn)| (Place::Done(spot), turn));
        let live = live.first(Queue::Released, may_go).map(Place::Live);
        let over = shares.count(own) > share;
        if let Some((_, turn)) = found {
            self.shares.passed = turn;
        }
        // If none was found, the oldest record is evicted, unless the claim's own webhook exceeds its share.
        found.map(|(place, _)| place).or(live).or((!over).then_some(oldest))
    }

    /// Adds a record. The key must be absent.
    #[inline]
    pub(super) fn insert(&mut self, name: Name<'_>, record: T, line: Queue) {
        let slot = self.live.insert(*name.key, record, line, self.done.next());
        self.shares.add(name.key);
        self.put(name.hash, Place::Live(slot));
    }

    /// Adds a completed record. The key must be absent.
    pub(super) fn insert_completed(&mut self, name: Name<'_>, completed: Completed, now: u64) {
        let spot = self.done.push(*name.key, completed, now);
        self.shares.add(name.key);
        self.put(name.hash, Place::Done(spot));
    }

    /// Moves a record to the young end of `line`, from either queue.
    pub(super) fn requeue(&mut self, slot: Slot, line: Queue) {
        self.live.requeue(slot, line, self.done.next());
    }

    /// Marks the key, which was found, as the last one completed.
    #[inline]
    pub(super) fn complete(&mut self, key: &Key, found: Found, completed: Completed, now: u64) {
        let spot = self.done.push(*key, completed, now);
        self.index.replace(found.entry, encode(Place::Done(spot)));
        match found.place {
            Place::Live(slot) => self.live.remove(slot),
            Place::Done(spot) => _ = self.take(spot),
        }
    }

    /// Removes a record, and returns the data that has to outlive it.
    #[inline]
    pub(super) fn remove(&mut self, place: Place) -> Completed {
        let (key, gone) = match place {
            Place::Live(slot) => {
                let gone = (*self.live.key(slot), self.live.get(slot).into());
                self.live.remove(slot);
                gone
            }
            Place::Done(spot) => self.take(spot),
        };
        self.index.remove(self.hasher.hash_one(key), encode(place));
        self.shares.take(&key);
        gone
    }

    #[inline]
    fn take(&mut self, spot: RingSlot) -> (Key, Completed) {
        let taken = self.done.take(spot);
        if self.done.is_mostly_dead() {
            self.refile();
        }
        taken
    }

    /// Shortens a ring that is mostly dead because its front entries are kept much longer than those after them.
    /// Live front entries are moved to the back, as if they had been completed last.
    #[cold]
    fn refile(&mut self) {
        for _ in 0..REFILED_AT_ONCE {
            let Some((spot, _)) = self.done.front() else { return };
            let (key, completed) = self.done.take(spot);
            let (before, now) = (encode(Place::Done(spot)), completed.keep_until);
            let after = self.done.push(key, completed, now);
            let hash = self.hasher.hash_one(key);
            if let Some((entry, _)) = self.index.find(hash, |at| at == before) {
                self.index.replace(entry, encode(Place::Done(after)));
            }
        }
    }

    #[inline]
    fn put(&mut self, hash: u64, place: Place) {
        let Self { index, hasher, live, done, .. } = self;
        let hash_of = |at| hasher.hash_one(key_at(live, done, decode(at)));
        index.insert(hash, encode(place), hash_of);
    }
}

#[inline]
fn encode(place: Place) -> u32 {
    match place {
        Place::Live(Slot(slot)) => slot | LOOSE,
        Place::Done(RingSlot(spot)) => spot,
    }
}

#[inline]
fn decode(at: u32) -> Place {
    match at & LOOSE {
        0 => Place::Done(RingSlot(at)),
        _ => Place::Live(Slot(at & !LOOSE)),
    }
}

#[inline]
fn key_at<'a, T>(live: &'a Slab<T>, done: &'a Ring, place: Place) -> &'a Key {
    match place {
        Place::Live(slot) => live.key(slot),
        Place::Done(spot) => done.key(spot),
    }
}
