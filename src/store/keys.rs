//! The keys of one delivery, and the result of claiming them.

use std::time::Duration;

use super::{Fence, Key, Owner};

/// The keys of one delivery with their fences, in the order in which they are claimed and completed. They are
/// released in reverse.
///
/// Tag keys come first: one per active secret, so usually one. The delivery's key comes last; its fence and
/// attempt are those of the delivery. The usual two keys are stored inline, because this value is moved for every
/// delivery.
#[derive(Clone, Debug)]
pub(crate) enum Keys {
    One([(Key, Fence); 1]),
    TagAndId([(Key, Fence); 2]),
    Several(Box<[(Key, Fence)]>),
}

impl Keys {
    /// Creates the keys from the delivery's key and the keys that are claimed before it.
    pub(crate) fn new(before: impl IntoIterator<Item = Key>, delivery: Key) -> Self {
        let unclaimed = |key| (key, Fence::new(0));
        let delivery = unclaimed(delivery);
        let mut before = before.into_iter().map(unclaimed);
        match (before.next(), before.next()) {
            (None, _) => Self::One([delivery]),
            (Some(tag), None) => Self::TagAndId([tag, delivery]),
            (Some(first), Some(second)) => {
                let before = [first, second].into_iter().chain(before);
                Self::Several(before.chain([delivery]).collect())
            }
        }
    }

    pub(crate) fn all(&self) -> &[(Key, Fence)] {
        match self {
            Self::One(keys) => keys,
            Self::TagAndId(keys) => keys,
            Self::Several(keys) => keys,
        }
    }

    pub(crate) fn all_mut(&mut self) -> &mut [(Key, Fence)] {
        match self {
            Self::One(keys) => keys,
            Self::TagAndId(keys) => keys,
            Self::Several(keys) => keys,
        }
    }

    /// The delivery's key and its fence. If the delivery has an id, this is its id key.
    pub(crate) fn delivery(&self) -> (Key, Fence) {
        match self {
            Self::One([delivery]) | Self::TagAndId([_, delivery]) => *delivery,
            Self::Several(keys) => keys[keys.len() - 1],
        }
    }
}

/// The result of a successful claim.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) keys: Keys,
    pub(crate) owner: Owner,
    /// 0 if the handler runs without a claim.
    pub(crate) attempt: u32,
    /// How long a success is remembered.
    pub(crate) keep: Duration,
}

impl Held {
    /// The first attempt at a delivery with one key.
    #[cfg(test)]
    pub(crate) fn first() -> Self {
        let keys = Keys::new([], Key::from_bytes([0; 32]));
        Self { keys, owner: Owner::random(), attempt: 1, keep: Duration::ZERO }
    }
}
