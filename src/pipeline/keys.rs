//! What makes two requests the same delivery: the keys under which it is claimed.

use std::borrow::Cow;
use std::time::Duration;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::signature::Signed;
use crate::config::{Config, Namespace};
use crate::provider::{DedupBy, Envelope, Provider};
use crate::secret::Webhook;
use crate::store::{Fence, Key, Owner};

/// An authentic, fresh request, and what it is filed under.
#[derive(Debug)]
pub(super) struct Identified {
    pub(super) keys: Keys,
    pub(super) webhook: Option<Webhook>,
    pub(super) id: Option<String>,
    pub(super) kind: Option<Cow<'static, str>>,
    pub(super) timestamp: Option<OffsetDateTime>,
}

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
    fn new(guards: impl IntoIterator<Item = Key>, main: Key) -> Self {
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

    pub(super) fn all_mut(&mut self) -> &mut [(Key, Fence)] {
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

pub(super) fn identify<P: Provider>(
    config: &Config<P>,
    envelope: Envelope<'_>,
    signed: Signed,
    timestamp: Option<OffsetDateTime>,
) -> Identified {
    let namespace = match &signed.webhook {
        Some(webhook) => namespace_of(config.namespace, webhook),
        None => config.namespace,
    };
    // The same signed bytes under a new id are a replay: their tags are claimed first, and only who has
    // them may take the id. A test event sends the same bytes each time and counts by its id; in a room of
    // its own, so that a captured one cannot take the id of a delivery that is yet to come.
    let tags = signed.tags();
    let (guards, room, name) = match (&envelope.id, config.dedup_by()) {
        (Some(id), _) if envelope.test => (&[][..], b'e', &**id),
        (Some(id), DedupBy::DeliveryId) => (&[][..], b'd', &**id),
        (Some(id), DedupBy::DeliveryIdAndTag) => (tags, b'd', &**id),
        // Something authentic has a tag under the first secret, if under any.
        (None, _) | (_, DedupBy::Tag) => match tags {
            [first, others @ ..] => (others, b't', &first[..]),
            [] => (tags, b't', &[][..]),
        },
    };
    let guards = guards.iter().map(|tag| hash(namespace, b't', tag));
    let keys = Keys::new(guards, hash(namespace, room, name));
    Identified {
        keys,
        webhook: signed.webhook,
        id: envelope.id.map(|id| text(&id)),
        kind: envelope.kind.map(|kind| known_kind(config, kind)),
        timestamp,
    }
}

/// Without a copy, if it is one of those that the sender is known for.
fn known_kind<P: Provider>(config: &Config<P>, kind: Cow<'_, str>) -> Cow<'static, str> {
    match config.provider.kinds().iter().find(|known| **known == kind) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(kind.into_owned()),
    }
}

fn text(id: &[u8]) -> String {
    match std::str::from_utf8(id) {
        Ok(id) => id.to_owned(),
        Err(_) => String::from_utf8_lossy(id).into_owned(),
    }
}

/// A namespace, a letter and a tag together fit into one block of the hash.
fn hash(namespace: Namespace, room: u8, name: &[u8]) -> Key {
    let digest = Sha256::new().chain_update(namespace).chain_update([room]).chain_update(name);
    Key::from_bytes(digest.finalize().into())
}

/// By the id that it was found under, never by what the request says, which anyone could change.
fn namespace_of(of_layer: Namespace, webhook: &Webhook) -> Namespace {
    let mut namespace = of_layer;
    namespace.copy_from_slice(&hash(of_layer, b'w', webhook.id().as_bytes()).as_bytes()[..16]);
    namespace
}
