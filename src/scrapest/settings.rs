//! The settings for Scrapest. Each is an assumption about how the sender signs and labels its requests.

use std::borrow::Cow;

use crate::config_error::ConfigError;

/// Describes how Scrapest signs and labels its requests. The sender documents that every request carries an HMAC
/// signature and a timestamp, and that a new webhook has to answer a challenge, but not the names. **Every name
/// here is an assumption**, and therefore a setting. Compare it with the requests that arrive before you rely on
/// it.
///
/// Both generations of the sender's events are accepted, and distinguished by the body.
#[derive(Clone, Debug)]
pub struct Scrapest {
    pub(super) signature_header: Cow<'static, str>,
    pub(super) timestamp_header: Cow<'static, str>,
    pub(super) delivery_id_header: Cow<'static, str>,
    pub(super) event_header: Cow<'static, str>,
    pub(super) webhook_id_header: Cow<'static, str>,
    pub(super) body_id_alone: bool,
    pub(super) deliver: Deliver,
    pub(super) signed_content: SignedContent,
    pub(super) timestamp_field: Cow<'static, str>,
    pub(super) delivery_id_fields: Names<2>,
    pub(super) kind_fields: Names<2>,
    pub(super) challenge_fields: Names<3>,
    pub(super) plain_challenge: bool,
    pub(super) insecure_unsigned_challenge: bool,
    pub(super) insecure_unsigned_timestamp: bool,
}

/// The bytes that Scrapest signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignedContent {
    /// The raw body. If the signature does not match it and there is a timestamp header, also `<timestamp header
    /// as sent>.<raw body>`.
    #[default]
    Either,
    /// Only the raw body.
    Body,
    /// Only `<timestamp header as sent>.<raw body>`.
    TimestampAndBody,
}

/// Which of the two feeds of posts on X runs the handler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deliver {
    /// Both. A post can arrive twice, first from `fast-x` and then from `x`.
    #[default]
    Both,
    /// `x` only: the whole post, some 200 to 500 ms after posting.
    FullOnly,
    /// `fast-x` only: text, author and time, some 50 ms after posting.
    FastOnly,
}

impl Default for Scrapest {
    fn default() -> Self {
        Self {
            signature_header: "x-scrapest-signature".into(),
            timestamp_header: "x-scrapest-timestamp".into(),
            delivery_id_header: "x-scrapest-delivery-id".into(),
            event_header: "x-scrapest-event".into(),
            webhook_id_header: "x-scrapest-webhook-id".into(),
            body_id_alone: false,
            deliver: Deliver::default(),
            signed_content: SignedContent::default(),
            timestamp_field: "timestamp".into(),
            delivery_id_fields: Names::new(["delivery_id", "id"]),
            kind_fields: Names::new(["event", "type"]),
            challenge_fields: Names::new(["challenge", "verification_token", "token"]),
            plain_challenge: false,
            insecure_unsigned_challenge: false,
            insecure_unsigned_timestamp: false,
        }
    }
}

type Name = Cow<'static, str>;

/// Up to `N` field names. The first that is present in the body is used.
#[derive(Clone, Debug)]
pub(super) struct Names<const N: usize> {
    pub(super) names: [Name; N],
    /// How many names were given, which may be more than `N`.
    given: usize,
}

impl<const N: usize> Names<N> {
    fn new(names: impl IntoIterator<Item = impl Into<Name>>) -> Self {
        let mut names = names.into_iter().map(Into::into).fuse();
        // Missing names repeat the last one, which is then searched only once. No sender uses "\0".
        let mut last = Name::Borrowed("\0");
        let kept = std::array::from_fn(|_| {
            last = names.next().unwrap_or_else(|| last.clone());
            last.clone()
        });
        let used = kept.iter().zip(kept.iter().skip(1)).filter(|(one, next)| one != next).count();
        Self { names: kept, given: used + 1 + names.count() }
    }

    pub(super) fn check(&self, setting: &'static str) -> Result<(), ConfigError> {
        match self.given {
            given if given <= N => Ok(()),
            given => {
                let what = format!("has {given} names, expected at most {N}");
                Err(ConfigError::new(setting, what))
            }
        }
    }
}

impl Scrapest {
    /// Sets the header with the signature. Default: `X-Scrapest-Signature`, with `sha256=` and 64 hex digits.
    #[must_use]
    pub fn with_signature_header(self, name: impl Into<Name>) -> Self {
        Self { signature_header: name.into(), ..self }
    }

    /// Sets the header with the time of the attempt. Default: `X-Scrapest-Timestamp`. Its value is parsed by
    /// [`Timestamp::parse`](crate::provider::Timestamp::parse). If the header is present, its time must be fresh.
    #[must_use]
    pub fn with_timestamp_header(self, name: impl Into<Name>) -> Self {
        Self { timestamp_header: name.into(), ..self }
    }

    /// Sets the header with the delivery id. Default: `X-Scrapest-Delivery-Id`.
    #[must_use]
    pub fn with_delivery_id_header(self, name: impl Into<Name>) -> Self {
        Self { delivery_id_header: name.into(), ..self }
    }

    /// Sets the header with the event's kind, for bodies without a kind. Default: `X-Scrapest-Event`.
    #[must_use]
    pub fn with_event_header(self, name: impl Into<Name>) -> Self {
        Self { event_header: name.into(), ..self }
    }

    /// Sets the header that selects the secrets in a layer for several webhooks
    /// ([`for_webhooks`](crate::WebhookLayer::for_webhooks)). Default: `X-Scrapest-Webhook-Id`. The body's
    /// `webhook_id` cannot be used, because the body is not read before it is verified. Without such a header, use
    /// the path.
    #[must_use]
    pub fn with_webhook_id_header(self, name: impl Into<Name>) -> Self {
        Self { webhook_id_header: name.into(), ..self }
    }

    /// Sets which bytes are signed. Default: [`SignedContent::Either`].
    #[must_use]
    pub fn with_signed_content(self, content: SignedContent) -> Self {
        Self { signed_content: content, ..self }
    }

    /// Sets the field of the body with the event's time: RFC 3339 with an offset, or a whole number of seconds,
    /// milliseconds, microseconds or nanoseconds since 1970. Default: `timestamp`.
    #[must_use]
    pub fn with_timestamp_field(self, name: impl Into<Name>) -> Self {
        Self { timestamp_field: name.into(), ..self }
    }

    /// Sets the fields of the body that replace the delivery id's header; at most two. The first that is present
    /// is used. Default: `delivery_id`, `id`. See also [`with_body_id_alone`](Self::with_body_id_alone).
    #[must_use]
    pub fn with_delivery_id_fields(self, names: impl IntoIterator<Item = impl Into<Name>>) -> Self {
        Self { delivery_id_fields: Names::new(names), ..self }
    }

    /// Sets whether the body's own `id` alone identifies a delivery. Default: `false`, because it may be the
    /// tweet's id, which `tweet.created` and every later `tweet.updated` share. It then counts only together with
    /// the kind and the signed timestamp, so that no update is lost.
    ///
    /// Set it to `true` if the sender repeats an event under the same `id` with a new timestamp.
    #[must_use]
    pub fn with_body_id_alone(self, alone: bool) -> Self {
        Self { body_id_alone: alone, ..self }
    }

    /// Sets which posts on X run the handler, if both feeds are sent to this webhook. Default: [`Deliver::Both`].
    /// A post from the other feed is answered with 200 and counted as
    /// [`Filtered`](crate::RejectionKind::Filtered).
    ///
    /// ```
    /// use scrapest_webhook::scrapest::{Deliver, Scrapest};
    ///
    /// let provider = Scrapest::default().with_deliver(Deliver::FullOnly);
    /// ```
    #[must_use]
    pub fn with_deliver(self, deliver: Deliver) -> Self {
        Self { deliver, ..self }
    }

    /// Sets the fields of the body with the event's kind; at most two. The first that is present is used. Default:
    /// `event`, `type`.
    #[must_use]
    pub fn with_kind_fields(self, names: impl IntoIterator<Item = impl Into<Name>>) -> Self {
        Self { kind_fields: Names::new(names), ..self }
    }

    /// Sets the fields of the body that may contain a challenge; at most three. The first that is present is used.
    /// Default: `challenge`, `verification_token`, `token`.
    #[must_use]
    pub fn with_challenge_fields(self, names: impl IntoIterator<Item = impl Into<Name>>) -> Self {
        Self { challenge_fields: Names::new(names), ..self }
    }

    /// Sets whether a challenge is answered with its value alone, as plain text. Default: as JSON, `{"challenge":
    /// "…"}`, with the name of the field that contained it.
    #[must_use]
    pub fn with_plain_challenge(self, plain: bool) -> Self {
        Self { plain_challenge: plain, ..self }
    }

    /// Sets whether a challenge without a signature is answered. Default: no, every request must be signed.
    ///
    /// Insecure: anyone can make the application read a body and repeat up to 1,024 characters of it. Enable it to
    /// activate a webhook, then disable it again.
    #[must_use]
    pub fn with_insecure_unsigned_challenge(self, insecure: bool) -> Self {
        Self { insecure_unsigned_challenge: insecure, ..self }
    }

    /// Sets whether events are accepted whose only timestamp is unsigned. Default: no, they are refused.
    ///
    /// Insecure: an attacker who captures a request can change its date, so a replay is refused only while the
    /// store remembers the request. Keep [`with_retention`](crate::WebhookLayer::with_retention) long.
    #[must_use]
    pub fn with_insecure_unsigned_timestamp(self, insecure: bool) -> Self {
        Self { insecure_unsigned_timestamp: insecure, ..self }
    }
}
