//! The bodies of both contracts, and their conversion to one event type.

use serde_json::Value;

use super::{Tweet, TweetEvent};
use crate::event::{EventError, decode_into};
use crate::json::object::{Nested, object};
use crate::json::{Compared, Count, Id, Number, Time};

pub(super) fn tweet(body: &[u8]) -> Result<TweetEvent, EventError> {
    let mut event = TweetEventBody::default();
    decode_into(&mut event, body)?;
    let tweet = if let Some(tweet) = event.tweet.0 {
        tweet.into_tweet("tweet.id", event.tweet_text)?
    } else if let Some(tweet) = event.tweet_data.0 {
        tweet.into_tweet("tweet_data.id", event.tweet_text)?
    } else {
        return Err(EventError::missing("tweet or tweet_data"));
    };
    Ok(TweetEvent {
        monitor_id: event.monitor_id.map(Into::into),
        monitor_name: event.monitor_name,
        rule_id: event.rule_id.map(Into::into),
        tag: event.tag,
        tweet_id: event.tweet_id.map(Into::into),
        tweet_url: event.tweet_url,
        author_username: event.author_username,
        tweet_published_at: event.tweet_published_at.0,
        detected_at: event.detected_at.0,
        latency_ms: event.latency_ms.0,
        tweet,
    })
}

object! {
    /// The fields of both contracts. All are optional, so that `null` is the same as absent. The first two are
    /// only checked not to occur twice with different values.
    struct TweetEventBody {
        r#type: Compared,
        event: Compared,
        monitor_id: Option<Id>,
        monitor_name: Option<String>,
        rule_id: Option<Id>,
        tag: Option<String>,
        tweet_id: Option<Id>,
        tweet_text: Option<String>,
        tweet_url: Option<String>,
        author_username: Option<String>,
        tweet_published_at: Time,
        detected_at: Time,
        latency_ms: Number,
        tweet: Nested<TweetBody>,
        tweet_data: Nested<TweetBody>,
    }
}

object! {
    struct TweetBody {
        id: Option<Id>,
        text: Option<String>,
        created_at: Time,
        user_id: Option<Id>,
        username: Option<String>,
        user_name: Option<String>,
        user: Nested<UserBody>,
        favorite_count: Count,
        retweet_count: Count,
        reply_count: Count,
        media: Option<Vec<Value>>,
        urls: Option<Vec<Value>>,
        hashtags: Option<Vec<Value>>,
    }
}

object! {
    struct UserBody {
        id: Option<Id>,
        username: Option<String>,
        name: Option<String>,
    }
}

impl TweetBody {
    fn into_tweet(self, path_of_id: &str, text: Option<String>) -> Result<Tweet, EventError> {
        let user = self.user.0.unwrap_or_default();
        Ok(Tweet {
            id: self.id.ok_or_else(|| EventError::missing(path_of_id))?.into(),
            text: self.text.or(text),
            created_at: self.created_at.0,
            user_id: self.user_id.or(user.id).map(Into::into),
            username: self.username.or(user.username),
            user_name: self.user_name.or(user.name),
            favorite_count: self.favorite_count.0,
            retweet_count: self.retweet_count.0,
            reply_count: self.reply_count.0,
            media: self.media.unwrap_or_default(),
            urls: self.urls.unwrap_or_default(),
            hashtags: self.hashtags.unwrap_or_default(),
        })
    }
}
