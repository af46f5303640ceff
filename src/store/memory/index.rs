//! Maps a key to the place of its record, with 4 bytes of place and 1 byte of hash per record.
//!
//! The index consists of many tables that grow one at a time, so that no growth takes long. One large table would
//! stall for 29 ms at a million records.

use hashbrown::HashTable;

/// A full store has this many records in a table of 4,096 buckets, which is 8 bytes per record. Some tables get
/// more by chance, but never enough to grow.
const RECORDS_A_PART: usize = 2_560;

/// All are allocated before the first record.
const MOST_PARTS: usize = 4_096;

pub(super) struct Index {
    parts: Box<[HashTable<u32>]>,
}

/// The position of an entry in the index. Valid until the next insertion or removal.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    part: usize,
    bucket: usize,
}

impl Index {
    pub(super) fn new(capacity: usize) -> Self {
        let parts = capacity.div_ceil(RECORDS_A_PART).clamp(1, MOST_PARTS);
        Self { parts: (0..parts).map(|_| HashTable::new()).collect() }
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<(Entry, u32)> {
        let part = self.part(hash);
        let table = &self.parts[part];
        let bucket = table.find_bucket_index(hash, |place| is_it(*place))?;
        Some((Entry { part, bucket }, *table.get_bucket(bucket)?))
    }

    #[inline]
    pub(super) fn replace(&mut self, Entry { part, bucket }: Entry, place: u32) {
        if let Some(replaced) = self.parts[part].get_bucket_mut(bucket) {
            *replaced = place;
        }
    }

    #[inline]
    pub(super) fn insert(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        let part = self.part(hash);
        let table = &mut self.parts[part];
        if table.len() == table.capacity() && table.len() < table.num_buckets() * 3 / 4 {
            clear_of_removed(table, &hash_of);
        }
        table.insert_unique(hash, place, |place| hash_of(*place));
    }

    #[inline]
    pub(super) fn remove(&mut self, hash: u64, place: u32) {
        let part = self.part(hash);
        if let Ok(found) = self.parts[part].find_entry(hash, |other| *other == place) {
            found.remove();
        }
    }

    /// Uses other bits of the hash than the tables do.
    #[inline]
    fn part(&self, hash: u64) -> usize {
        ((u64::from((hash >> 16) as u32) * self.parts.len() as u64) >> 32) as usize
    }
}

/// A removed entry may leave a mark that occupies a bucket. A table full of marks would grow to twice the memory
/// per record.
#[cold]
fn clear_of_removed(table: &mut HashTable<u32>, hash_of: &impl Fn(u32) -> u64) {
    let mut cleared = HashTable::with_capacity(table.num_buckets() * 7 / 8);
    for place in table.drain() {
        cleared.insert_unique(hash_of(place), place, |place| hash_of(*place));
    }
    *table = cleared;
}
