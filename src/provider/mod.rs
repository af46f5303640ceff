//! The trait that describes a sender: its headers, what it signs, and where its requests carry the rest.

mod envelope;
mod message;
mod signatures;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

pub use self::envelope::{Challenge, Envelope, Timestamp};
pub(crate) use self::message::Lookup;
pub use self::message::{Headers, Message, Query};
pub use self::signatures::Signatures;
use crate::config_error::ConfigError;

/// Describes how a sender signs and labels its requests. [`Scrapest`](crate::scrapest::Scrapest) and
/// [`ScrapeBadger`](crate::scrapebadger::ScrapeBadger) implement it. Implement it for another sender and use it
/// with [`WebhookLayer`](crate::WebhookLayer). Signatures are always HMAC-SHA256 with the secret's bytes as the
/// key.
///
/// The pipeline calls, in this order:
///
/// 1. [`signature_headers`](Self::signature_headers) and [`signatures`](Self::signatures): the signatures that a
///    request carries;
/// 2. [`signed_prefixes`](Self::signed_prefixes): the bytes that are signed in front of the body;
/// 3. [`envelope`](Self::envelope): everything else, read only after a signature was found valid.
///
/// A sender that checks a webhook by a GET request also needs [`get_challenge`](Self::get_challenge) and
/// [`answer_get_challenge`](Self::answer_get_challenge).
///
/// # Example
///
/// GitHub signs only the body, and sends no timestamp. (The folder `examples` has Standard Webhooks and X.)
///
/// ```
/// use scrapest_webhook::provider::{Envelope, Message, Provider};
///
/// #[derive(Clone, Debug, Default)]
/// struct GitHub;
///
/// impl Provider for GitHub {
///     fn name(&self) -> &'static str {
///         "github"
///     }
///
///     fn signature_headers(&self) -> impl Iterator<Item = &str> {
///         ["x-hub-signature-256"].into_iter()
///     }
///
///     fn envelope<'a>(&self, message: &Message<'a>) -> Envelope<'a> {
///         Envelope::new()
///             .with_id(message.header("x-github-delivery"))
///             .with_kind(message.header_str("x-github-event"))
///             .with_insecure_missing_timestamp(true)
///     }
/// }
///
/// let layer = scrapest_webhook::WebhookLayer::<GitHub>::new("It's a Secret to Everybody");
/// ```
pub trait Provider: Clone + fmt::Debug + Send + Sync + 'static {
    /// Returns a short fixed name: the label in spans and metrics, and the default namespace in the store.
    fn name(&self) -> &'static str;

    /// Returns the names of the headers that may carry signatures. A request must have exactly one of these
    /// headers, once. Otherwise it is answered with 401 before its body is read.
    fn signature_headers(&self) -> impl Iterator<Item = &str>;

    /// Parses the signatures in the header's value. Returns `None` if the value is malformed, which is a 401. One
    /// valid signature is enough; each is compared with each secret, in constant time. Default: one signature, as
    /// `sha256=` and 64 hex digits of either case.
    fn signatures(&self, value: &[u8]) -> Option<Signatures> {
        Signatures::hex(value.strip_prefix(b"sha256=")?)
    }

    /// Returns the bytes that precede the raw body in the signed bytes. If there are several prefixes, the next is
    /// tried only if the signature does not match with the one before. An empty iterator is a 401. Default: one
    /// empty prefix, so that only the body is signed.
    fn signed_prefixes<'a>(&self, headers: Headers<'a>) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let _ = headers;
        std::iter::once(Cow::Borrowed(&[][..]))
    }

    /// Returns the id of the webhook that the request names, for a layer for several webhooks
    /// ([`for_webhooks`](crate::WebhookLayer::for_webhooks)). The id is not verified: it only selects the secrets
    /// with which the request is verified. Default: `None`, so that only the path identifies the webhook.
    fn webhook_id<'a>(&self, headers: Headers<'a>) -> Option<&'a [u8]> {
        let _ = headers;
        None
    }

    /// Reads the delivery's id, kind, timestamps and challenge. Called only after the signature was verified,
    /// unless [`answers_unsigned_challenge`](Self::answers_unsigned_challenge) is `true`.
    fn envelope<'a>(&self, message: &Message<'a>) -> Envelope<'a>;

    /// Whether a challenge is answered without a signature. Insecure. Default: `false`.
    fn answers_unsigned_challenge(&self) -> bool {
        false
    }

    /// Returns the text that the sender asks to have signed, by a GET request to the webhook's URL. Default:
    /// `None`, and a GET is a 405. The route must accept GET too, for example `any(handler).layer(layer)` in axum.
    ///
    /// Anyone can send such a GET, and gets a signature made with your secret. To prevent that an event is signed
    /// this way, the text must be 1 to 1,024 letters, digits or `+/=-_`. Any other text is a 405.
    fn get_challenge<'a>(&self, query: Query<'a>) -> Option<Cow<'a, [u8]>> {
        let _ = query;
        None
    }

    /// Returns the response to a [`get_challenge`](Self::get_challenge). `tag` is the HMAC-SHA256 of its text,
    /// made with the first active secret. Default: `None`, and a GET is a 405.
    fn answer_get_challenge(&self, tag: &[u8; 32]) -> Option<Challenge> {
        let _ = tag;
        None
    }

    /// How long after its timestamp a request is still fresh. Default: 3,600 s. This is for timestamps of the
    /// event, which a retry repeats, so the window must be longer than the time over which the sender retries.
    fn past_tolerance(&self) -> Duration {
        Duration::from_secs(3_600)
    }

    /// How long after a signed timestamp of the attempt itself a request is fresh. Default: 300 s.
    fn attempt_tolerance(&self) -> Duration {
        Duration::from_secs(300)
    }

    /// How far a timestamp may be ahead of our clock. Default: 300 s.
    fn future_tolerance(&self) -> Duration {
        Duration::from_secs(300)
    }

    /// The time within which the sender gets a response. It should be shorter than the sender's own timeout.
    /// Default: 8 s.
    fn answer_deadline(&self) -> Duration {
        Duration::from_secs(8)
    }

    /// Decides which requests are the same delivery. Default: [`DedupBy::DeliveryIdAndTag`].
    fn dedup_by(&self) -> DedupBy {
        DedupBy::DeliveryIdAndTag
    }

    /// The kinds of events that become labels of metrics. Any other kind is counted as `other`, because the
    /// request controls its text. Default: none.
    fn kinds(&self) -> &'static [&'static str] {
        &[]
    }

    /// Checks the provider's own settings when the layer is built.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the setting, its value, and the expected value.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// Whether `name` is a token of RFC 9110 §5.6.2. A header with any other name could never be found.
pub(crate) fn is_header_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

/// Decides which requests are the same delivery. A test event is always identified by its id, because a sender's
/// test button sends the same bytes each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DedupBy {
    /// The delivery id, and also the signed bytes. Right for every sender that does not sign its id: without the
    /// bytes, a captured request could be sent again under a new id.
    DeliveryIdAndTag,
    /// The delivery id only, for a sender that signs it. A request without an id is identified by its signed
    /// bytes.
    DeliveryId,
    /// The signed bytes only, for a sender without ids.
    Tag,
}
