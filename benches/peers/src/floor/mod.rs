//! The floor: a receiver, written by hand for one sender, that does the necessary work of a delivery and
//! nothing else.
//!
//! Like the layer, it finds the signature header and checks its shape; reads the body within a limit and a cap
//! of bytes in flight; computes one HMAC and compares it in constant time; checks freshness by the time in the
//! body; claims the tag key and the id key in one step, with owner, lease, fence and attempt, and evicts the
//! oldest record when the store is full; passes the body on unchanged with the delivery in the extensions;
//! catches a panic; answers 503 if the handler takes too long; continues in a task if it is dropped with its
//! client; completes both keys, or releases them.
//!
//! Unlike the layer, it does not support several secrets or webhooks, settings, other senders, handshakes or
//! test events; check the method, the encoding, or a second signature header; parse other time formats or
//! detect duplicate fields; share the cap between addresses, or cut slow bodies; renew leases, limit runs, or
//! count runs for a shutdown; let duplicates wait; log, trace, or count; allow another store.

pub mod actix;
pub mod store;
pub mod tower;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use hmac::{Hmac, KeyInit, Mac};
use memchr::memmem;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::sleep;

use self::store::{Claimed, Store};

const SIGNATURE: &str = "x-scrapebadger-signature";
const ID: &str = "x-scrapebadger-delivery-id";
const BODY_LIMIT: usize = 1 << 20;
const CAP: usize = 64 << 20;
const PAST: i64 = 3_600;
const FUTURE: i64 = 300;
const ANSWER_DEADLINE: Duration = Duration::from_secs(8);

/// Returns the handler's answer, or `None` once the deadline has passed. The timer is set only when the handler
/// waits, because most handlers are ready at once.
async fn in_time<H: Future + Unpin>(handler: &mut H) -> Option<H::Output> {
    let mut deadline = pin!(None);
    poll_fn(|cx| {
        if let Poll::Ready(ended) = handler.poll_unpin(cx) {
            return Poll::Ready(Some(ended));
        }
        if deadline.is_none() {
            deadline.set(Some(sleep(ANSWER_DEADLINE)));
        }
        match deadline.as_mut().as_pin_mut() {
            Some(deadline) => deadline.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

/// State shared by all requests.
pub struct Floor {
    key: Hmac<Sha256>,
    store: Store,
    in_flight: AtomicUsize,
}

/// The delivery that a handler finds in the extensions.
#[derive(Clone)]
#[expect(dead_code, reason = "it is there for a handler that asks for it")]
pub struct Delivery {
    id: Option<String>,
    fence: u64,
    attempt: u32,
    body: Bytes,
}

impl Floor {
    /// Creates a floor whose store has room for `capacity` deliveries.
    pub fn new(secret: &[u8], capacity: usize) -> Self {
        let key = Hmac::new_from_slice(secret).unwrap();
        Self { key, store: Store::new(2 * capacity), in_flight: AtomicUsize::new(0) }
    }

    /// Does everything between the complete body and the handler. The error is the status of the refusal.
    fn admit(
        &self,
        signature: [u8; 32],
        id: Option<&[u8]>,
        body: &Bytes,
    ) -> Result<(Claimed, Delivery), u16> {
        let mut mac = self.key.clone();
        mac.update(body);
        let tag: [u8; 32] = mac.finalize().into_bytes().into();
        if !bool::from(tag.ct_eq(&signature)) {
            return Err(401);
        }
        let age = OffsetDateTime::now_utc() - detected_at(body).ok_or(401_u16)?;
        if age.whole_seconds() > PAST || -age.whole_seconds() > FUTURE {
            return Err(401);
        }
        let keys = [key(b't', &tag), key(b'd', id.unwrap_or(&tag))];
        let claimed = self.store.claim(keys)?;
        let id = id.map(|id| String::from_utf8_lossy(id).into_owned());
        let Claimed { fence, attempt, .. } = claimed;
        Ok((claimed, Delivery { id, fence, attempt, body: body.clone() }))
    }

    fn settle(&self, claimed: &Claimed, status: Option<u16>) {
        match status {
            Some(200..300) => self.store.complete(claimed),
            _ => self.store.release(claimed),
        }
    }
}

/// A body that is read in chunks. A single chunk is passed on unchanged.
struct Gathering<'a> {
    floor: &'a Floor,
    first: Bytes,
    rest: BytesMut,
    length: usize,
}

impl<'a> Gathering<'a> {
    fn new(floor: &'a Floor) -> Self {
        Self { floor, first: Bytes::new(), rest: BytesMut::new(), length: 0 }
    }

    fn add(&mut self, piece: Bytes) -> Result<(), u16> {
        self.length += piece.len();
        if self.length > BODY_LIMIT {
            return Err(413);
        }
        if self.floor.in_flight.fetch_add(piece.len(), Ordering::Relaxed) + piece.len() > CAP {
            return Err(503);
        }
        match self.first.is_empty() {
            true => self.first = piece,
            false => {
                if self.rest.is_empty() {
                    self.rest.extend_from_slice(&self.first);
                }
                self.rest.extend_from_slice(&piece);
            }
        }
        Ok(())
    }

    fn end(mut self) -> Bytes {
        match self.rest.is_empty() {
            true => std::mem::take(&mut self.first),
            false => std::mem::take(&mut self.rest).freeze(),
        }
    }
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        self.floor.in_flight.fetch_sub(self.length, Ordering::Relaxed);
    }
}

/// Parses `sha256=` and 64 hex digits.
fn signature(header: Option<&[u8]>) -> Result<[u8; 32], u16> {
    let digits = header.and_then(|header| header.strip_prefix(b"sha256=")).ok_or(401_u16)?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| 401_u16)?;
    Ok(bytes)
}

/// Finds the time in the format of the sender, anywhere in the body.
fn detected_at(body: &[u8]) -> Option<OffsetDateTime> {
    const FIELD: &[u8] = b"\"detected_at\":\"";
    let text = &body[memmem::find(body, FIELD)? + FIELD.len()..];
    let text = &text[..memchr::memchr(b'"', text)?];
    OffsetDateTime::parse(std::str::from_utf8(text).ok()?, &Rfc3339).ok()
}

fn key(room: u8, name: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"scrapebadger")
        .chain_update([room])
        .chain_update(name)
        .finalize()
        .into()
}
