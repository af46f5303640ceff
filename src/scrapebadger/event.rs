//! The events, as a handler gets them.

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
///         Event::Unknown(unknown) => println!("not looked at: {:?}", unknown.kind),
///         _ => {}
///     }
///     StatusCode::NO_CONTENT
/// }
/// # let _: axum::routing::MethodRouter = axum::routing::post(on_event);
/// ```
///
/// It is an extractor. Do not wrap it in `Json`: its `Deserialize` reads the stored form, not what the sender sends.
///
/// # Stored form
///
/// Serialized, an event has a form of its own, for a queue or a table: `{"tweet": {…}}`, with the fields of the event as
/// they are named here. It comes back from JSON as it was. To decode a body as it was sent, use
/// [`from_body`](Self::from_body).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every event is a tweet: a box would only cost"
)]
pub enum Event {
    /// `"type": "tweet"`, or `"event": "tweet.detected"`: a monitor or a filter rule has found a tweet.
    #[serde(rename = "tweet")]
    Tweet(TweetEvent),
    /// `"type": "test"`: somebody has asked the sender to try the webhook out.
    #[serde(rename = "test")]
    Test(TestEvent),
    /// Any other kind. A known kind that cannot be read is an error, never this.
    #[serde(rename = "unknown")]
    Unknown(UnknownEvent),
}

impl Event {
    /// The event of a stored body, say in the worker behind a queue, with the kind that
    /// [`Delivery::kind`] said. Nothing is verified here: that was done before there was a [`Delivery`].
    ///
    /// # Errors
    ///
    /// [`EventErrorKind::Payload`](crate::EventErrorKind::Payload) when the kind is known and the body
    /// is not as it should be for it, and when there is no kind and the body is no JSON.
    pub fn from_body(kind: Option<&str>, body: &Bytes) -> Result<Self, EventError> {
        match kind {
            Some(TWEET | TWEET_DETECTED) => body::tweet(body).map(Self::Tweet),
            Some(TEST) => Ok(Self::Test(TestEvent { raw: body.clone() })),
            _ => UnknownEvent::from_body(kind, body).map(Self::Unknown),
        }
    }

    /// The kind: `tweet` for both contracts, `test`, or what an unknown event's body names. What the
    /// body of a tweet says is in [`Delivery::kind`].
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::Tweet(_) => Some(TWEET),
            Self::Test(_) => Some(TEST),
            Self::Unknown(event) => event.kind.as_deref(),
        }
    }

    /// The tweet, if it is one that was found.
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
    /// As [`from_body`](Event::from_body), and
    /// [`EventErrorKind::WrongSender`](crate::EventErrorKind::WrongSender) when the delivery is not
    /// from ScrapeBadger.
    fn try_from(delivery: &Delivery) -> Result<Self, EventError> {
        if delivery.sender() != SENDER {
            return Err(EventError::wrong_sender(delivery.sender(), SENDER));
        }
        Self::from_body(delivery.kind(), delivery.body())
    }
}

/// A monitor or a filter rule has found a tweet. The fields are documented by the sender, except where
/// it says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TweetEvent {
    /// The monitor that found it (`monitor_id`).
    pub monitor_id: Option<String>,
    /// How that monitor is called (`monitor_name`); only in a `tweet.detected`.
    pub monitor_name: Option<String>,
    /// The filter rule that found it (`rule_id`), if it was one. Not documented, but in the sender's SDK.
    pub rule_id: Option<String>,
    /// The tag of the filter rule that found it (`tag`), if it was one.
    pub tag: Option<String>,
    /// The tweet's id as it stands beside the tweet (`tweet_id`); the same as [`Tweet::id`].
    pub tweet_id: Option<String>,
    /// The tweet's address (`tweet_url`); only in a `tweet.detected`.
    pub tweet_url: Option<String>,
    /// The handle of who tweeted it, without `@` (`author_username`).
    pub author_username: Option<String>,
    /// When it was tweeted (`tweet_published_at`), in UTC.
    #[serde(default, with = "rfc3339::option")]
    pub tweet_published_at: Option<OffsetDateTime>,
    /// When the sender first saw it (`detected_at`), in UTC; the same in every attempt at the delivery.
    #[serde(default, with = "rfc3339::option")]
    pub detected_at: Option<OffsetDateTime>,
    /// From the one to the other in milliseconds (`latency_ms`), as the sender measured it.
    pub latency_ms: Option<i64>,
    /// The tweet (`tweet`, or `tweet_data`).
    pub tweet: Tweet,
}

/// A tweet. The fields are documented by the sender; of those with two sources, which belong to the two
/// contracts, the first named is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tweet {
    /// The tweet's id (`id`), exactly; an integer on the wire is written out in decimal.
    pub id: String,
    /// The text (`text`, or `tweet_text` beside the tweet).
    pub text: Option<String>,
    /// When it was tweeted (`created_at`), in UTC.
    #[serde(default, with = "rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
    /// The id of who tweeted it (`user_id`, or `user.id`).
    pub user_id: Option<String>,
    /// The handle of who tweeted it, without `@` (`username`, or `user.username`).
    pub username: Option<String>,
    /// The displayed name of who tweeted it (`user_name`, or `user.name`).
    pub user_name: Option<String>,
    /// How many likes it has (`favorite_count`).
    pub favorite_count: Option<u64>,
    /// How often it was retweeted (`retweet_count`).
    pub retweet_count: Option<u64>,
    /// How many replies it has (`reply_count`).
    pub reply_count: Option<u64>,
    /// Pictures and videos (`media`), as sent: the shape of an item is not published. An integer beyond
    /// 64 bits is rounded here; the raw body has it exactly.
    #[serde(default)]
    pub media: Vec<Value>,
    /// Links (`urls`), as sent: as for [`media`](Self::media).
    #[serde(default)]
    pub urls: Vec<Value>,
    /// Hashtags (`hashtags`), as sent: as for [`media`](Self::media).
    #[serde(default)]
    pub hashtags: Vec<Value>,
}

/// Somebody has asked the sender to try the webhook out. What else is in its body is not published.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestEvent {
    /// The body, byte for byte as it was signed.
    #[serde(with = "raw")]
    pub raw: Bytes,
}

/// Without the body.
impl fmt::Debug for TestEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestEvent").field("raw", &format_args!("{} bytes", self.raw.len())).finish()
    }
}
