//! The body as it is sent, in all its forms, and from there to the one form that a handler gets.

use serde_json::Value;

use super::{Author, Tweet, TweetEvent, User, UserEvent, WebhookEvent, WebhookStatus};
use crate::event::{EventError, decode_into};
use crate::json::object::{Nested, Skipped, object};
use crate::json::{Id, Time};

pub(super) fn tweet(body: &[u8]) -> Result<TweetEvent, EventError> {
    let mut event = Envelope::<TweetBody<Nested<TweetBody<Skipped>>>>::default();
    decode_into(&mut event, body)?;
    let Envelope { id, timestamp, webhook_id, data } = event;
    let data = data.0.ok_or_else(|| EventError::missing("data"))?;
    Ok(TweetEvent {
        id: id.map(Into::into),
        timestamp: timestamp.map(Into::into),
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
    let Envelope { id, timestamp, webhook_id, data } = event;
    let data = data.0.ok_or_else(|| EventError::missing("data"))?;
    Ok(UserEvent {
        id: id.map(Into::into),
        timestamp: timestamp.map(Into::into),
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
    let Envelope { id, timestamp, webhook_id, data } = event;
    Ok(WebhookEvent {
        id: id.map(Into::into),
        timestamp: timestamp.map(Into::into),
        webhook_id: webhook_id.map(Into::into),
        webhook: data.0.map(WebhookBody::into_webhook).unwrap_or_default(),
    })
}

object! {
    /// What all events have in common. Optional throughout, so that `null` is the same as absent.
    struct Envelope<T> {
        id: Option<Id>,
        timestamp: Option<Time>,
        webhook_id: Option<Id>,
        data: Nested<T>,
    }
}

object! {
    /// A tweet, or with `N` an object, what a tweet lies under: both are read in one go, without a second
    /// pass and without `flatten`. Inside a tweet, `tweet` is a field like any other that is not known.
    struct TweetBody<N> {
        tweet: N,
        id: Option<Id>,
        text: Option<String>,
        created_at: Option<Time>,
        lang: Option<String>,
        user: Nested<UserBody<Skipped>>,
        author: Nested<UserBody<Skipped>>,
        favorite_count: Option<u64>,
        retweet_count: Option<u64>,
        reply_count: Option<u64>,
        quote_count: Option<u64>,
        bookmark_count: Option<u64>,
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
            created_at: self.created_at.map(Into::into),
            lang: self.lang,
            author: self.user.0.or(self.author.0).map(UserBody::into_author),
            favorite_count: self.favorite_count.or(metrics.likes),
            retweet_count: self.retweet_count.or(metrics.retweets),
            reply_count: self.reply_count.or(metrics.replies),
            quote_count: self.quote_count,
            bookmark_count: self.bookmark_count,
            entities: self.entities,
            media: self.media,
        })
    }
}

object! {
    struct Metrics {
        likes: Option<u64>,
        retweets: Option<u64>,
        replies: Option<u64>,
    }
}

object! {
    /// A user, or what a user lies under; as for [`TweetBody`].
    struct UserBody<N> {
        user: N,
        id: Option<Id>,
        username: Option<String>,
        screen_name: Option<String>,
        name: Option<String>,
        verified: Option<bool>,
        followers_count: Option<u64>,
    }
}

impl<N> UserBody<N> {
    fn into_author(self) -> Author {
        Author {
            id: self.id.map(Into::into),
            username: self.username.or(self.screen_name),
            name: self.name,
            verified: self.verified,
            followers_count: self.followers_count,
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
        attempts: Option<u64>,
    }
}

impl WebhookBody {
    fn into_webhook(self) -> WebhookStatus {
        WebhookStatus {
            id: self.webhook_id.map(Into::into),
            status: self.status,
            error: self.error,
            attempts: self.attempts,
        }
    }
}
