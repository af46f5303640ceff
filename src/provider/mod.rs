//! The trait for a sender: which headers it uses, what it signs, and where the rest is.

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

/// How a sender signs and labels its requests. [`Scrapest`](crate::scrapest::Scrapest) and
/// [`ScrapeBadger`](crate::scrapebadger::ScrapeBadger) are two; implement it for a third and use
/// [`WebhookLayer`](crate::WebhookLayer) with it. Signatures are always HMAC-SHA256 with the secret's bytes as the
/// key.
///
/// The pipeline calls, in this order:
///
/// 1. [`signature_headers`](Self::signature_headers) and [`signatures`](Self::signatures): the signatures that a
///    request carries;
/// 2. [`signed_prefixes`](Self::signed_prefixes): what is signed besides the body;
/// 3. [`envelope`](Self::envelope): everything else, read only once a signature was right.
///
/// A sender that checks a webhook by a GET request also needs [`get_challenge`](Self::get_challenge) and
/// [`answer_get_challenge`](Self::answer_get_challenge).
///
/// # Example
///
/// GitHub signs the body and nothing else, and sends no timestamp. (Standard Webhooks and X are in the folder
/// `examples`.)
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
    /// A short fixed name: the label in spans and metrics, and the default namespace in the store.
    fn name(&self) -> &'static str;

    /// The names of the headers that may carry signatures. A request must have exactly one header of all of
    /// these, once; anything else is a 401 before its body is read.
    fn signature_headers(&self) -> impl Iterator<Item = &str>;

    /// The signatures in the header's value, or `None` if it is not of exactly the right shape, which is a 401.
    /// One right signature is enough; each is compared with each secret, in constant time. Default: one, `sha256=`
    /// and 64 hex digits of either case.
    fn signatures(&self, value: &[u8]) -> Option<Signatures> {
        Signatures::hex(value.strip_prefix(b"sha256=")?)
    }

    /// What precedes the raw body in the signed bytes. If there are several, the next is tried only if the one
    /// before was not right. None at all is a 401. Default: one empty prefix, the body alone is signed.
    fn signed_prefixes<'a>(&self, headers: Headers<'a>) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let _ = headers;
        std::iter::once(Cow::Borrowed(&[][..]))
    }

    /// The id of the webhook that the request names, for a layer of several webhooks
    /// ([`for_webhooks`](crate::WebhookLayer::for_webhooks)). It is not verified: it only finds the secrets that the
    /// request is verified with. Default: `None`, only the path is known.
    fn webhook_id<'a>(&self, headers: Headers<'a>) -> Option<&'a [u8]> {
        let _ = headers;
        None
    }

    /// What the request says about itself: id, kind, timestamps, challenge. Called only after a signature was
    /// verified, except if [`answers_unsigned_challenge`](Self::answers_unsigned_challenge) is `true`.
    fn envelope<'a>(&self, message: &Message<'a>) -> Envelope<'a>;

    /// Whether a challenge is answered without any signature. Insecure. Default: `false`.
    fn answers_unsigned_challenge(&self) -> bool {
        false
    }

    /// The text that the sender asks to have signed, by a GET request to the webhook's address. Default: `None`,
    /// and a GET is a 405. The route must accept GET too, for example `any(handler).layer(layer)` in axum.
    ///
    /// Anyone can send such a GET, and gets a signature made with your secret. So that nobody can have an event
    /// signed, the text must be 1 to 1,024 letters, digits or `+/=-_`, or else the GET is a 405.
    fn get_challenge<'a>(&self, query: Query<'a>) -> Option<Cow<'a, [u8]>> {
        let _ = query;
        None
    }

    /// The answer to a [`get_challenge`](Self::get_challenge). `tag` is HMAC-SHA256 of its text, made with the first
    /// of the active secrets. Default: `None`, and a GET is a 405.
    fn answer_get_challenge(&self, tag: &[u8; 32]) -> Option<Challenge> {
        let _ = tag;
        None
    }

    /// How long after its timestamp a request is still fresh. Default: 3,600 s, for timestamps of the
    /// event, which a retry repeats: the window must exceed the sender's retries.
    fn past_tolerance(&self) -> Duration {
        Duration::from_secs(3_600)
    }

    /// How long a request is fresh after a signed timestamp of the attempt itself. Default: 300 s.
    fn attempt_tolerance(&self) -> Duration {
        Duration::from_secs(300)
    }

    /// How far ahead of our clock a timestamp may be. Default: 300 s.
    fn future_tolerance(&self) -> Duration {
        Duration::from_secs(300)
    }

    /// The time within which the sender is answered. It should be shorter than the sender's own limit.
    /// Default: 8 s.
    fn answer_deadline(&self) -> Duration {
        Duration::from_secs(8)
    }

    /// Which requests are the same delivery. Default: [`DedupBy::DeliveryIdAndTag`].
    fn dedup_by(&self) -> DedupBy {
        DedupBy::DeliveryIdAndTag
    }

    /// The kinds of events that become labels of metrics. Any other kind is counted as `other`, because it is a
    /// text from outside. Default: none.
    fn kinds(&self) -> &'static [&'static str] {
        &[]
    }

    /// Checks the provider's own settings when the layer is built.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which says the setting, its value, and what is expected.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// A token of RFC 9110 §5.6.2; a header of any other name could never be found.
pub(crate) fn is_header_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

/// What makes two requests the same delivery. A test event always counts by its id, because a sender's
/// test button sends the same bytes each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DedupBy {
    /// The delivery id, and also the signed bytes: right for every sender that does not sign its id.
    /// Without the bytes, a captured request could be sent again under a new id.
    DeliveryIdAndTag,
    /// The delivery id alone: only for a sender that signs it. (Without an id in a request: its bytes.)
    DeliveryId,
    /// The signed bytes alone: for a sender without ids.
    Tag,
}
