//! Completed records, in the order of their completion. They are the majority, so each takes only its key and 4
//! bytes. With its share of the index this is 46 bytes; a bare `LruCache` with the same keys takes 78 to 92.
//!
//! Entries are appended to blocks and removed at the front. An entry that is removed from the middle stays as a
//! dead entry and is skipped when it reaches the front. A block keeps one fence for all its entries: the largest.

use std::collections::VecDeque;

use super::super::Key;

/// The data of a completed key.
#[derive(Clone, Copy)]
pub(super) struct Completed {
    /// At least the fence of the record.
    pub(super) fence: u64,
    /// In nanoseconds since the store was created. Never earlier than the end of the retention.
    pub(super) keep_until: u64,
}

/// The sequence number of an entry: how many entries came before it since the store was created.
pub(super) type Seq = u64;

/// The place of an entry as long as it is kept: the last 31 bits of its sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RingSlot(pub(super) u32);

impl RingSlot {
    const MASK: u32 = u32::MAX >> 1;

    fn of(turn: Seq) -> Self {
        Self(turn as u32 & Self::MASK)
    }
}

pub(super) struct Ring {
    /// The first block contains the front.
    blocks: VecDeque<Block>,
    /// A block has `2^shift` entries.
    shift: u32,
    /// The sequence number of the front entry, which is live unless the ring is empty.
    front: Seq,
    /// The sequence number of the next entry.
    next: Seq,
    live: usize,
    /// The allocation of the last block that was removed, for reuse.
    spare: Vec<Entry>,
}

struct Block {
    entries: Vec<Entry>,
    fence: u64,
    /// The longest retention, counted from the completion.
    longest_keep: u64,
}

struct Entry {
    key: Key,
    until: Until,
}

const _: () = assert!(size_of::<Entry>() == 36);

/// The largest number of entries per block.
const MOST_IN_A_BLOCK: usize = 256;

impl Ring {
    /// Creates a ring for at most `capacity` records. Blocks are small compared with the ring: a forgotten key
    /// starts with the fence of its block, and fences must not run ahead of the clock.
    pub(super) fn new(capacity: usize) -> Self {
        let block = (capacity / 8).clamp(1, MOST_IN_A_BLOCK).next_power_of_two();
        Self {
            blocks: VecDeque::new(),
            shift: block.trailing_zeros(),
            front: 0,
            next: 0,
            live: 0,
            spare: Vec::new(),
        }
    }

    /// The number of live entries.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// The sequence number of the next entry.
    #[inline]
    pub(super) fn next(&self) -> Seq {
        self.next
    }

    #[inline]
    pub(super) fn front(&self) -> Option<(RingSlot, Seq)> {
        (self.live > 0).then_some((RingSlot::of(self.front), self.front))
    }

    /// The oldest entry from `from` on whose key satisfies the predicate.
    pub(super) fn first_from(
        &self,
        from: Seq,
        is_it: impl Fn(&Key) -> bool,
    ) -> Option<(RingSlot, Seq)> {
        (from.max(self.front)..self.next).map(|turn| (RingSlot::of(turn), turn)).find(
            |(spot, _)| {
                let (block, entry) = self.place(*spot);
                let entry = &self.blocks[block].entries[entry];
                entry.until != Until::DEAD && is_it(&entry.key)
            },
        )
    }

    pub(super) fn key(&self, spot: RingSlot) -> &Key {
        let (block, entry) = self.place(spot);
        &self.blocks[block].entries[entry].key
    }

    #[inline]
    pub(super) fn get(&self, spot: RingSlot) -> Completed {
        let (block, entry) = self.place(spot);
        let block = &self.blocks[block];
        Completed { fence: block.fence, keep_until: block.entries[entry].until.nanos() }
    }

    /// Appends an entry at the back.
    #[inline]
    pub(super) fn push(&mut self, key: Key, completed: Completed, now: u64) -> RingSlot {
        if self.next & self.in_block() == 0 {
            self.extend();
        }
        let spot = RingSlot::of(self.next);
        if let Some(block) = self.blocks.back_mut() {
            block.push(key, completed, now);
        }
        self.next += 1;
        self.live += 1;
        spot
    }

    /// Removes a live entry.
    #[inline]
    pub(super) fn take(&mut self, spot: RingSlot) -> (Key, Completed) {
        let (block, entry) = self.place(spot);
        let block = &mut self.blocks[block];
        let gone = &mut block.entries[entry];
        let completed = Completed { fence: block.fence, keep_until: gone.until.nanos() };
        let key = gone.key;
        gone.until = Until::DEAD;
        self.live -= 1;
        if spot == RingSlot::of(self.front) {
            self.pass_over_the_dead();
        }
        (key, completed)
    }

    /// Whether dead entries make up more than half of the ring. A few dead entries do no harm.
    pub(super) fn is_mostly_dead(&self) -> bool {
        self.next - self.front > 2 * (self.live + MOST_IN_A_BLOCK) as u64
    }

    /// When the front entry was completed, approximately: the error is the difference between the retentions in
    /// its block.
    #[cfg(feature = "metrics")]
    pub(super) fn front_since(&self) -> Option<u64> {
        let (front, _) = self.front()?;
        Some(self.get(front).keep_until.saturating_sub(self.blocks[0].longest_keep))
    }

    #[cold]
    fn extend(&mut self) {
        let mut entries = std::mem::take(&mut self.spare);
        entries.reserve_exact(1 << self.shift);
        self.blocks.push_back(Block { entries, fence: 0, longest_keep: 0 });
    }

    #[inline]
    fn pass_over_the_dead(&mut self) {
        while self.front < self.next {
            let entry = (self.front & self.in_block()) as usize;
            if self.blocks[0].entries[entry].until != Until::DEAD {
                return;
            }
            self.front += 1;
            if self.front & self.in_block() == 0 {
                self.leave_block();
            }
        }
    }

    #[cold]
    fn leave_block(&mut self) {
        if let Some(block) = self.blocks.pop_front() {
            self.spare = block.entries;
            self.spare.clear();
        }
    }

    /// The index of the block, and the position in it.
    #[inline]
    fn place(&self, spot: RingSlot) -> (usize, usize) {
        let since_front = spot.0.wrapping_sub(self.front as u32) & RingSlot::MASK;
        let at = u64::from(since_front) + (self.front & self.in_block());
        ((at >> self.shift) as usize, (at & self.in_block()) as usize)
    }

    /// A mask for the bits of a sequence number that give the position in a block.
    #[inline]
    fn in_block(&self) -> u64 {
        (1 << self.shift) - 1
    }
}

impl Block {
    #[inline]
    fn push(&mut self, key: Key, completed: Completed, now: u64) {
        let until = Until::from_nanos(completed.keep_until);
        self.fence = self.fence.max(completed.fence);
        self.longest_keep = self.longest_keep.max(until.nanos().saturating_sub(now));
        self.entries.push(Entry { key, until });
    }
}

/// A time since the store was created, rounded up to 2²⁷ ns (0.13 s). After 18 years it means "never".
#[derive(Clone, Copy, PartialEq, Eq)]
struct Until(u32);

impl Until {
    const SHIFT: u32 = 27;
    const DEAD: Self = Self(0);
    const NEVER: Self = Self(u32::MAX);

    fn from_nanos(nanos: u64) -> Self {
        let units = nanos.div_ceil(1 << Self::SHIFT).max(1);
        Self(u32::try_from(units).unwrap_or(u32::MAX))
    }

    fn nanos(self) -> u64 {
        match self {
            Self::NEVER => u64::MAX,
            Self(units) => u64::from(units) << Self::SHIFT,
        }
    }
}
