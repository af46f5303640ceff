//! Records by their key, each in one of two lines, in the order in which it was put there.
//!
//! Nothing is ever searched, swept, or moved about when the table grows: records lie in blocks, and the index
//! remembers what a key hashes to. So no verb stalls because there are many.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::super::Key;

/// What runs, and what has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Running,
    Ended,
}

/// A record's place, as long as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

/// In one allocation.
const BLOCK: usize = 1_024;

/// The end of a line.
const NONE: Place = Place(u32::MAX);

pub(super) struct Table<T> {
    index: HashTable<Indexed>,
    hasher: DefaultHashBuilder,
    blocks: Vec<Vec<Node<T>>>,
    /// Places that are left behind, to be taken first.
    free: Vec<Place>,
    running: Ends,
    ended: Ends,
}

#[derive(Clone, Copy)]
struct Indexed {
    /// The lower half of what its key hashes to.
    hash: u32,
    place: Place,
}

struct Node<T> {
    key: Key,
    record: T,
    line: Line,
    older: Place,
    younger: Place,
}

#[derive(Clone, Copy)]
struct Ends {
    oldest: Place,
    youngest: Place,
}

impl Ends {
    const EMPTY: Self = Self { oldest: NONE, youngest: NONE };
}

impl<T> Table<T> {
    /// More than any memory has room for.
    pub(super) const MOST: usize = u32::MAX as usize;

    pub(super) fn new() -> Self {
        Self {
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            blocks: Vec::new(),
            free: Vec::new(),
            running: Ends::EMPTY,
            ended: Ends::EMPTY,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn find(&self, key: &Key) -> Option<Place> {
        let hash = self.hash(key);
        let is_it = |entry: &Indexed| entry.hash == hash && self.node(entry.place).key == *key;
        self.index.find(spread(hash), is_it).map(|entry| entry.place)
    }

    pub(super) fn get(&self, place: Place) -> &T {
        &self.node(place).record
    }

    pub(super) fn get_mut(&mut self, place: Place) -> &mut T {
        &mut self.node_mut(place).record
    }

    /// At the young end of `line`. The key is not there yet.
    pub(super) fn insert(&mut self, key: Key, record: T, line: Line) -> Place {
        let hash = self.hash(&key);
        let node = Node { key, record, line, older: NONE, younger: NONE };
        let place = match self.free.pop() {
            Some(place) => {
                *self.node_mut(place) = node;
                place
            }
            None => self.extend(node),
        };
        self.index.insert_unique(spread(hash), Indexed { hash, place }, |entry| spread(entry.hash));
        self.link(place, line);
        place
    }

    /// To the young end of `line`, whichever it was in.
    pub(super) fn requeue(&mut self, place: Place, line: Line) {
        self.unlink(place);
        self.link(place, line);
    }

    pub(super) fn oldest(&self, line: Line) -> Option<Place> {
        Some(self.ends(line).oldest).filter(|place| *place != NONE)
    }

    pub(super) fn remove(&mut self, place: Place) {
        self.unlink(place);
        let hash = self.hash(&self.node(place).key);
        if let Ok(entry) = self.index.find_entry(spread(hash), |entry| entry.place == place) {
            entry.remove();
        }
        self.free.push(place);
    }

    fn hash(&self, key: &Key) -> u32 {
        // Half of it is enough: a key is compared when it is found.
        self.hasher.hash_one(key) as u32
    }

    fn extend(&mut self, node: Node<T>) -> Place {
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let before = (self.blocks.len() - 1) * BLOCK;
        // There is one, of which a place is left.
        let block = &mut self.blocks[before / BLOCK];
        block.push(node);
        // It fits, as there are fewer than `MOST`.
        Place((before + block.len() - 1) as u32)
    }

    fn link(&mut self, place: Place, line: Line) {
        let ends = self.ends_mut(line);
        let youngest = std::mem::replace(&mut ends.youngest, place);
        match youngest {
            NONE => ends.oldest = place,
            _ => self.node_mut(youngest).younger = place,
        }
        let node = self.node_mut(place);
        (node.line, node.older, node.younger) = (line, youngest, NONE);
    }

    fn unlink(&mut self, place: Place) {
        let node = self.node(place);
        let (line, older, younger) = (node.line, node.older, node.younger);
        match older {
            NONE => self.ends_mut(line).oldest = younger,
            _ => self.node_mut(older).younger = younger,
        }
        match younger {
            NONE => self.ends_mut(line).youngest = older,
            _ => self.node_mut(younger).older = older,
        }
    }

    fn ends(&self, line: Line) -> &Ends {
        match line {
            Line::Running => &self.running,
            Line::Ended => &self.ended,
        }
    }

    fn ends_mut(&mut self, line: Line) -> &mut Ends {
        match line {
            Line::Running => &mut self.running,
            Line::Ended => &mut self.ended,
        }
    }

    /// Every place that is given out is in a block, for ever.
    fn node(&self, Place(at): Place) -> &Node<T> {
        &self.blocks[at as usize / BLOCK][at as usize % BLOCK]
    }

    fn node_mut(&mut self, Place(at): Place) -> &mut Node<T> {
        &mut self.blocks[at as usize / BLOCK][at as usize % BLOCK]
    }
}

/// The index goes by the highest and the lowest bits.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}
