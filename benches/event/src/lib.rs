//! The event as an application would declare it for itself: the types of `scrapebadger::TweetEvent`, limited to
//! the form of the sample.

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::serde::rfc3339;

time::serde::format_description!(
    twitter,
    OffsetDateTime,
    "[weekday repr:short] [month repr:short] [day] [hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute] [year]"
);

#[derive(Deserialize)]
#[expect(dead_code, reason = "decoded, which is the cost")]
pub struct TweetEvent {
    monitor_id: Option<String>,
    monitor_name: Option<String>,
    rule_id: Option<String>,
    tag: Option<String>,
    tweet_id: Option<String>,
    tweet_url: Option<String>,
    author_username: Option<String>,
    #[serde(default, with = "rfc3339::option")]
    tweet_published_at: Option<OffsetDateTime>,
    #[serde(default, with = "rfc3339::option")]
    detected_at: Option<OffsetDateTime>,
    latency_ms: Option<i64>,
    pub tweet: Tweet,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "decoded, which is the cost")]
pub struct Tweet {
    pub id: String,
    text: Option<String>,
    #[serde(default, with = "twitter::option")]
    created_at: Option<OffsetDateTime>,
    user_id: Option<String>,
    username: Option<String>,
    user_name: Option<String>,
    favorite_count: Option<u64>,
    retweet_count: Option<u64>,
    reply_count: Option<u64>,
    #[serde(default)]
    media: Vec<Value>,
    #[serde(default)]
    urls: Vec<Value>,
    #[serde(default)]
    hashtags: Vec<Value>,
}
