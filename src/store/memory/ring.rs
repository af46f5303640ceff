//! What is completed, in the order in which it was: the many, so each takes no more than its key and 4 bytes. With its
//! share of the index that is 46 bytes, where a bare `LruCache` of the same keys takes 78 to 92.
//!
//! Entries are written one after the other into blocks, and leave at the front. One that leaves from the middle
//! stays behind as dead, to be passed over once it comes to the front. What a block's entries have in common is
//! kept once: the largest of their fences.

use std::collections::VecDeque;

use super::super::Key;

/// What there is to know of a completed key.
#[derive(Clone, Copy)]
pub(super) struct Completed {
    /// At least that of the record.
    pub(super) fence: u64,
    /// In nanoseconds since the store was created; at least what was promised.
    pub(super) keep_until: u64,
}

/// How many entries came before it, since the store was created.
pub(super) type Seq = u64;

/// Where an entry is, as long as it is kept: the last 31 bits of its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RingSlot(pub(super) u32);

impl RingSlot {
    const MASK: u32 = u32::MAX >> 1;

    fn of(turn: Seq) -> Self {
        Self(turn as u32 & Self::MASK)
    }
}

pub(super) struct Ring {
    /// The first is the one of the front.
    blocks: VecDeque<Block>,
    /// A block has 2 to the power of it entries.
    shift: u32,
    /// Of the front, which is live if any entry is.
    front: Seq,
    /// Of the next entry.
    next: Seq,
    live: usize,
    /// What the last block to leave had its entries in.
    spare: Vec<Entry>,
}

struct Block {
    entries: Vec<Entry>,
    fence: u64,
    /// From when it was completed.
    longest_keep: u64,
}

struct Entry {
    key: Key,
    until: Until,
}

const _: () = assert!(size_of::<Entry>() == 36);

/// The most entries of a block.
const MOST_IN_A_BLOCK: usize = 256;

impl Ring {
    /// Of so many records at most. Blocks are small against it: a key that was forgotten begins with the
    /// fence of its block, and the fences shall not run ahead of the clock.
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

    /// How many entries there are, without the dead ones.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// Of the next entry.
    #[inline]
    pub(super) fn next(&self) -> Seq {
        self.next
    }

    #[inline]
    pub(super) fn front(&self) -> Option<(RingSlot, Seq)> {
        (self.live > 0).then_some((RingSlot::of(self.front), self.front))
    }

    /// The oldest entry from `from` on that is as asked for.
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

    /// At the back.
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

    /// Takes a live entry away.
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

    /// Whether it would be shorter by half and more without the dead, of which a few do no harm.
    pub(super) fn is_mostly_dead(&self) -> bool {
        self.next - self.front > 2 * (self.live + MOST_IN_A_BLOCK) as u64
    }

    /// About when the front was completed: to what its block's entries differ in how long they are kept.
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

    /// In which block, and where there.
    #[inline]
    fn place(&self, spot: RingSlot) -> (usize, usize) {
        let since_front = spot.0.wrapping_sub(self.front as u32) & RingSlot::MASK;
        let at = u64::from(since_front) + (self.front & self.in_block());
        ((at >> self.shift) as usize, (at & self.in_block()) as usize)
    }

    /// The bits of a turn that say where in its block it is.
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

/// A moment, rounded up to 2²⁷ nanoseconds, 0.13 s, since the store was created; after 18 years, no end.
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
