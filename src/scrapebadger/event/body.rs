//! The body as it is sent, by either contract, and from there to the one form that a handler gets.

use serde::Deserialize;
use serde_json::Value;

use super::{Tweet, TweetEvent};
use crate::event::{EventError, decode};
use crate::wire::{Id, Object, Time};

pub(super) fn tweet(body: &[u8]) -> Result<TweetEvent, EventError> {
    let Object(event) = decode::<Object<TweetEventBody>>(body)?;
    let (tweet, path_of_id) = match (event.tweet, event.tweet_data) {
        (Some(Object(tweet)), _) => (tweet, "tweet.id"),
        (None, Some(Object(tweet))) => (tweet, "tweet_data.id"),
        (None, None) => return Err(EventError::missing("tweet or tweet_data")),
    };
    Ok(TweetEvent {
        monitor_id: event.monitor_id.map(Into::into),
        monitor_name: event.monitor_name,
        rule_id: event.rule_id.map(Into::into),
        tag: event.tag,
        tweet_id: event.tweet_id.map(Into::into),
        tweet_url: event.tweet_url,
        author_username: event.author_username,
        tweet_published_at: event.tweet_published_at.map(Into::into),
        detected_at: event.detected_at.map(Into::into),
        latency_ms: event.latency_ms,
        tweet: tweet.into_tweet(path_of_id, event.tweet_text)?,
    })
}

/// What the bodies of both contracts have. Optional throughout, so that `null` is the same as absent.
#[derive(Deserialize)]
struct TweetEventBody {
    monitor_id: Option<Id>,
    monitor_name: Option<String>,
    rule_id: Option<Id>,
    tag: Option<String>,
    tweet_id: Option<Id>,
    tweet_text: Option<String>,
    tweet_url: Option<String>,
    author_username: Option<String>,
    tweet_published_at: Option<Time>,
    detected_at: Option<Time>,
    latency_ms: Option<i64>,
    tweet: Option<Object<TweetBody>>,
    tweet_data: Option<Object<TweetBody>>,
}

#[derive(Deserialize)]
struct TweetBody {
    id: Option<Id>,
    text: Option<String>,
    created_at: Option<Time>,
    user_id: Option<Id>,
    username: Option<String>,
    user_name: Option<String>,
    user: Option<Object<UserBody>>,
    favorite_count: Option<u64>,
    retweet_count: Option<u64>,
    reply_count: Option<u64>,
    media: Option<Vec<Value>>,
    urls: Option<Vec<Value>>,
    hashtags: Option<Vec<Value>>,
}

#[derive(Default, Deserialize)]
struct UserBody {
    id: Option<Id>,
    username: Option<String>,
    name: Option<String>,
}

impl TweetBody {
    fn into_tweet(self, path_of_id: &str, text: Option<String>) -> Result<Tweet, EventError> {
        let user = self.user.map(|Object(user)| user).unwrap_or_default();
        Ok(Tweet {
            id: self.id.ok_or_else(|| EventError::missing(path_of_id))?.into(),
            text: self.text.or(text),
            created_at: self.created_at.map(Into::into),
            user_id: self.user_id.or(user.id).map(Into::into),
            username: self.username.or(user.username),
            user_name: self.user_name.or(user.name),
            favorite_count: self.favorite_count,
            retweet_count: self.retweet_count,
            reply_count: self.reply_count,
            media: self.media.unwrap_or_default(),
            urls: self.urls.unwrap_or_default(),
            hashtags: self.hashtags.unwrap_or_default(),
        })
    }
}
