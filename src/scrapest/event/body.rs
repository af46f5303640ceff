//! The bodies of named events in all their forms, and their conversion to one event type.

use serde_json::Value;

use super::{Author, Tweet, TweetEvent, User, UserEvent, WebhookEvent, WebhookStatus};
use crate::event::{EventError, decode_into};
use crate::json::object::{Nested, Skipped, object};
use crate::json::{Compared, Count, Flag, Id, Time};

pub(super) fn tweet(body: &[u8]) -> Result<TweetEvent, EventError> {
    let mut event = Envelope::<TweetBody<Nested<TweetBody<Skipped>>>>::default();
    decode_into(&mut event, body)?;
    let Envelope { id, timestamp, webhook_id, data, .. } = event;
    let data = data.0.ok_or_else(|| EventError::missing("data"))?;
    Ok(TweetEvent {
        id: id.map(Into::into),
        timestamp: timestamp.0,
        webhook_id: webhook_id.map(Into::into),
        tweet: match data.tweet.0 {
            Some(tweet) => tweet.into_tweet("data.tweet.id")?,
            None => data.into_tweet("data.id")?,
        },
    })
}

pub(super) fn user(body: &[u8]) -> Result<UserEvent, EventError> {
    let mut event = Envelope::<UserBody<Nested<UserBody<Skipped>>>>::default();
    decode_into(&mut event, body)?;
    let Envelope { id, timestamp, webhook_id, data, .. } = event;
    let data = data.0.ok_or_else(|| EventError::missing("data"))?;
    Ok(UserEvent {
        id: id.map(Into::into),
        timestamp: timestamp.0,
        webhook_id: webhook_id.map(Into::into),
        user: match data.user.0 {
            Some(user) => user.into_user("data.user.id")?,
            None => data.into_user("data.id")?,
        },
    })
}

pub(super) fn webhook(body: &[u8]) -> Result<WebhookEvent, EventError> {
    let mut event = Envelope::<WebhookBody>::default();
    decode_into(&mut event, body)?;
    let Envelope { id, timestamp, webhook_id, data, .. } = event;
    Ok(WebhookEvent {
        id: id.map(Into::into),
        timestamp: timestamp.0,
        webhook_id: webhook_id.map(Into::into),
        webhook: data.0.map(WebhookBody::into_webhook).unwrap_or_default(),
    })
}

object! {
    /// The fields that all events share. All are optional, so that `null` is the same as absent. The first three
    /// are only checked not to occur twice with different values.
    struct Envelope<T> {
        event: Compared,
        r#type: Compared,
        delivery_id: Compared,
        id: Option<Id>,
        timestamp: Time,
        webhook_id: Option<Id>,
        data: Nested<T>,
    }
}

object! {
    /// A tweet, or, if `N` is an object, an object that contains a tweet. Both are read in one pass, without
    /// `flatten`. Inside a tweet, `tweet` is an unknown field.
    struct TweetBody<N> {
        tweet: N,
        id: Option<Id>,
        text: Option<String>,
        created_at: Time,
        lang: Option<String>,
        user: Nested<UserBody<Skipped>>,
        author: Nested<UserBody<Skipped>>,
        favorite_count: Count,
        retweet_count: Count,
        reply_count: Count,
        quote_count: Count,
        bookmark_count: Count,
        metrics: Nested<Metrics>,
        entities: Option<Value>,
        media: Option<Value>,
    }
}

impl<N> TweetBody<N> {
    fn into_tweet(self, path_of_id: &str) -> Result<Tweet, EventError> {
        let metrics = self.metrics.0.unwrap_or_default();
        Ok(Tweet {
            id: self.id.ok_or_else(|| EventError::missing(path_of_id))?.into(),
            text: self.text,
            created_at: self.created_at.0,
            lang: self.lang,
            author: self.user.0.or(self.author.0).map(UserBody::into_author),
            favorite_count: self.favorite_count.0.or(metrics.likes.0),
            retweet_count: self.retweet_count.0.or(metrics.retweets.0),
            reply_count: self.reply_count.0.or(metrics.replies.0),
            quote_count: self.quote_count.0,
            bookmark_count: self.bookmark_count.0,
            entities: self.entities,
            media: self.media,
        })
    }
}

object! {
    struct Metrics {
        likes: Count,
        retweets: Count,
        replies: Count,
    }
}

object! {
    /// A user, or an object that contains a user, like [`TweetBody`].
    struct UserBody<N> {
        user: N,
        id: Option<Id>,
        username: Option<String>,
        screen_name: Option<String>,
        name: Option<String>,
        verified: Flag,
        followers_count: Count,
    }
}

impl<N> UserBody<N> {
    fn into_author(self) -> Author {
        Author {
            id: self.id.map(Into::into),
            username: self.username.or(self.screen_name),
            name: self.name,
            verified: self.verified.0,
            followers_count: self.followers_count.0,
        }
    }

    fn into_user(self, path_of_id: &str) -> Result<User, EventError> {
        let Author { id, username, name, verified, followers_count } = self.into_author();
        let id = id.ok_or_else(|| EventError::missing(path_of_id))?;
        Ok(User { id, username, name, verified, followers_count })
    }
}

object! {
    struct WebhookBody {
        webhook_id: Option<Id>,
        status: Option<String>,
        error: Option<String>,
        attempts: Count,
    }
}

impl WebhookBody {
    fn into_webhook(self) -> WebhookStatus {
        WebhookStatus {
            id: self.webhook_id.map(Into::into),
            status: self.status,
            error: self.error,
            attempts: self.attempts.0,
        }
    }
}
