//! Records that may still change. Each is in one of two queues, in the order in which it was added.
//!
//! The records are stored in blocks, so that none is moved when more are added. A table that doubles at a million
//! records stalls for 29 ms; the longest operation here takes 0.2 ms.

use super::super::Key;
use super::ring::Seq;

/// The queues: running records, and records that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    Running,
    Released,
}

/// The slot of a record, valid as long as the record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(pub(super) u32);

/// The number of records in one allocation.
const BLOCK: usize = 256;

/// The end of a queue.
const NONE: Slot = Slot(u32::MAX);

pub(super) struct Slab<T> {
    blocks: Vec<Vec<Node<T>>>,
    lines: [Ends; 2],
    /// The first free slot. The others are linked to it.
    free: Slot,
    len: usize,
}

struct Node<T> {
    key: Key,
    record: T,
    /// Records that were completed from this sequence number on are younger.
    turn: Seq,
    older: Slot,
    younger: Slot,
    line: Queue,
}

#[derive(Clone, Copy)]
struct Ends {
    oldest: Slot,
    youngest: Slot,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        let empty = Ends { oldest: NONE, youngest: NONE };
        Self { blocks: Vec::new(), lines: [empty; 2], free: NONE, len: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn key(&self, slot: Slot) -> &Key {
        &self.node(slot).key
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot) -> &T {
        &self.node(slot).record
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: Slot) -> &mut T {
        &mut self.node_mut(slot).record
    }

    #[inline]
    pub(super) fn turn(&self, slot: Slot) -> Seq {
        self.node(slot).turn
    }

    #[inline]
    pub(super) fn oldest(&self, line: Queue) -> Option<Slot> {
        Some(self.lines[line as usize].oldest).filter(|slot| *slot != NONE)
    }

    /// The oldest record of `line` whose key satisfies the predicate.
    pub(super) fn first(&self, line: Queue, is_it: impl Fn(&Key) -> bool) -> Option<Slot> {
        let mut slot = self.oldest(line)?;
        while !is_it(self.key(slot)) {
            slot = Some(self.node(slot).younger).filter(|slot| *slot != NONE)?;
        }
        Some(slot)
    }

    /// Adds a record at the young end of `line`.
    #[inline]
    pub(super) fn insert(&mut self, key: Key, record: T, line: Queue, turn: Seq) -> Slot {
        let node = Node { key, record, turn, older: NONE, younger: NONE, line };
        let slot = match self.free {
            NONE => self.extend(node),
            slot => {
                let left = self.node_mut(slot);
                let next = left.younger;
                *left = node;
                self.free = next;
                slot
            }
        };
        self.len += 1;
        self.link(slot, line);
        slot
    }

    /// Moves a record to the young end of `line`, from either queue.
    pub(super) fn requeue(&mut self, slot: Slot, line: Queue, turn: Seq) {
        self.unlink(slot);
        self.node_mut(slot).turn = turn;
        self.link(slot, line);
    }

    #[inline]
    pub(super) fn remove(&mut self, slot: Slot) {
        self.unlink(slot);
        let free = std::mem::replace(&mut self.free, slot);
        self.node_mut(slot).younger = free;
        self.len -= 1;
    }

    #[cold]
    fn extend(&mut self, node: Node<T>) -> Slot {
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let before = (self.blocks.len() - 1) * BLOCK;
        // The last block exists and has a free slot.
        let block = &mut self.blocks[before / BLOCK];
        block.push(node);
        // This fits because there are fewer than `Table::MOST` records.
        Slot((before + block.len() - 1) as u32)
    }

    #[inline]
    fn link(&mut self, slot: Slot, line: Queue) {
        let ends = &mut self.lines[line as usize];
        let youngest = std::mem::replace(&mut ends.youngest, slot);
        match youngest {
            NONE => ends.oldest = slot,
            _ => self.node_mut(youngest).younger = slot,
        }
        let node = self.node_mut(slot);
        (node.line, node.older, node.younger) = (line, youngest, NONE);
    }

    #[inline]
    fn unlink(&mut self, slot: Slot) {
        let node = self.node(slot);
        let (line, older, younger) = (node.line as usize, node.older, node.younger);
        match older {
            NONE => self.lines[line].oldest = younger,
            _ => self.node_mut(older).younger = younger,
        }
        match younger {
            NONE => self.lines[line].youngest = older,
            _ => self.node_mut(younger).older = older,
        }
    }

    /// Every slot that was ever returned is in a block, because blocks are never freed.
    #[inline]
    fn node(&self, Slot(at): Slot) -> &Node<T> {
        &self.blocks[at as usize / BLOCK][at as usize % BLOCK]
    }

    #[inline]
    fn node_mut(&mut self, Slot(at): Slot) -> &mut Node<T> {
        &mut self.blocks[at as usize / BLOCK][at as usize % BLOCK]
    }
}
