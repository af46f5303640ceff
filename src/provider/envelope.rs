//! The description of a request that a sender's rules give.

use std::borrow::Cow;

use bytes::Bytes;
use time::OffsetDateTime;

use crate::json::{self, Field};

/// What a request says about itself.
#[derive(Clone, Debug, Default)]
pub struct Envelope<'a> {
    pub(crate) id: Option<Cow<'a, [u8]>>,
    pub(crate) id_scope: Option<Cow<'a, [u8]>>,
    pub(crate) kind: Option<Cow<'a, str>>,
    pub(crate) subject: Option<Cow<'a, str>>,
    pub(crate) timestamps: [Option<Timestamp>; 2],
    pub(crate) challenge: Option<Challenge>,
    pub(crate) test: bool,
    pub(crate) filtered: bool,
    pub(crate) unsigned_timestamp_will_do: bool,
    pub(crate) missing_timestamp_will_do: bool,
}

impl<'a> Envelope<'a> {
    /// An empty envelope. Without a signed timestamp, the request is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The delivery id. An empty one counts as missing.
    #[must_use]
    pub fn with_id(self, id: Option<impl Into<Cow<'a, [u8]>>>) -> Self {
        let id = id.map(Into::into).filter(|id| !id.is_empty());
        Self { id, ..self }
    }

    /// For an id that is not unique by itself: two requests are the same delivery only if the id and these bytes are
    /// both the same. Default: none, the id alone identifies a delivery.
    #[must_use]
    pub fn with_id_scope(self, scope: Option<impl Into<Cow<'a, [u8]>>>) -> Self {
        Self { id_scope: scope.map(Into::into), ..self }
    }

    /// The kind of the event.
    #[must_use]
    pub fn with_kind(self, kind: Option<impl Into<Cow<'a, str>>>) -> Self {
        Self { kind: kind.map(Into::into), ..self }
    }

    /// What the event is about, such as the tweet's id, if the signed body says so. With
    /// [`Once::Tweet`](crate::Once::Tweet) two deliveries of one subject are one. An empty one counts as absent.
    #[must_use]
    pub fn with_subject(self, subject: Option<impl Into<Cow<'a, str>>>) -> Self {
        let subject = subject.map(Into::into).filter(|subject| !subject.is_empty());
        Self { subject, ..self }
    }

    /// A timestamp. At most two are kept, and each must be fresh.
    #[must_use]
    pub fn with_timestamp(mut self, timestamp: Option<Timestamp>) -> Self {
        if let Some(free) = self.timestamps.iter_mut().find(|slot| slot.is_none()) {
            *free = timestamp;
        }
        self
    }

    /// A challenge to be answered; the request goes no further. It may lack a timestamp: the answer tells the
    /// sender nothing new.
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

    /// An event that the application does not want: the request is answered with 200 once it has proved authentic
    /// and fresh, and the handler does not run. Default: `false`.
    #[must_use]
    pub fn with_filtered(self, filtered: bool) -> Self {
        Self { filtered, ..self }
    }

    /// Accept the request if no timestamp is signed, as long as the timestamps that it has are fresh. Insecure: an
    /// attacker who captures a request can give it a new date, so it is refused only while the store remembers it.
    #[must_use]
    pub fn with_insecure_unsigned_timestamp(self, insecure: bool) -> Self {
        Self { unsigned_timestamp_will_do: insecure, ..self }
    }

    /// Accept the request without any timestamp, for senders that send none. Insecure: a captured request is
    /// refused only while the store remembers it, so keep the retention long.
    #[must_use]
    pub fn with_insecure_missing_timestamp(self, insecure: bool) -> Self {
        Self { missing_timestamp_will_do: self.missing_timestamp_will_do || insecure, ..self }
    }
}

/// A time in a request, and how far it can be trusted.
#[derive(Clone, Debug)]
pub struct Timestamp {
    pub(crate) at: Option<OffsetDateTime>,
    pub(crate) signed: bool,
    pub(crate) of_attempt: bool,
    pub(crate) source: SourceName,
    /// The value, of one that cannot be read.
    pub(crate) unreadable: Option<Box<str>>,
}

impl Timestamp {
    /// A time under the signature. `None` is a value that cannot be read, which is never fresh.
    #[must_use]
    pub fn signed(at: Option<OffsetDateTime>) -> Self {
        Self {
            at,
            signed: true,
            of_attempt: false,
            source: SourceName::default(),
            unreadable: None,
        }
    }

    /// A time that is not under the signature, so that an attacker may have changed it.
    #[must_use]
    pub fn unsigned(at: Option<OffsetDateTime>) -> Self {
        Self { signed: false, ..Self::signed(at) }
    }

    /// Reads the value of a header: RFC 3339 with an offset, or a whole number of seconds, milliseconds,
    /// microseconds or nanoseconds since 1970, told apart by their magnitude.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<OffsetDateTime> {
        json::parse_time_header(value)
    }

    /// Marks it as the time of this attempt and not of the event. If it is signed as well,
    /// [`attempt_tolerance`](super::Provider::attempt_tolerance) applies to it.
    #[must_use]
    pub fn of_attempt(self) -> Self {
        Self { of_attempt: true, ..self }
    }

    /// The name and the value of the header or field that it is from. They are logged if the request is refused
    /// because of it.
    #[must_use]
    pub fn with_source(mut self, name: &str, value: &[u8]) -> Self {
        self.source = SourceName::new(name);
        if self.at.is_none() {
            let value = &value[..value.len().min(256)];
            self.unreadable = Some(String::from_utf8_lossy(value).into());
        }
        self
    }

    /// The field `name` of a signed body.
    pub(crate) fn in_body(body: &[u8], name: &str, field: &Field<'_>) -> Option<Self> {
        let at = field.time()?;
        let value = match at {
            Some(_) => None,
            None => json::raw_field(body, name),
        };
        Some(Self::signed(at).with_source(name, value.unwrap_or_default()))
    }
}

/// The name of a header or field, kept without an allocation; a long one is cut.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SourceName {
    length: u8,
    bytes: [u8; 31],
}

impl SourceName {
    fn new(name: &str) -> Self {
        let mut bytes = [0; 31];
        let fits = |length: &usize| name.is_char_boundary(*length);
        let length = (0..=bytes.len().min(name.len())).rev().find(fits).unwrap_or_default();
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        Self { length: length as u8, bytes }
    }

    /// Empty if it was not told.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length.into()]).unwrap_or_default()
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
    /// characters: the answer repeats it, so it must not be able to carry anything else.
    #[must_use]
    pub fn json(field: &str, value: &str) -> Option<Self> {
        let answer = serde_json::json!({ field: Self::harmless(value)? }).to_string().into();
        Some(Self { content_type: "application/json", answer })
    }

    /// Answered as plain text, the value alone. `None` unless the value is 1 to 1,024 printable ASCII characters.
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
