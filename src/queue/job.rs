//! A job: a stored delivery, as a worker receives it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::delivery::Delivery;
use crate::escaped::Escaped;
use crate::event::{self, EventError};
use crate::store::{Fence, Key};
use crate::{scrapebadger, scrapest};

/// A delivery that was answered with 202 and is processed now.
///
/// A job may run more than once: after a failure, and if the process died between the handler's effect and the
/// record of the success. Store the effect under [`key`](Self::key), as in a handler. Cloning is cheap.
#[derive(Clone)]
pub struct Job(Arc<Claimed>);

/// A row of the table, claimed for one run.
#[derive(Clone)]
pub(super) struct Claimed {
    pub(super) id: i64,
    pub(super) fence: i64,
    pub(super) failed: u32,
    pub(super) lost: u32,
    pub(super) created_ago: Duration,
    pub(super) delivery: NewJob,
}

/// The data that is stored for a delivery.
#[derive(Clone)]
pub(super) struct NewJob {
    pub(super) key: Key,
    pub(super) sender: String,
    pub(super) webhook: Option<String>,
    pub(super) delivery_id: Option<String>,
    pub(super) kind: Option<String>,
    /// Milliseconds since 1970.
    pub(super) timestamp: Option<i64>,
    pub(super) is_reconciled: bool,
    pub(super) headers: KeptHeaders,
    pub(super) body: Bytes,
}

/// The headers of the request that a worker may need. None of them authenticates the sender.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptHeaders {
    pub(super) content_type: Option<String>,
    pub(super) traceparent: Option<String>,
    pub(super) tracestate: Option<String>,
}

impl NewJob {
    pub(super) fn new(delivery: &Delivery, mut headers: KeptHeaders) -> Self {
        // A rebuilt body has no request that gives its content type.
        if delivery.is_reconciled() {
            headers.content_type = Some("application/json".to_owned());
        }
        let millis = |time: OffsetDateTime| (time.unix_timestamp_nanos() / 1_000_000) as i64;
        Self {
            key: delivery.key(),
            sender: text(delivery.sender()),
            webhook: delivery.webhook_id().map(text),
            delivery_id: delivery.id().map(text),
            kind: delivery.kind().map(text),
            timestamp: delivery.timestamp().map(millis),
            is_reconciled: delivery.is_reconciled(),
            headers,
            body: delivery.body().clone(),
        }
    }
}

impl NewJob {
    /// A job that is stored and removed again, to test that storing works.
    pub(super) fn probe() -> Self {
        Self {
            key: Key::from_bytes(rand::random()),
            sender: String::new(),
            webhook: None,
            delivery_id: None,
            kind: None,
            timestamp: None,
            is_reconciled: false,
            headers: KeptHeaders::default(),
            body: Bytes::new(),
        }
    }
}

/// PostgreSQL text cannot contain NUL, which a JSON string may have. The body keeps it.
fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

impl Job {
    pub(super) fn new(claimed: Claimed) -> Self {
        Self(Arc::new(claimed))
    }

    pub(super) fn claimed(&self) -> &Claimed {
        &self.0
    }

    /// Returns the number of the job in its queue, for `retry` and `drop`.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.0.id
    }

    /// Returns the key of the delivery ([`Delivery::key`]): the same for every run, different for any other
    /// delivery.
    #[must_use]
    pub fn key(&self) -> Key {
        self.0.delivery.key
    }

    /// Returns the sender: the name of its provider, for example `scrapest`.
    #[must_use]
    pub fn sender(&self) -> &str {
        &self.0.delivery.sender
    }

    /// Returns the webhook that sent it, if the layer was made for several ([`Delivery::webhook_id`]).
    #[must_use]
    pub fn webhook_id(&self) -> Option<&str> {
        self.0.delivery.webhook.as_deref()
    }

    /// Returns the delivery id as the sender wrote it. It is not signed.
    #[must_use]
    pub fn delivery_id(&self) -> Option<&str> {
        self.0.delivery.delivery_id.as_deref()
    }

    /// Returns the kind of the event, like `tweet.created`.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.0.delivery.kind.as_deref()
    }

    /// Returns the signed timestamp of the delivery, to the millisecond.
    #[must_use]
    pub fn timestamp(&self) -> Option<OffsetDateTime> {
        let millis = self.0.delivery.timestamp?;
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
    }

    /// Whether the delivery was rebuilt from the sender's log, and so was never signed
    /// ([`Delivery::is_reconciled`]).
    #[must_use]
    pub fn is_reconciled(&self) -> bool {
        self.0.delivery.is_reconciled
    }

    /// Returns the number of this attempt, from 1. Failed and lost runs count.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.failed.saturating_add(self.0.lost).saturating_add(1)
    }

    /// Returns the fence, which is larger in every later run of this job. See [`Fence`].
    #[must_use]
    pub fn fence(&self) -> Fence {
        Fence::new(u64::try_from(self.0.fence).unwrap_or(0))
    }

    /// Returns when the job was stored, computed from this machine's clock and the age that the database reported.
    #[must_use]
    pub fn stored_at(&self) -> SystemTime {
        SystemTime::now().checked_sub(self.0.created_ago).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Returns the `content-type` of the request.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.0.delivery.headers.content_type.as_deref()
    }

    /// Returns the W3C `traceparent` of the request, to continue its trace.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.0.delivery.headers.traceparent.as_deref()
    }

    /// Returns the W3C `tracestate` of the request.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.0.delivery.headers.tracestate.as_deref()
    }

    /// Returns the body, byte for byte as it was signed.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.delivery.body
    }

    /// Decodes the typed event: [`scrapest::Event`] or [`scrapebadger::Event`], or a type of your own that has
    /// `TryFrom<&Job, Error = EventError>`.
    ///
    /// # Errors
    ///
    /// [`EventError`] if a known kind has a broken payload, or if the job is from another sender. If the handler
    /// returns it, the job is dead at once.
    pub fn event<E>(&self) -> Result<E, EventError>
    where
        E: for<'a> TryFrom<&'a Self, Error = EventError>,
    {
        E::try_from(self)
    }

    /// Parses the body as JSON into a type of your own.
    ///
    /// # Errors
    ///
    /// [`EventError`] with the path of the field, if the body does not match the type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, EventError> {
        event::decode(self.body())
    }
}

impl TryFrom<&Job> for scrapest::Event {
    type Error = EventError;

    fn try_from(job: &Job) -> Result<Self, EventError> {
        if job.sender() != scrapest::SENDER {
            return Err(EventError::wrong_sender(job.sender(), scrapest::SENDER));
        }
        Self::from_body(job.kind(), job.body())
    }
}

impl TryFrom<&Job> for scrapebadger::Event {
    type Error = EventError;

    fn try_from(job: &Job) -> Result<Self, EventError> {
        if job.sender() != scrapebadger::SENDER {
            return Err(EventError::wrong_sender(job.sender(), scrapebadger::SENDER));
        }
        Self::from_body(job.kind(), job.body())
    }
}

/// Omits the body, which may be long and private.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id())
            .field("sender", &Escaped(self.sender()))
            .field("webhook_id", &self.webhook_id().map(Escaped))
            .field("delivery_id", &self.delivery_id().map(Escaped))
            .field("kind", &self.kind().map(Escaped))
            .field("attempt", &self.attempt())
            .field("fence", &self.fence())
            .field("body", &format_args!("{} bytes", self.body().len()))
            .finish_non_exhaustive()
    }
}
