//! What makes two requests the same delivery: the keys under which it is claimed.

use std::time::Duration;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::signature::Signed;
use crate::config::{Config, MOST_SECRETS};
use crate::provider::{DedupBy, Envelope, Provider};
use crate::store::{Fence, Key, Owner};

/// An authentic, fresh request, and what it is filed under.
#[derive(Debug)]
pub(super) struct Identified {
    pub(super) keys: Keys,
    pub(super) id: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) timestamp: Option<OffsetDateTime>,
}

/// The keys of one delivery, in the order in which they are claimed and completed; released in reverse.
///
/// First the guards: the same signed bytes, once for each active secret, which is one but for a change
/// of secrets. Last the main key, whose fence and attempt are the delivery's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    keys: [Key; Self::MOST],
    count: usize,
}

impl Keys {
    pub(crate) const MOST: usize = MOST_SECRETS + 1;

    fn new(guards: [Option<Key>; MOST_SECRETS], main: Key) -> Self {
        let (mut keys, mut count) = ([main; Self::MOST], 0);
        for guard in guards.into_iter().flatten() {
            keys[count] = guard;
            count += 1;
        }
        keys[count] = main;
        Self { keys, count: count + 1 }
    }

    pub(crate) fn main(&self) -> Key {
        self.keys[self.count - 1]
    }

    pub(crate) fn all(&self) -> &[Key] {
        &self.keys[..self.count]
    }
}

/// What the store has given to this attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) keys: Keys,
    pub(crate) owner: Owner,
    /// Of the keys in their order.
    pub(crate) fences: [Fence; Keys::MOST],
    /// 0: it runs without a claim.
    pub(crate) attempt: u32,
    /// For how long a success is recorded.
    pub(crate) keep: Duration,
}

impl Held {
    pub(crate) fn unclaimed(keys: Keys, owner: Owner, keep: Duration) -> Self {
        Self { keys, owner, fences: [Fence::new(0); Keys::MOST], attempt: 0, keep }
    }

    /// The first attempt at a delivery of one key.
    #[cfg(test)]
    pub(crate) fn first() -> Self {
        let keys = Keys::new([None; MOST_SECRETS], Key::from_bytes([0; 32]));
        Self { attempt: 1, ..Self::unclaimed(keys, Owner::random(), Duration::ZERO) }
    }

    /// Of the main key.
    pub(crate) fn fence(&self) -> Fence {
        self.fences[self.keys.count - 1]
    }
}

pub(super) fn identify<P: Provider>(
    config: &Config<P>,
    envelope: Envelope<'_>,
    signed: &Signed,
    timestamp: Option<OffsetDateTime>,
) -> Identified {
    // The same signed bytes under a new id are a replay: their tags are claimed first, and only who has
    // them may take the id. A test event sends the same bytes each time and counts by its id; in a room of
    // its own, so that a captured one cannot take the id of a delivery that is yet to come.
    let mut guards = signed.tags.map(|tag| tag.map(|tag| hash(config, b't', &tag)));
    let main = match (&envelope.id, config.dedup_by()) {
        (Some(id), _) if envelope.test => {
            guards = [None; MOST_SECRETS];
            hash(config, b'e', id)
        }
        (Some(id), DedupBy::DeliveryId) => {
            guards = [None; MOST_SECRETS];
            hash(config, b'd', id)
        }
        (Some(id), DedupBy::DeliveryIdAndTag) => hash(config, b'd', id),
        // Something authentic has a tag under the first secret, if under any.
        (None, _) | (_, DedupBy::Tag) => {
            guards[0].take().unwrap_or_else(|| hash(config, b't', &[]))
        }
    };
    Identified {
        keys: Keys::new(guards, main),
        id: envelope.id.map(|id| String::from_utf8_lossy(&id).into_owned()),
        kind: envelope.kind.map(std::borrow::Cow::into_owned),
        timestamp,
    }
}

/// A namespace, a letter and a tag together fit into one block of the hash.
fn hash<P>(config: &Config<P>, room: u8, name: &[u8]) -> Key {
    let digest =
        Sha256::new().chain_update(config.namespace).chain_update([room]).chain_update(name);
    Key::from_bytes(digest.finalize().into())
}
