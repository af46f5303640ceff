//! How Scrapest signs and labels its requests, as far as we know, and assume.

use std::borrow::Cow;
use std::time::Duration;

use crate::config_error::ConfigError;
use crate::json::{self, Field};
use crate::provider::{Challenge, Envelope, Headers, Message, Provider, Timestamp};

/// The kinds that a challenge may have. An event of any other kind is never taken for one.
const CHALLENGE_KINDS: [&str; 4] =
    ["webhook.verification", "webhook.verify", "verification", "url_verification"];

/// Scrapest's way of signing. The sender documents that every request carries an HMAC signature and a
/// timestamp, and that a new webhook has to answer a challenge; not under which names. **Every name here
/// is an assumption**, and so a setting. Compare with what arrives before you rely on it.
#[derive(Clone, Debug)]
pub struct Scrapest {
    signature_header: Cow<'static, str>,
    timestamp_header: Cow<'static, str>,
    delivery_id_header: Cow<'static, str>,
    event_header: Cow<'static, str>,
    webhook_id_header: Cow<'static, str>,
    signed_content: SignedContent,
    timestamp_field: Cow<'static, str>,
    delivery_id_fields: [Cow<'static, str>; 2],
    kind_fields: [Cow<'static, str>; 2],
    challenge_fields: [Cow<'static, str>; 3],
    plain_challenge: bool,
    insecure_unsigned_challenge: bool,
    insecure_unsigned_timestamp: bool,
}

/// Which bytes Scrapest signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignedContent {
    /// The raw body; if that does not fit and there is a timestamp header, also
    /// `<timestamp header as sent>.<raw body>`.
    #[default]
    Either,
    /// The raw body and nothing else.
    Body,
    /// `<timestamp header as sent>.<raw body>` and nothing else.
    TimestampAndBody,
}

impl Default for Scrapest {
    fn default() -> Self {
        Self {
            signature_header: "x-scrapest-signature".into(),
            timestamp_header: "x-scrapest-timestamp".into(),
            delivery_id_header: "x-scrapest-delivery-id".into(),
            event_header: "x-scrapest-event".into(),
            webhook_id_header: "x-scrapest-webhook-id".into(),
            signed_content: SignedContent::default(),
            timestamp_field: "timestamp".into(),
            delivery_id_fields: ["delivery_id".into(), "id".into()],
            kind_fields: ["event".into(), "type".into()],
            challenge_fields: ["challenge".into(), "verification_token".into(), "token".into()],
            plain_challenge: false,
            insecure_unsigned_challenge: false,
            insecure_unsigned_timestamp: false,
        }
    }
}

type Name = Cow<'static, str>;

impl Scrapest {
    /// The header with the signature. Default: `X-Scrapest-Signature`, `sha256=` and 64 hex digits.
    #[must_use]
    pub fn with_signature_header(self, name: impl Into<Name>) -> Self {
        Self { signature_header: name.into(), ..self }
    }

    /// The header with the time of the attempt. Default: `X-Scrapest-Timestamp`. Seconds or milliseconds
    /// since 1970, or RFC 3339; if it is there, it must be fresh.
    #[must_use]
    pub fn with_timestamp_header(self, name: impl Into<Name>) -> Self {
        Self { timestamp_header: name.into(), ..self }
    }

    /// The header with the delivery id. Default: `X-Scrapest-Delivery-Id`.
    #[must_use]
    pub fn with_delivery_id_header(self, name: impl Into<Name>) -> Self {
        Self { delivery_id_header: name.into(), ..self }
    }

    /// The header with the event's kind, for bodies that do not say it. Default: `X-Scrapest-Event`.
    #[must_use]
    pub fn with_event_header(self, name: impl Into<Name>) -> Self {
        Self { event_header: name.into(), ..self }
    }

    /// The header that finds the secrets where a layer stands for several webhooks
    /// ([`for_webhooks`](crate::WebhookLayer::for_webhooks)). Default: `X-Scrapest-Webhook-Id`. The body's
    /// `webhook_id` does not: it is not read before it was verified. Without such a header take the path.
    #[must_use]
    pub fn with_webhook_id_header(self, name: impl Into<Name>) -> Self {
        Self { webhook_id_header: name.into(), ..self }
    }

    /// Which bytes are signed. Default: [`SignedContent::Either`].
    #[must_use]
    pub fn with_signed_content(self, content: SignedContent) -> Self {
        Self { signed_content: content, ..self }
    }

    /// The field of the body with the event's time: RFC 3339, or an integer of seconds or milliseconds
    /// since 1970. Default: `timestamp`.
    #[must_use]
    pub fn with_timestamp_field(self, name: impl Into<Name>) -> Self {
        Self { timestamp_field: name.into(), ..self }
    }

    /// The fields of the body that stand in for the delivery id's header, the first that is there.
    /// Default: `delivery_id`, `id`.
    #[must_use]
    pub fn with_delivery_id_fields(self, names: [impl Into<Name>; 2]) -> Self {
        Self { delivery_id_fields: names.map(Into::into), ..self }
    }

    /// The fields of the body with the event's kind, the first that is there. Default: `event`, `type`.
    #[must_use]
    pub fn with_kind_fields(self, names: [impl Into<Name>; 2]) -> Self {
        Self { kind_fields: names.map(Into::into), ..self }
    }

    /// The fields of the body that may be a challenge, the first that is there. Default: `challenge`,
    /// `verification_token`, `token`.
    #[must_use]
    pub fn with_challenge_fields(self, names: [impl Into<Name>; 3]) -> Self {
        Self { challenge_fields: names.map(Into::into), ..self }
    }

    /// Answer a challenge with its value alone, as plain text. Default: as JSON, `{"challenge": "…"}`
    /// with the name of the field that it came in.
    #[must_use]
    pub fn with_plain_challenge(self, plain: bool) -> Self {
        Self { plain_challenge: plain, ..self }
    }

    /// Answer a challenge that is not signed. Default: no, every request has to be signed.
    ///
    /// Insecure: anyone can make the application read a body and have up to 1,024 characters of it said
    /// back. Switch it on to activate a webhook, and off again.
    #[must_use]
    pub fn with_insecure_unsigned_challenge(self, insecure: bool) -> Self {
        Self { insecure_unsigned_challenge: insecure, ..self }
    }

    /// Accept events whose only timestamp is not signed. Default: no, they are refused.
    ///
    /// Insecure: who captures a request can date it anew, and is refused only while the store remembers
    /// it. Keep [`with_retention`](crate::WebhookLayer::with_retention) long.
    #[must_use]
    pub fn with_insecure_unsigned_timestamp(self, insecure: bool) -> Self {
        Self { insecure_unsigned_timestamp: insecure, ..self }
    }

    fn challenge(&self, kind: Option<&str>, fields: [Field<'_>; 3]) -> Option<Challenge> {
        if kind.is_some_and(|kind| !CHALLENGE_KINDS.contains(&kind)) {
            return None;
        }
        let (name, field) =
            self.challenge_fields.iter().zip(fields).find(|(_, field)| *field != Field::Absent)?;
        let value = field.text()?;
        match self.plain_challenge {
            true => Challenge::text(&value),
            false => Challenge::json(name, &value),
        }
    }
}

impl Provider for Scrapest {
    fn name(&self) -> &'static str {
        super::SENDER
    }

    fn kinds(&self) -> &'static [&'static str] {
        super::event::KINDS
    }

    fn signature_headers(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.signature_header)
    }

    fn signed_prefixes<'a>(&self, headers: Headers<'a>) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let body = (self.signed_content != SignedContent::TimestampAndBody)
            .then_some(Cow::Borrowed(&[][..]));
        let timestamp = match self.signed_content {
            SignedContent::Body => None,
            _ => headers.get(&self.timestamp_header),
        };
        // Made only if the body alone did not fit.
        let prefix = timestamp.into_iter().map(|time| Cow::Owned([time, b"."].concat()));
        body.into_iter().chain(prefix)
    }

    fn webhook_id<'a>(&self, headers: Headers<'a>) -> Option<&'a [u8]> {
        headers.get(&self.webhook_id_header)
    }

    fn envelope<'a>(&self, message: &Message<'a>) -> Envelope<'a> {
        let header_id = message.header(&self.delivery_id_header).filter(|id| !id.is_empty());
        let [time, id_1, id_2, kind_1, kind_2, challenge @ ..] = json::fields(
            message.body(),
            [
                &self.timestamp_field,
                &self.delivery_id_fields[0],
                &self.delivery_id_fields[1],
                &self.kind_fields[0],
                &self.kind_fields[1],
                &self.challenge_fields[0],
                &self.challenge_fields[1],
                &self.challenge_fields[2],
            ],
            // Of a kind that is no challenge, nothing else is asked for.
            |[time, id, _, kind, ..]| {
                *time != Field::Absent
                    && (header_id.is_some() || id.clone().id().is_some())
                    && matches!(kind, Field::Text(kind) if !CHALLENGE_KINDS.contains(&&**kind))
            },
        );
        let header_time = message.header(&self.timestamp_header).map(|value| {
            let at = json::parse_time_header(value);
            match message.is_prefix_signed() {
                true => Timestamp::signed(at),
                false => Timestamp::unsigned(at),
            }
            .of_attempt()
        });
        let id = match header_id {
            Some(id) => Some(Cow::Borrowed(id)),
            None => id_1.id().or_else(|| id_2.id()).map(bytes_of),
        };
        // Whoever says his kind in a way that cannot be read has one all the same.
        let unreadable = [&kind_1, &kind_2].into_iter().any(Field::is_not_text);
        // A body that does not say its kind may have it said by a header, which is not signed.
        let kind = kind_1
            .text()
            .or_else(|| kind_2.text())
            .or_else(|| message.header_str(&self.event_header).map(Cow::Borrowed));
        let challenge = if unreadable { None } else { self.challenge(kind.as_deref(), challenge) };
        Envelope::new()
            .with_id(id)
            .with_timestamp(header_time)
            .with_timestamp(time.time().map(Timestamp::signed))
            .with_insecure_unsigned_timestamp(self.insecure_unsigned_timestamp)
            .with_challenge(challenge)
            .with_kind(kind)
    }

    fn answers_unsigned_challenge(&self) -> bool {
        self.insecure_unsigned_challenge
    }

    /// Scrapest asks for an answer in less than 5 s.
    fn answer_deadline(&self) -> Duration {
        Duration::from_secs(4)
    }

    fn check(&self) -> Result<(), ConfigError> {
        for (setting, name) in [
            ("signature_header", &self.signature_header),
            ("timestamp_header", &self.timestamp_header),
            ("delivery_id_header", &self.delivery_id_header),
            ("event_header", &self.event_header),
            ("webhook_id_header", &self.webhook_id_header),
        ] {
            // A token of RFC 9110 §5.6.2; any other name could never be found.
            let token =
                |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || !name.bytes().all(token) {
                let what = format!("is {name:?}, expected the name of a header");
                return Err(ConfigError::new(setting, what));
            }
        }
        Ok(())
    }
}

fn bytes_of(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}
