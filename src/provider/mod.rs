//! The trait for a sender: which headers it uses, what it signs, and where the rest is.

mod envelope;
mod message;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

pub use self::envelope::{Challenge, Envelope, Timestamp};
pub(crate) use self::message::Lookup;
pub use self::message::{Headers, Message};
use crate::config_error::ConfigError;

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

    /// Which webhook the request says it is of, where a layer stands for several
    /// ([`for_webhooks`](crate::WebhookLayer::for_webhooks)). Not verified: it only finds the secrets that the
    /// request is then held against. Default: none, there is only the path to go by.
    fn webhook_id<'a>(&self, headers: Headers<'a>) -> Option<&'a [u8]> {
        let _ = headers;
        None
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

    /// The kinds of events that metrics may name; any other is counted as `other`, because the kind is a
    /// stranger's text. Default: none.
    fn kinds(&self) -> &'static [&'static str] {
        &[]
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

/// 64 hex digits of either case as 32 bytes, on the stack. Without a branch or a table, so that it is done many
/// digits at a time.
fn decode_hex(digits: &[u8]) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = digits.try_into().ok()?;
    let (mut nibbles, mut strange) = ([0; 64], 0);
    for (nibble, digit) in nibbles.iter_mut().zip(digits) {
        let number = digit.wrapping_sub(b'0');
        let letter = (digit | 0x20).wrapping_sub(b'a');
        let [is_number, is_letter] = [number < 10, letter < 6].map(u8::from);
        *nibble = number.wrapping_mul(is_number) | letter.wrapping_add(10).wrapping_mul(is_letter);
        strange |= 1 ^ (is_number | is_letter);
    }
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(nibbles.as_chunks().0) {
        *byte = high << 4 | low;
    }
    (strange == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::decode_hex;

    #[test]
    fn hex_digits_are_those_of_either_case_and_no_other_byte() {
        for place in 0..64 {
            for byte in 0..=u8::MAX {
                let mut digits =
                    *b"0123456789abcdefABCDEF00112233445566778899aAbBcCdDeEfF0918273645";
                digits[place] = byte;
                let pairs = digits.as_chunks::<2>().0.iter();
                let expected: Option<Vec<u8>> = pairs
                    .map(|pair| {
                        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
                        u8::try_from(high? * 16 + low?).ok()
                    })
                    .collect();
                assert_eq!(decode_hex(&digits).map(Vec::from), expected, "{byte} at {place}");
            }
        }
        assert_eq!(decode_hex(&[b'0'; 63]), None);
        assert_eq!(decode_hex(&[b'0'; 65]), None);
    }
}
