//! The description of a request, as a provider returns it.

use std::borrow::Cow;

use bytes::Bytes;
use time::OffsetDateTime;

use crate::json::{self, Field};

/// The data that a request carries about its delivery.
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
    /// Creates an empty envelope. Without a signed timestamp, the request is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the delivery id. An empty id counts as missing.
    #[must_use]
    pub fn with_id(self, id: Option<impl Into<Cow<'a, [u8]>>>) -> Self {
        let id = id.map(Into::into).filter(|id| !id.is_empty());
        Self { id, ..self }
    }

    /// Sets the scope of an id that is not unique by itself: two requests are the same delivery only if both the
    /// id and these bytes are equal. Default: none, the id alone identifies a delivery.
    #[must_use]
    pub fn with_id_scope(self, scope: Option<impl Into<Cow<'a, [u8]>>>) -> Self {
        Self { id_scope: scope.map(Into::into), ..self }
    }

    /// Sets the kind of the event.
    #[must_use]
    pub fn with_kind(self, kind: Option<impl Into<Cow<'a, str>>>) -> Self {
        Self { kind: kind.map(Into::into), ..self }
    }

    /// Sets the subject of the event, for example the tweet's id, if the signed body contains it. With
    /// [`Once::Tweet`](crate::Once::Tweet) two deliveries with the same subject count as one. An empty subject
    /// counts as absent.
    #[must_use]
    pub fn with_subject(self, subject: Option<impl Into<Cow<'a, str>>>) -> Self {
        let subject = subject.map(Into::into).filter(|subject| !subject.is_empty());
        Self { subject, ..self }
    }

    /// Adds a timestamp. At most two are kept, and each must be fresh.
    #[must_use]
    pub fn with_timestamp(mut self, timestamp: Option<Timestamp>) -> Self {
        if let Some(free) = self.timestamps.iter_mut().find(|slot| slot.is_none()) {
            *free = timestamp;
        }
        self
    }

    /// Sets a challenge. The request is answered with it and not processed further. It may lack a timestamp,
    /// because the answer tells the sender nothing new.
    #[must_use]
    pub fn with_challenge(self, challenge: Option<Challenge>) -> Self {
        let exempt = self.missing_timestamp_will_do || challenge.is_some();
        Self { challenge, missing_timestamp_will_do: exempt, ..self }
    }

    /// Marks a test event. It may lack a timestamp. It is then identified by its delivery id, and the same bytes
    /// may run a few times: see [`with_max_undated_tests`](crate::WebhookLayer::with_max_undated_tests).
    #[must_use]
    pub fn with_test(self, test: bool) -> Self {
        let exempt = self.missing_timestamp_will_do || test;
        Self { test, missing_timestamp_will_do: exempt, ..self }
    }

    /// Marks an event that the application does not want. Once the request has proved authentic and fresh, it is
    /// answered with 200, and the handler does not run. Default: `false`.
    #[must_use]
    pub fn with_filtered(self, filtered: bool) -> Self {
        Self { filtered, ..self }
    }

    /// Accepts the request without a signed timestamp, as long as its unsigned timestamps are fresh. Insecure: an
    /// attacker who captures a request can change its date, so a replay is refused only while the store remembers
    /// the request.
    #[must_use]
    pub fn with_insecure_unsigned_timestamp(self, insecure: bool) -> Self {
        Self { unsigned_timestamp_will_do: insecure, ..self }
    }

    /// Accepts the request without any timestamp, for senders that send none. Insecure: a captured request is
    /// refused only while the store remembers it, so keep the retention long.
    #[must_use]
    pub fn with_insecure_missing_timestamp(self, insecure: bool) -> Self {
        Self { missing_timestamp_will_do: self.missing_timestamp_will_do || insecure, ..self }
    }
}

/// A time in a request, and whether it is signed.
#[derive(Clone, Debug)]
pub struct Timestamp {
    pub(crate) at: Option<OffsetDateTime>,
    pub(crate) signed: bool,
    pub(crate) of_attempt: bool,
    pub(crate) source: SourceName,
    /// The value, if it cannot be parsed.
    pub(crate) unreadable: Option<Box<str>>,
}

impl Timestamp {
    /// Creates a timestamp that is covered by the signature. `None` means that the value could not be parsed; such
    /// a timestamp is never fresh.
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

    /// Creates a timestamp that is not covered by the signature, so an attacker may have changed it.
    #[must_use]
    pub fn unsigned(at: Option<OffsetDateTime>) -> Self {
        Self { signed: false, ..Self::signed(at) }
    }

    /// Parses the value of a header: RFC 3339 with an offset, or a whole number of seconds, milliseconds,
    /// microseconds or nanoseconds since 1970. The magnitude of the number gives the unit.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<OffsetDateTime> {
        json::parse_time_header(value)
    }

    /// Marks the timestamp as the time of this attempt instead of the event. If it is also signed,
    /// [`attempt_tolerance`](super::Provider::attempt_tolerance) applies to it.
    #[must_use]
    pub fn of_attempt(self) -> Self {
        Self { of_attempt: true, ..self }
    }

    /// Sets the name and the value of the header or field that contains the timestamp. They are logged if the
    /// request is refused because of it.
    #[must_use]
    pub fn with_source(mut self, name: &str, value: &[u8]) -> Self {
        self.source = SourceName::new(name);
        if self.at.is_none() {
            let value = &value[..value.len().min(256)];
            self.unreadable = Some(String::from_utf8_lossy(value).into());
        }
        self
    }

    /// Creates a timestamp from the field `name` of a signed body.
    pub(crate) fn in_body(body: &[u8], name: &str, field: &Field<'_>) -> Option<Self> {
        let at = field.time()?;
        let value = match at {
            Some(_) => None,
            None => json::raw_field(body, name),
        };
        Some(Self::signed(at).with_source(name, value.unwrap_or_default()))
    }
}

/// The name of a header or field, stored without an allocation. A long name is truncated.
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

    /// Empty if the name was not given.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length.into()]).unwrap_or_default()
    }
}

/// A value that a sender expects in the response before it activates a webhook.
#[derive(Clone, Debug)]
pub struct Challenge {
    pub(crate) content_type: &'static str,
    pub(crate) answer: Bytes,
}

impl Challenge {
    /// A JSON response, `{"<field>": "<value>"}`. `None` unless the value is 1 to 1,024 printable ASCII
    /// characters: the response repeats the value, so it must not be able to carry anything else.
    #[must_use]
    pub fn json(field: &str, value: &str) -> Option<Self> {
        let answer = serde_json::json!({ field: Self::harmless(value)? }).to_string().into();
        Some(Self { content_type: "application/json", answer })
    }

    /// A plain-text response with the value only. `None` unless the value is 1 to 1,024 printable ASCII
    /// characters.
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
