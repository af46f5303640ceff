//! The trait for a sender: which headers it uses, what it signs, and where the rest is.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;

use crate::config::ConfigError;

/// How a sender signs and labels its requests. [`Scrapest`](crate::scrapest::Scrapest) and
/// [`ScrapeBadger`](crate::scrapebadger::ScrapeBadger) are two; implement it for a third and use
/// [`WebhookLayer`](crate::WebhookLayer) with it. The signature is always HMAC-SHA256 with the
/// secret's bytes as the key.
///
/// What is asked, in the order in which the pipeline asks it:
///
/// 1. [`signature_headers`](Self::signature_headers) and [`signature`](Self::signature): the signature a request carries;
/// 2. [`signed_prefixes`](Self::signed_prefixes): what is signed besides the body;
/// 3. [`envelope`](Self::envelope): everything else, read only once the signature was right.
///
/// # Example
///
/// GitHub signs the body and nothing else, and dates nothing:
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
///             .with_insecure_missing_timestamp()
///     }
/// }
///
/// let layer = scrapest_webhook::WebhookLayer::<GitHub>::new("It's a Secret to Everybody");
/// ```
pub trait Provider: Clone + fmt::Debug + Send + Sync + 'static {
    /// A short fixed name: the label in spans and metrics, and the default namespace in the store.
    fn name(&self) -> &'static str;

    /// The names of the headers that may carry the signature. A request must have exactly one header of
    /// all of these, once; anything else is a 401 before its body is read.
    fn signature_headers(&self) -> impl Iterator<Item = &str>;

    /// The 32 bytes of the signature in the header's value, or `None` if it is not of exactly the
    /// right shape. Default: `sha256=` and 64 hex digits, of either case.
    fn signature(&self, value: &[u8]) -> Option<[u8; 32]> {
        decode_hex(value.strip_prefix(b"sha256=")?)
    }

    /// What precedes the raw body in the signed bytes. Several are tried one after the other, the next
    /// only if the one before did not fit. Default: nothing, the body alone is signed.
    fn signed_prefixes<'a>(&self, headers: Headers<'a>) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let _ = headers;
        std::iter::once(Cow::Borrowed(&[][..]))
    }

    /// What the request says of itself: id, kind, timestamps, challenge. Called only after the
    /// signature was verified, except where [`answers_unsigned_challenge`](Self::answers_unsigned_challenge).
    fn envelope<'a>(&self, message: &Message<'a>) -> Envelope<'a>;

    /// Whether a challenge is answered without any signature. Insecure, and so `false`.
    fn answers_unsigned_challenge(&self) -> bool {
        false
    }

    /// How long after its timestamp a request is still fresh. Default: 3,600 s, for timestamps of the
    /// event, which a retry repeats: the window must exceed the sender's retries.
    fn past_tolerance(&self) -> Duration {
        Duration::from_secs(3_600)
    }

    /// The same for a signed timestamp of the attempt itself. Default: 300 s.
    fn attempt_tolerance(&self) -> Duration {
        Duration::from_secs(300)
    }

    /// How far ahead of our clock a timestamp may be. Default: 300 s.
    fn future_tolerance(&self) -> Duration {
        Duration::from_secs(300)
    }

    /// How long the sender may wait for its answer; it should be below what the sender waits.
    /// Default: 8 s.
    fn answer_deadline(&self) -> Duration {
        Duration::from_secs(8)
    }

    /// Which requests are the same delivery. Default: [`DedupBy::DeliveryIdAndTag`].
    fn dedup_by(&self) -> DedupBy {
        DedupBy::DeliveryIdAndTag
    }

    /// Whether the provider's own settings make sense; asked when the layer is built.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], saying which setting, what it was, what would do.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// What makes two requests the same delivery. A test event always counts by its id, because a sender's
/// test button sends the same bytes each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DedupBy {
    /// The delivery id, and also the signed bytes: right for every sender that does not sign its id.
    /// Without the second, a captured request could be sent again under a new id.
    DeliveryIdAndTag,
    /// The delivery id alone: only for a sender that signs it. (Without an id in a request: its bytes.)
    DeliveryId,
    /// The signed bytes alone: for a sender with no id.
    Tag,
}

/// The headers of a request, whichever framework it came through.
#[derive(Clone, Copy)]
pub struct Headers<'a>(&'a dyn Lookup);

/// What is asked of a framework's header map: each value under a name, whatever the name's case.
pub(crate) trait Lookup {
    fn each<'a>(&'a self, name: &str, found: &mut dyn FnMut(&'a [u8]));
}

impl<'a> Headers<'a> {
    pub(crate) fn new(lookup: &'a dyn Lookup) -> Self {
        Self(lookup)
    }

    /// The value of the header `name` (any case); the first, if it is repeated.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let mut first = None;
        self.each(name, |value| first = first.or(Some(value)));
        first
    }

    /// Calls `found` with each value of the header `name` (any case), in the order of the request.
    pub fn each(&self, name: &str, mut found: impl FnMut(&'a [u8])) {
        self.0.each(name, &mut found);
    }
}

/// Without the values: a signature is among them.
impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Headers(..)")
    }
}

/// A request whose signature was right: its headers (which may not be signed) and its body.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    headers: Headers<'a>,
    body: &'a [u8],
    prefix_signed: bool,
}

impl<'a> Message<'a> {
    pub(crate) fn new(headers: Headers<'a>, body: &'a [u8], prefix_signed: bool) -> Self {
        Self { headers, body, prefix_signed }
    }

    /// The value of a header; the first, if it is repeated.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.get(name)
    }

    /// The same as text; `None` if it is not UTF-8.
    #[must_use]
    pub fn header_str(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.header(name)?).ok()
    }

    /// The body as it was signed.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Whether the signature fitted with one of the [`signed_prefixes`](Provider::signed_prefixes) that
    /// is not empty, so that what is in it is signed too.
    #[must_use]
    pub fn is_prefix_signed(&self) -> bool {
        self.prefix_signed
    }
}

/// Without the values: what came with the request is not for logs.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} bytes)", self.body.len())
    }
}

/// What a request says of itself.
#[derive(Clone, Debug, Default)]
pub struct Envelope<'a> {
    pub(crate) id: Option<Cow<'a, [u8]>>,
    pub(crate) kind: Option<Cow<'a, str>>,
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

    /// A test event: counts by its delivery id alone, and may lack a timestamp.
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
    /// [`attempt_tolerance`](Provider::attempt_tolerance) applies to it.
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

/// 64 hex digits of either case as 32 bytes, on the stack.
fn decode_hex(digits: &[u8]) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = digits.try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (char::from(pair[0]).to_digit(16)?, char::from(pair[1]).to_digit(16)?);
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(bytes)
}
