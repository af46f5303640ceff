//! What makes two requests the same delivery: the keys under which it is claimed.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::signature::Signed;
use crate::config::Config;
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

/// One key or two, in the order in which they are claimed and completed; released in reverse.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    guard: Option<Key>,
    /// The last to be claimed; its fence and attempt are the delivery's.
    main: Key,
}

impl Keys {
    pub(super) fn main(&self) -> Key {
        self.main
    }

    /// What stands before the main key, which is to be released if that is taken.
    pub(super) fn guard(&self) -> Option<Key> {
        self.guard
    }

    pub(super) fn in_order(&self) -> [Option<Key>; 2] {
        [self.guard, Some(self.main)]
    }
}

/// What the store has given to this attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) keys: Keys,
    pub(super) owner: Owner,
    /// Of the keys in their order.
    pub(super) fences: [Fence; 2],
    pub(super) fence: Fence,
    pub(super) attempt: u32,
}

pub(super) fn identify<P: Provider>(
    config: &Config<P>,
    envelope: Envelope<'_>,
    signed: &Signed,
    timestamp: Option<OffsetDateTime>,
) -> Identified {
    let tag = || hash(config, b't', &signed.tag);
    // The same signed bytes under a new id are a replay: the tag is claimed first, and only who has it
    // may take the id. A test event sends the same bytes each time and counts by its id; in a room of
    // its own, so that a captured one cannot take the id of a delivery that is yet to come.
    let (guard, main) = match (&envelope.id, config.dedup_by()) {
        (Some(id), _) if envelope.test => (None, hash(config, b'e', id)),
        (None, _) | (_, DedupBy::Tag) => (None, tag()),
        (Some(id), DedupBy::DeliveryId) => (None, hash(config, b'd', id)),
        (Some(id), DedupBy::DeliveryIdAndTag) => (Some(tag()), hash(config, b'd', id)),
    };
    Identified {
        keys: Keys { guard, main },
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
