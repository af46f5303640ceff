//! What a sender says of a request.

use std::borrow::Cow;

use bytes::Bytes;
use time::OffsetDateTime;

/// What a request says of itself.
#[derive(Clone, Debug, Default)]
pub struct Envelope<'a> {
    pub(crate) id: Option<Cow<'a, [u8]>>,
    pub(crate) kind: Option<Cow<'a, str>>,
    pub(crate) subject: Option<Cow<'a, str>>,
    pub(crate) timestamps: [Option<Timestamp>; 2],
    pub(crate) challenge: Option<Challenge>,
    pub(crate) test: bool,
    pub(crate) unsigned_timestamp_will_do: bool,
    pub(crate) missing_timestamp_will_do: bool,
}

impl<'a> Envelope<'a> {
    /// Nothing but that it exists. Without a signed timestamp it is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The delivery id. An empty one is none.
    #[must_use]
    pub fn with_id(self, id: Option<impl Into<Cow<'a, [u8]>>>) -> Self {
        let id = id.map(Into::into).filter(|id| !id.is_empty());
        Self { id, ..self }
    }

    /// The kind of the event.
    #[must_use]
    pub fn with_kind(self, kind: Option<impl Into<Cow<'a, str>>>) -> Self {
        Self { kind: kind.map(Into::into), ..self }
    }

    /// What the event is about, such as the tweet's id, where the body says so under the signature. With
    /// [`Once::Tweet`](crate::Once::Tweet) two deliveries of one subject are one. An empty one counts as absent.
    #[must_use]
    pub fn with_subject(self, subject: Option<impl Into<Cow<'a, str>>>) -> Self {
        let subject = subject.map(Into::into).filter(|subject| !subject.is_empty());
        Self { subject, ..self }
    }

    /// A timestamp; at most two are kept, and each must be fresh.
    #[must_use]
    pub fn with_timestamp(mut self, timestamp: Option<Timestamp>) -> Self {
        if let Some(free) = self.timestamps.iter_mut().find(|slot| slot.is_none()) {
            *free = timestamp;
        }
        self
    }

    /// A challenge to be answered; the request goes no further. It may lack a timestamp: its answer
    /// gives away nothing that the one who sends it does not know.
    #[must_use]
    pub fn with_challenge(self, challenge: Option<Challenge>) -> Self {
        let exempt = self.missing_timestamp_will_do || challenge.is_some();
        Self { challenge, missing_timestamp_will_do: exempt, ..self }
    }

    /// A test event. It may lack a timestamp. Without one it counts by its delivery id, and the same bytes may run
    /// a few times: see [`with_max_undated_tests`](crate::WebhookLayer::with_max_undated_tests).
    #[must_use]
    pub fn with_test(self, test: bool) -> Self {
        let exempt = self.missing_timestamp_will_do || test;
        Self { test, missing_timestamp_will_do: exempt, ..self }
    }

    /// Accept it if no timestamp is signed, as long as those there are fresh. Insecure: who captures a
    /// request can date it anew, so it is refused only while the store remembers it.
    #[must_use]
    pub fn with_insecure_unsigned_timestamp(self, insecure: bool) -> Self {
        Self { unsigned_timestamp_will_do: insecure, ..self }
    }

    /// Accept it without any timestamp, for senders that date nothing. Insecure: a captured request is
    /// refused only while the store remembers it, so keep the retention long.
    #[must_use]
    pub fn with_insecure_missing_timestamp(self) -> Self {
        Self { missing_timestamp_will_do: true, ..self }
    }
}

/// A time that a request names, and how far it can be believed.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp {
    pub(crate) at: Option<OffsetDateTime>,
    pub(crate) signed: bool,
    pub(crate) of_attempt: bool,
}

impl Timestamp {
    /// A time under the signature; `None` if what stands there cannot be read, which is not fresh.
    #[must_use]
    pub fn signed(at: Option<OffsetDateTime>) -> Self {
        Self { at, signed: true, of_attempt: false }
    }

    /// A time beside the signature, which anyone on the way may have changed.
    #[must_use]
    pub fn unsigned(at: Option<OffsetDateTime>) -> Self {
        Self { at, signed: false, of_attempt: false }
    }

    /// Says that it is the time of this attempt and not of the event. If it is signed as well,
    /// [`attempt_tolerance`](super::Provider::attempt_tolerance) applies to it.
    #[must_use]
    pub fn of_attempt(self) -> Self {
        Self { of_attempt: true, ..self }
    }
}

/// A value that the sender wants to see again before it activates a webhook.
#[derive(Clone, Debug)]
pub struct Challenge {
    pub(crate) content_type: &'static str,
    pub(crate) answer: Bytes,
}

impl Challenge {
    /// Answered as JSON, `{"<field>": "<value>"}`. `None` unless the value is 1 to 1,024 printable ASCII
    /// characters: it is reflected, so it must not be able to carry anything else.
    #[must_use]
    pub fn json(field: &str, value: &str) -> Option<Self> {
        let answer = serde_json::json!({ field: Self::harmless(value)? }).to_string().into();
        Some(Self { content_type: "application/json", answer })
    }

    /// Answered as plain text, the value alone. `None` unless as above.
    #[must_use]
    pub fn text(value: &str) -> Option<Self> {
        let answer = Bytes::copy_from_slice(Self::harmless(value)?.as_bytes());
        Some(Self { content_type: "text/plain; charset=utf-8", answer })
    }

    fn harmless(value: &str) -> Option<&str> {
        let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        ((1..=1_024).contains(&value.len()) && value.bytes().all(printable)).then_some(value)
    }
}
