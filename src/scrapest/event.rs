//! The events, as a handler receives them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::serde::rfc3339;

use super::SENDER;
use crate::Delivery;
use crate::event::{EventError, UnknownEvent};

mod body;
pub(super) mod source;
#[cfg(test)]
mod tests;

use self::source::{MessageEvent, Post, PostEvent};

const TWEET_CREATED: &str = "tweet.created";
const TWEET_UPDATED: &str = "tweet.updated";
const USER_UPDATED: &str = "user.updated";
const DELIVERY_FAILED: &str = "webhook.delivery_failed";
const WEBHOOK_VERIFIED: &str = "webhook.verified";
pub(super) const KINDS: &[&str] = &[
    TWEET_CREATED,
    TWEET_UPDATED,
    USER_UPDATED,
    DELIVERY_FAILED,
    WEBHOOK_VERIFIED,
    source::X,
    source::FAST_X,
    source::TELEGRAM,
    source::DISCORD,
];

/// An event from Scrapest, of either generation: a named event like `tweet.created`, or a post or message in the
/// format that all of the sender's streams share. The names and sources are documented by the sender.
///
/// ```
/// use axum::http::StatusCode;
/// use scrapest_webhook::scrapest::Event;
///
/// async fn on_event(event: Event) -> StatusCode {
///     match event {
///         Event::TweetCreated(created) => println!("{:?}", created.tweet.text),
///         Event::TweetUpdated(updated) => println!("{} changed", updated.tweet.id),
///         Event::UserUpdated(updated) => println!("{} changed", updated.user.id),
///         Event::Post(event) => println!("{:?} from {:?}", event.post.text, event.source),
///         Event::Message(message) => println!("{} from {}", message.mid, message.source),
///         // The sender gave a delivery up: fetch what is missing.
///         Event::DeliveryFailed(failed) => eprintln!("lost: {:?}", failed.webhook.error),
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
/// A serialized event has its own form, for a queue or a table: `{"tweet.created": {…}}`, with the fields named as
/// here. It is read back from JSON unchanged. To decode a body as it was sent, use [`from_body`](Self::from_body).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Event {
    /// `tweet.created`: a watched account has posted a tweet.
    #[serde(rename = "tweet.created")]
    TweetCreated(TweetEvent),
    /// `tweet.updated`: a tweet, or one of its counts, has changed.
    #[serde(rename = "tweet.updated")]
    TweetUpdated(TweetEvent),
    /// `user.updated`: a watched account has changed its profile.
    #[serde(rename = "user.updated")]
    UserUpdated(UserEvent),
    /// `webhook.delivery_failed`: the sender has given up on a delivery to a webhook.
    #[serde(rename = "webhook.delivery_failed")]
    DeliveryFailed(WebhookEvent),
    /// `webhook.verified`: a webhook has passed its verification challenge and is active.
    #[serde(rename = "webhook.verified")]
    WebhookVerified(WebhookEvent),
    /// A post on X, from the source `x` or `fast-x`.
    #[serde(rename = "post")]
    Post(Box<PostEvent>),
    /// A message from any other source, like `telegram` or `discord`.
    #[serde(rename = "message")]
    Message(MessageEvent),
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
    /// [`EventErrorKind::Payload`](crate::EventErrorKind::Payload) if the kind is known and a required field
    /// cannot be read, if a field occurs twice with different values, and if there is no kind and the body is not
    /// JSON.
    pub fn from_body(kind: Option<&str>, body: &Bytes) -> Result<Self, EventError> {
        match kind {
            Some(TWEET_CREATED) => body::tweet(body).map(Self::TweetCreated),
            Some(TWEET_UPDATED) => body::tweet(body).map(Self::TweetUpdated),
            Some(USER_UPDATED) => body::user(body).map(Self::UserUpdated),
            Some(DELIVERY_FAILED) => body::webhook(body).map(Self::DeliveryFailed),
            Some(WEBHOOK_VERIFIED) => body::webhook(body).map(Self::WebhookVerified),
            _ if source::identity(body).is_some() => source::event(body),
            _ => UnknownEvent::from_body(kind, body).map(Self::Unknown),
        }
    }

    /// Returns the kind, as the sender writes it: a name like `tweet.created`, or the source of a post or message,
    /// like `x`. `None` for an unknown event whose body names no kind.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::TweetCreated(_) => Some(TWEET_CREATED),
            Self::TweetUpdated(_) => Some(TWEET_UPDATED),
            Self::UserUpdated(_) => Some(USER_UPDATED),
            Self::DeliveryFailed(_) => Some(DELIVERY_FAILED),
            Self::WebhookVerified(_) => Some(WEBHOOK_VERIFIED),
            Self::Post(event) => Some(event.source.as_str()),
            Self::Message(event) => Some(&event.source),
            Self::Unknown(event) => event.kind.as_deref(),
        }
    }

    /// Returns the tweet of `tweet.created` and `tweet.updated`.
    #[must_use]
    pub fn tweet(&self) -> Option<&Tweet> {
        match self {
            Self::TweetCreated(event) | Self::TweetUpdated(event) => Some(&event.tweet),
            _ => None,
        }
    }

    /// Returns the post on X.
    #[must_use]
    pub fn post(&self) -> Option<&Post> {
        match self {
            Self::Post(event) => Some(&event.post),
            _ => None,
        }
    }
}

impl TryFrom<&Delivery> for Event {
    type Error = EventError;

    /// # Errors
    ///
    /// The errors of [`from_body`](Event::from_body), and
    /// [`EventErrorKind::WrongSender`](crate::EventErrorKind::WrongSender) if the delivery is not from Scrapest.
    fn try_from(delivery: &Delivery) -> Result<Self, EventError> {
        if delivery.sender() != SENDER {
            return Err(EventError::wrong_sender(delivery.sender(), SENDER));
        }
        Self::from_body(delivery.kind(), delivery.body())
    }
}

/// A tweet was created or updated. The fields outside the tweet are an assumption, like those of the tweet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TweetEvent {
    /// The event's id (`id`).
    pub id: Option<String>,
    /// The event's time (`timestamp`), in UTC.
    #[serde(default, with = "rfc3339::option")]
    pub timestamp: Option<OffsetDateTime>,
    /// The webhook that the event was sent to (`webhook_id`).
    pub webhook_id: Option<String>,
    /// The tweet, from `data.tweet`, or from `data` itself if that has no object `tweet`.
    pub tweet: Tweet,
}

/// A user's profile has changed. The fields outside the user are an assumption, like those of the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserEvent {
    /// The event's id (`id`).
    pub id: Option<String>,
    /// The event's time (`timestamp`), in UTC.
    #[serde(default, with = "rfc3339::option")]
    pub timestamp: Option<OffsetDateTime>,
    /// The webhook that the event was sent to (`webhook_id`).
    pub webhook_id: Option<String>,
    /// The user, from `data.user`, or from `data` itself if that has no object `user`.
    pub user: User,
}

/// The state of a webhook has changed. The fields outside the webhook are an assumption, like those of the
/// webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WebhookEvent {
    /// The event's id (`id`).
    pub id: Option<String>,
    /// The event's time (`timestamp`), in UTC.
    #[serde(default, with = "rfc3339::option")]
    pub timestamp: Option<OffsetDateTime>,
    /// The webhook that the event was sent to (`webhook_id`). The event may be about another webhook.
    pub webhook_id: Option<String>,
    /// The webhook that the event is about, from `data`. All fields are `None` if there is no `data`.
    pub webhook: WebhookStatus,
}

/// A tweet. The set of fields is an assumption. If a field has two names, the first that is present is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tweet {
    /// The tweet's id (`id`), exactly. An integer is converted to decimal digits.
    pub id: String,
    /// The text (`text`).
    pub text: Option<String>,
    /// The time of the tweet (`created_at`), in UTC.
    #[serde(default, with = "rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
    /// The language (`lang`), as the sender writes it, like `en`.
    pub lang: Option<String>,
    /// The author (`user`, or `author`).
    pub author: Option<Author>,
    /// The number of likes (`favorite_count`, or `metrics.likes`).
    pub favorite_count: Option<u64>,
    /// The number of retweets (`retweet_count`, or `metrics.retweets`).
    pub retweet_count: Option<u64>,
    /// The number of replies (`reply_count`, or `metrics.replies`).
    pub reply_count: Option<u64>,
    /// The number of quotes (`quote_count`).
    pub quote_count: Option<u64>,
    /// The number of bookmarks (`bookmark_count`).
    pub bookmark_count: Option<u64>,
    /// The entities in the text, like links (`entities`), as sent: the schema is not published. An integer beyond
    /// 64 bits is rounded here; the raw body has it exactly.
    pub entities: Option<Value>,
    /// Pictures and videos (`media`), as sent, like [`entities`](Self::entities).
    pub media: Option<Value>,
}

/// The author of a tweet. The set of fields is an assumption, and all are optional.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Author {
    /// The user's id (`id`).
    pub id: Option<String>,
    /// The handle, without `@` (`username`, or `screen_name`).
    pub username: Option<String>,
    /// The displayed name (`name`).
    pub name: Option<String>,
    /// Whether the account is verified (`verified`).
    pub verified: Option<bool>,
    /// The number of followers (`followers_count`).
    pub followers_count: Option<u64>,
}

/// A user. The set of fields is an assumption, and only the id is required.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// The user's id (`id`), exactly. An integer is converted to decimal digits.
    pub id: String,
    /// The handle, without `@` (`username`, or `screen_name`).
    pub username: Option<String>,
    /// The displayed name (`name`).
    pub name: Option<String>,
    /// Whether the account is verified (`verified`).
    pub verified: Option<bool>,
    /// The number of followers (`followers_count`).
    pub followers_count: Option<u64>,
}

/// A webhook, as described by an event about it. The set of fields is an assumption, and all are optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WebhookStatus {
    /// The webhook's id (`webhook_id`).
    pub id: Option<String>,
    /// The state (`status`). Documented by the sender: `pending_verification` and `active`.
    pub status: Option<String>,
    /// Why a delivery failed (`error`), in the sender's words.
    pub error: Option<String>,
    /// The number of attempts at the delivery (`attempts`).
    pub attempts: Option<u64>,
}
