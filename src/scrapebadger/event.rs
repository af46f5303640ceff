//! The events, as a handler receives them.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::serde::rfc3339;

use super::SENDER;
use crate::Delivery;
use crate::event::{EventError, UnknownEvent, raw};

mod body;
#[cfg(test)]
mod tests;

const TWEET: &str = "tweet";
const TWEET_DETECTED: &str = "tweet.detected";
const TEST: &str = "test";
pub(super) const KINDS: &[&str] = &[TWEET, TWEET_DETECTED, TEST];

/// An event from ScrapeBadger. The kinds are documented by the sender.
///
/// ```
/// use axum::http::StatusCode;
/// use scrapest_webhook::scrapebadger::Event;
///
/// async fn on_event(event: Event) -> StatusCode {
///     match event {
///         Event::Tweet(detected) => println!("{}: {:?}", detected.tweet.id, detected.tweet.text),
///         // The sender's test button.
///         Event::Test(_) => {}
///         // A kind that the sender has added since; its bytes are in `unknown.raw`.
///         Event::Unknown(unknown) => println!("ignored: {:?}", unknown.kind),
///         _ => {}
///     }
///     StatusCode::NO_CONTENT
/// }
/// # let _: axum::routing::MethodRouter = axum::routing::post(on_event);
/// ```
///
/// It is an extractor. Do not wrap it in `Json`: its `Deserialize` reads the stored form, not the sender's form.
///
/// # Stored form
///
/// A serialized event has its own form, for a queue or a table: `{"tweet": {…}}`, with the fields named as here.
/// It is read back from JSON unchanged. To decode a body as it was sent, use [`from_body`](Self::from_body).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every event is a tweet, so a box would only add an allocation"
)]
pub enum Event {
    /// `"type": "tweet"`, or `"event": "tweet.detected"`: a monitor or a filter rule has found a tweet.
    #[serde(rename = "tweet")]
    Tweet(TweetEvent),
    /// `"type": "test"`: a user has triggered the sender's test of the webhook.
    #[serde(rename = "test")]
    Test(TestEvent),
    /// Any other kind. A known kind that cannot be read is an error, never `Unknown`.
    #[serde(rename = "unknown")]
    Unknown(UnknownEvent),
}

impl Event {
    /// Decodes the event from a stored body, for example in the worker of a queue, with the kind from
    /// [`Delivery::kind`]. Nothing is verified here: that was done before the [`Delivery`] was created.
    ///
    /// # Errors
    ///
    /// [`EventErrorKind::Payload`](crate::EventErrorKind::Payload) if the kind is known and the body does not
    /// match it, and if there is no kind and the body is not JSON.
    pub fn from_body(kind: Option<&str>, body: &Bytes) -> Result<Self, EventError> {
        match kind {
            Some(TWEET | TWEET_DETECTED) => body::tweet(body).map(Self::Tweet),
            Some(TEST) => Ok(Self::Test(TestEvent { raw: body.clone() })),
            _ => UnknownEvent::from_body(kind, body).map(Self::Unknown),
        }
    }

    /// Returns the kind: `tweet` for both contracts, `test`, or the kind that the body of an unknown event names.
    /// [`Delivery::kind`] has the kind as the body of a tweet names it.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::Tweet(_) => Some(TWEET),
            Self::Test(_) => Some(TEST),
            Self::Unknown(event) => event.kind.as_deref(),
        }
    }

    /// Returns the tweet of a [`TweetEvent`].
    #[must_use]
    pub fn tweet(&self) -> Option<&Tweet> {
        match self {
            Self::Tweet(event) => Some(&event.tweet),
            _ => None,
        }
    }
}

impl TryFrom<&Delivery> for Event {
    type Error = EventError;

    /// # Errors
    ///
    /// The errors of [`from_body`](Event::from_body), and
    /// [`EventErrorKind::WrongSender`](crate::EventErrorKind::WrongSender) if the delivery is not from
    /// ScrapeBadger.
    fn try_from(delivery: &Delivery) -> Result<Self, EventError> {
        if delivery.sender() != SENDER {
            return Err(EventError::wrong_sender(delivery.sender(), SENDER));
        }
        Self::from_body(delivery.kind(), delivery.body())
    }
}

/// A monitor or a filter rule has found a tweet. The fields are documented by the sender, except where noted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TweetEvent {
    /// The id of the monitor that found it (`monitor_id`).
    pub monitor_id: Option<String>,
    /// The name of that monitor (`monitor_name`). Only in a `tweet.detected`.
    pub monitor_name: Option<String>,
    /// The filter rule that found it (`rule_id`), if any. Not documented, but in the sender's SDK.
    pub rule_id: Option<String>,
    /// The tag of the filter rule that found it (`tag`), if any.
    pub tag: Option<String>,
    /// The tweet's id outside the tweet (`tweet_id`). The same as [`Tweet::id`].
    pub tweet_id: Option<String>,
    /// The tweet's URL (`tweet_url`). Only in a `tweet.detected`.
    pub tweet_url: Option<String>,
    /// The author's handle, without `@` (`author_username`).
    pub author_username: Option<String>,
    /// When the tweet was posted (`tweet_published_at`), in UTC.
    #[serde(default, with = "rfc3339::option")]
    pub tweet_published_at: Option<OffsetDateTime>,
    /// When the sender first saw it (`detected_at`), in UTC. The same in every attempt at the delivery.
    #[serde(default, with = "rfc3339::option")]
    pub detected_at: Option<OffsetDateTime>,
    /// The time between posting and detection in milliseconds (`latency_ms`), as the sender measured it.
    pub latency_ms: Option<i64>,
    /// The tweet (`tweet`, or `tweet_data`).
    pub tweet: Tweet,
}

/// A tweet. The fields are documented by the sender. If a field has two sources (one per contract), the first that
/// is present is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tweet {
    /// The tweet's id (`id`), exactly. An integer is converted to decimal digits.
    pub id: String,
    /// The text (`text`, or `tweet_text` outside the tweet).
    pub text: Option<String>,
    /// When the tweet was posted (`created_at`), in UTC.
    #[serde(default, with = "rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
    /// The author's id (`user_id`, or `user.id`).
    pub user_id: Option<String>,
    /// The author's handle, without `@` (`username`, or `user.username`).
    pub username: Option<String>,
    /// The author's displayed name (`user_name`, or `user.name`).
    pub user_name: Option<String>,
    /// The number of likes (`favorite_count`).
    pub favorite_count: Option<u64>,
    /// The number of retweets (`retweet_count`).
    pub retweet_count: Option<u64>,
    /// The number of replies (`reply_count`).
    pub reply_count: Option<u64>,
    /// Pictures and videos (`media`), as sent: the schema of an item is not published. An integer beyond 64 bits
    /// is rounded here; the raw body has it exactly.
    #[serde(default)]
    pub media: Vec<Value>,
    /// Links (`urls`), as sent, like [`media`](Self::media).
    #[serde(default)]
    pub urls: Vec<Value>,
    /// Hashtags (`hashtags`), as sent, like [`media`](Self::media).
    #[serde(default)]
    pub hashtags: Vec<Value>,
}

/// A user has triggered the sender's test of the webhook. The other fields of its body are not published.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestEvent {
    /// The body, byte for byte as it was signed.
    #[serde(with = "raw")]
    pub raw: Bytes,
}

/// Omits the body.
impl fmt::Debug for TestEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestEvent").field("raw", &format_args!("{} bytes", self.raw.len())).finish()
    }
}
