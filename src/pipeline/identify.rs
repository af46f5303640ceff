//! Computes the keys of a delivery. They decide which requests are the same delivery.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::signature::Signed;
use crate::access::Client;
use crate::delivery::{Delivery, Verified};
use crate::delivery_id::DeliveryId;
#[cfg(feature = "sender-api")]
use crate::limits::Body;
use crate::limits::{HeldBody, RunKeys};
use crate::provider::{DedupBy, Envelope, Provider};
use crate::receiver::{Namespace, Once, Receiver};
use crate::run_state::RunState;
use crate::secret::Webhook;
use crate::store::{Held, Key, Keys, Owner};

/// An authentic, fresh request.
#[derive(Debug)]
pub(super) struct Identified {
    /// The delivery with its keys, not yet claimed.
    pub(super) delivery: Delivery,
    /// Its bytes count as in flight until the run has ended. `None` only while the body is being moved.
    pub(super) body: Option<HeldBody>,
    /// The position of the id key, if the tag keys are claimed before it.
    pub(super) id_place: Option<usize>,
    /// Set for an undated test event: the keys from which each run takes one as its first key.
    pub(super) run_keys: Option<RunKeys>,
    /// The client whose address becomes exempt from the failure limit once this delivery is handled. Empty for a test
    /// event, because anyone could have captured and sent it.
    pub(super) client: Client,
}

pub(super) fn identify<P: Provider>(
    receiver: &Receiver<P>,
    envelope: Envelope<'_>,
    signed: Signed,
    timestamp: Option<OffsetDateTime>,
    client: Client,
    body: Bytes,
    run: &Arc<RunState>,
) -> Identified {
    let namespace = match &signed.webhook {
        Some(webhook) => namespace_of(receiver.namespace, webhook),
        None => receiver.namespace,
    };
    // The same signed bytes under a new id are a replay, so their tags are claimed first, and only an attempt that
    // holds them may claim the id. The ids of test events use separate keys, so that a captured test event cannot
    // take the id of a future delivery.
    let tags = signed.tags();
    let is_undated_test = envelope.test && timestamp.is_none();
    let room_of_ids = if envelope.test { b'e' } else { b'd' };
    let id = |id: &[u8]| id_key(namespace, room_of_ids, &envelope, id);
    let (guards, main) = match (envelope.id.as_deref(), receiver.dedup_by()) {
        (Some(name), _) if is_undated_test => (&[][..], id(name)),
        (Some(name), DedupBy::DeliveryId) => (&[][..], id(name)),
        (Some(name), DedupBy::DeliveryIdAndTag) => (tags, id(name)),
        // Every authentic request has a tag made with the first secret.
        (None, _) | (_, DedupBy::Tag) => match tags {
            [first, others @ ..] => (others, hash(namespace, b't', first)),
            [] => (tags, hash(namespace, b't', &[])),
        },
    };
    let id_place = match (envelope.test, &envelope.id, guards.len()) {
        (true, ..) | (_, None, _) | (.., 0) => None,
        (.., tags) if receiver.dedup_by() == DedupBy::DeliveryIdAndTag => Some(tags),
        _ => None,
    };
    let guards = guards.iter().map(|tag| hash(namespace, b't', tag));
    // A test event without a timestamp has the same bytes each time it is sent, and never becomes too old.
    let run_keys = match (&envelope.id, tags) {
        (Some(_), [tag, ..]) if is_undated_test => Some(hash(namespace, b'x', tag)),
        _ => None,
    };
    let keys = match &envelope.subject {
        _ if run_keys.is_some() => Keys::new(run_keys, main),
        // The subject's key comes last, so that the delivery has the subject's key and fence, whichever source
        // reports it.
        Some(subject) if receiver.once_per == Once::Tweet && !envelope.test => {
            Keys::new(guards.chain([main]), hash(namespace, b's', subject.as_bytes()))
        }
        _ => Keys::new(guards, main),
    };
    let client = if envelope.test { Client::default() } else { client };
    let webhook = signed.webhook;
    Identified {
        delivery: delivery(receiver, envelope, webhook, timestamp, keys, body, run),
        body: None,
        id_place,
        run_keys: run_keys.map(RunKeys::new),
        client,
    }
}

/// Makes a delivery whose keys are not claimed yet.
fn delivery<P: Provider>(
    receiver: &Receiver<P>,
    envelope: Envelope<'_>,
    webhook: Option<Webhook>,
    timestamp: Option<OffsetDateTime>,
    keys: Keys,
    body: Bytes,
    run: &Arc<RunState>,
) -> Delivery {
    Delivery::new(Verified {
        sender: receiver.provider.name(),
        webhook,
        id: envelope.id.map(|id| DeliveryId::new(&id)),
        kind: envelope.kind.map(|kind| known_kind(receiver, kind)),
        timestamp,
        held: Held { keys, owner: Owner::random(), attempt: 0, keep: receiver.retention() },
        body,
        reconciled: false,
        run: Arc::clone(run),
    })
}

/// Identifies a rebuilt delivery, which was never signed, by the key that the sender's own delivery has too. Returns
/// `None` if it has no such key.
#[cfg(feature = "sender-api")]
pub(super) fn rebuilt<P: Provider>(
    receiver: &Receiver<P>,
    envelope: Envelope<'_>,
    body: Body,
    run: &Arc<RunState>,
) -> Option<Identified> {
    let key = match (receiver.once_per, &envelope.subject, &envelope.id) {
        (Once::Tweet, Some(subject), _) => hash(receiver.namespace, b's', subject.as_bytes()),
        (_, _, Some(id)) => id_key(receiver.namespace, b'd', &envelope, id),
        _ => return None,
    };
    let timestamp = envelope.timestamps.iter().flatten().find_map(|timestamp| timestamp.at);
    let (keys, bytes) = (Keys::new([], key), body.bytes.clone());
    Some(Identified {
        delivery: delivery(receiver, envelope, None, timestamp, keys, bytes, run),
        body: Some(HeldBody::Alone(body)),
        id_place: None,
        run_keys: None,
        client: Client::default(),
    })
}

/// Avoids a copy if it is one of the sender's known kinds.
fn known_kind<P: Provider>(receiver: &Receiver<P>, kind: Cow<'_, str>) -> Cow<'static, str> {
    match receiver.provider.kinds().iter().find(|known| **known == kind) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(kind.into_owned()),
    }
}

/// A namespace, a letter and a tag together fit into one block of the hash. The end of a key identifies the namespace
/// and marks test events, so that a store can limit the share of each.
fn hash(namespace: Namespace, room: u8, name: &[u8]) -> Key {
    let digest = Sha256::new().chain_update(namespace).chain_update([room]).chain_update(name);
    let mut bytes: [u8; 32] = digest.finalize().into();
    bytes[24..].copy_from_slice(&namespace[..8]);
    bytes[31] ^= u8::from(matches!(room, b'e' | b'x'));
    Key::from_bytes(bytes)
}

/// Returns the key of an id, together with its scope if it has one.
fn id_key(namespace: Namespace, room: u8, envelope: &Envelope<'_>, id: &[u8]) -> Key {
    match &envelope.id_scope {
        None => hash(namespace, room, id),
        Some(scope) => {
            let scope = hash(namespace, b'i', scope);
            hash(namespace, room.to_ascii_uppercase(), &[scope.as_bytes(), id].concat())
        }
    }
}

/// Derives the namespace from the id of the matched webhook, never from the id in the request, which anyone could
/// change.
fn namespace_of(of_layer: Namespace, webhook: &Webhook) -> Namespace {
    let mut namespace = of_layer;
    namespace.copy_from_slice(&hash(of_layer, b'w', webhook.id().as_bytes()).as_bytes()[..16]);
    namespace
}
