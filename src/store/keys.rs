//! The keys of one delivery, and what the store has given for them.

use std::time::Duration;

use super::{Fence, Key, Owner};

/// The keys of one delivery, in the order in which they are claimed and completed; released in reverse.
///
/// First the guards: the same signed bytes, once for each active secret, which is one but for a change
/// of secrets. Last the main key, whose fence and attempt are the delivery's.
///
/// Each with the fence that the store gives to it. One guard is the rule, and kept in place: this is moved
/// about with every delivery.
#[derive(Clone, Debug)]
pub(crate) enum Keys {
    Main([(Key, Fence); 1]),
    Guarded([(Key, Fence); 2]),
    GuardedBySeveral(Box<[(Key, Fence)]>),
}

impl Keys {
    pub(crate) fn new(guards: impl IntoIterator<Item = Key>, main: Key) -> Self {
        let unclaimed = |key| (key, Fence::new(0));
        let main = unclaimed(main);
        let mut guards = guards.into_iter().map(unclaimed);
        match (guards.next(), guards.next()) {
            (None, _) => Self::Main([main]),
            (Some(guard), None) => Self::Guarded([guard, main]),
            (Some(first), Some(second)) => {
                let guards = [first, second].into_iter().chain(guards);
                Self::GuardedBySeveral(guards.chain([main]).collect())
            }
        }
    }

    pub(crate) fn all(&self) -> &[(Key, Fence)] {
        match self {
            Self::Main(keys) => keys,
            Self::Guarded(keys) => keys,
            Self::GuardedBySeveral(keys) => keys,
        }
    }

    pub(crate) fn all_mut(&mut self) -> &mut [(Key, Fence)] {
        match self {
            Self::Main(keys) => keys,
            Self::Guarded(keys) => keys,
            Self::GuardedBySeveral(keys) => keys,
        }
    }

    /// The main key, and its fence.
    pub(crate) fn main(&self) -> (Key, Fence) {
        match self {
            Self::Main([main]) | Self::Guarded([_, main]) => *main,
            Self::GuardedBySeveral(keys) => keys[keys.len() - 1],
        }
    }
}

/// What the store has given to this attempt.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) keys: Keys,
    pub(crate) owner: Owner,
    /// 0: it runs without a claim.
    pub(crate) attempt: u32,
    /// For how long a success is recorded.
    pub(crate) keep: Duration,
}

impl Held {
    /// The first attempt at a delivery of one key.
    #[cfg(test)]
    pub(crate) fn first() -> Self {
        let keys = Keys::new([], Key::from_bytes([0; 32]));
        Self { keys, owner: Owner::random(), attempt: 1, keep: Duration::ZERO }
    }
}
