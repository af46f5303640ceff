//! The events, as a handler gets them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::serde::rfc3339;

use super::SENDER;
use crate::Delivery;
use crate::event::{EventError, UnknownEvent};

mod body;
#[cfg(test)]
mod tests;

const TWEET_CREATED: &str = "tweet.created";
const TWEET_UPDATED: &str = "tweet.updated";
const USER_UPDATED: &str = "user.updated";
const DELIVERY_FAILED: &str = "webhook.delivery_failed";
const WEBHOOK_VERIFIED: &str = "webhook.verified";
pub(super) const KINDS: &[&str] =
    &[TWEET_CREATED, TWEET_UPDATED, USER_UPDATED, DELIVERY_FAILED, WEBHOOK_VERIFIED];

/// An event from Scrapest. The kinds are documented by the sender.
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
///         // The sender gave a delivery up: fetch what is missing.
///         Event::DeliveryFailed(failed) => eprintln!("lost: {:?}", failed.webhook.error),
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
/// Serialized, an event has a form of its own, for a queue or a table: `{"tweet.created": {…}}`, with the fields of the
/// event as they are named here. It comes back from JSON as it was. To decode a body as it was sent, use
/// [`from_body`](Self::from_body).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Event {
    /// `tweet.created`: somebody who is watched has tweeted.
    #[serde(rename = "tweet.created")]
    TweetCreated(TweetEvent),
    /// `tweet.updated`: a tweet, or what is counted about it, has changed.
    #[serde(rename = "tweet.updated")]
    TweetUpdated(TweetEvent),
    /// `user.updated`: somebody who is watched has changed his profile.
    #[serde(rename = "user.updated")]
    UserUpdated(UserEvent),
    /// `webhook.delivery_failed`: the sender gave up a delivery to a webhook.
    #[serde(rename = "webhook.delivery_failed")]
    DeliveryFailed(WebhookEvent),
    /// `webhook.verified`: a webhook has passed its verification challenge and is active.
    #[serde(rename = "webhook.verified")]
    WebhookVerified(WebhookEvent),
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
            Some(TWEET_CREATED) => body::tweet(body).map(Self::TweetCreated),
            Some(TWEET_UPDATED) => body::tweet(body).map(Self::TweetUpdated),
            Some(USER_UPDATED) => body::user(body).map(Self::UserUpdated),
            Some(DELIVERY_FAILED) => body::webhook(body).map(Self::DeliveryFailed),
            Some(WEBHOOK_VERIFIED) => body::webhook(body).map(Self::WebhookVerified),
            _ => UnknownEvent::from_body(kind, body).map(Self::Unknown),
        }
    }

    /// The kind, as the sender writes it, like `tweet.created`. `None` for an unknown event whose body
    /// names no kind.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::TweetCreated(_) => Some(TWEET_CREATED),
            Self::TweetUpdated(_) => Some(TWEET_UPDATED),
            Self::UserUpdated(_) => Some(USER_UPDATED),
            Self::DeliveryFailed(_) => Some(DELIVERY_FAILED),
            Self::WebhookVerified(_) => Some(WEBHOOK_VERIFIED),
            Self::Unknown(event) => event.kind.as_deref(),
        }
    }

    /// The tweet of a created or updated one.
    #[must_use]
    pub fn tweet(&self) -> Option<&Tweet> {
        match self {
            Self::TweetCreated(event) | Self::TweetUpdated(event) => Some(&event.tweet),
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
    /// from Scrapest.
    fn try_from(delivery: &Delivery) -> Result<Self, EventError> {
        if delivery.sender() != SENDER {
            return Err(EventError::wrong_sender(delivery.sender(), SENDER));
        }
        Self::from_body(delivery.kind(), delivery.body())
    }
}

/// A tweet was created or updated. The fields beside the tweet are an assumption, like the tweet's own.
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
    /// The tweet, from `data.tweet`; from `data` itself when there is no object under `tweet`.
    pub tweet: Tweet,
}

/// A user's profile has changed. The fields beside the user are an assumption, like the user's own.
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
    /// The user, from `data.user`; from `data` itself when there is no object under `user`.
    pub user: User,
}

/// Something happened to a webhook. The fields beside it are an assumption, like its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WebhookEvent {
    /// The event's id (`id`).
    pub id: Option<String>,
    /// The event's time (`timestamp`), in UTC.
    #[serde(default, with = "rfc3339::option")]
    pub timestamp: Option<OffsetDateTime>,
    /// The webhook that the event was sent to (`webhook_id`), which need not be the one it is about.
    pub webhook_id: Option<String>,
    /// The webhook that the event is about, from `data`; all `None` when there is no `data`.
    pub webhook: WebhookStatus,
}

/// A tweet. Which fields there are is an assumption; of those with two sources the first named is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tweet {
    /// The tweet's id (`id`), exactly; an integer on the wire is written out in decimal.
    pub id: String,
    /// The text (`text`).
    pub text: Option<String>,
    /// When it was tweeted (`created_at`), in UTC.
    #[serde(default, with = "rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
    /// The language (`lang`), as the sender writes it, like `en`.
    pub lang: Option<String>,
    /// Who tweeted it (`user`, or `author`).
    pub author: Option<Author>,
    /// How many likes it has (`favorite_count`, or `metrics.likes`).
    pub favorite_count: Option<u64>,
    /// How often it was retweeted (`retweet_count`, or `metrics.retweets`).
    pub retweet_count: Option<u64>,
    /// How many replies it has (`reply_count`, or `metrics.replies`).
    pub reply_count: Option<u64>,
    /// How often it was quoted (`quote_count`).
    pub quote_count: Option<u64>,
    /// How often it was bookmarked (`bookmark_count`).
    pub bookmark_count: Option<u64>,
    /// What is named in the text (`entities`), as sent: its shape is not published. An integer beyond
    /// 64 bits is rounded here; the raw body has it exactly.
    pub entities: Option<Value>,
    /// Pictures and videos (`media`), as sent: as for [`entities`](Self::entities).
    pub media: Option<Value>,
}

/// Who tweeted. Which fields there are is an assumption, and all are optional.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Author {
    /// The user's id (`id`).
    pub id: Option<String>,
    /// The handle, without `@` (`username`, or `screen_name`).
    pub username: Option<String>,
    /// The name that is displayed (`name`).
    pub name: Option<String>,
    /// Whether the account is verified (`verified`).
    pub verified: Option<bool>,
    /// How many follow the account (`followers_count`).
    pub followers_count: Option<u64>,
}

/// A user. Which fields there are is an assumption, and only the id is required.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// The user's id (`id`), exactly; an integer on the wire is written out in decimal.
    pub id: String,
    /// The handle, without `@` (`username`, or `screen_name`).
    pub username: Option<String>,
    /// The name that is displayed (`name`).
    pub name: Option<String>,
    /// Whether the account is verified (`verified`).
    pub verified: Option<bool>,
    /// How many follow the account (`followers_count`).
    pub followers_count: Option<u64>,
}

/// A webhook, as an event about it describes it. Which fields there are is an assumption, and all are
/// optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WebhookStatus {
    /// The webhook's id (`webhook_id`).
    pub id: Option<String>,
    /// The state it is in (`status`). Documented by the sender: `pending_verification` and `active`.
    pub status: Option<String>,
    /// Why a delivery failed (`error`), in the sender's words.
    pub error: Option<String>,
    /// How often the delivery was tried (`attempts`).
    pub attempts: Option<u64>,
}
