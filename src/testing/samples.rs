//! A sample body for each documented kind.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A time that RFC 3339 cannot represent (before year 0, after 9999) becomes an empty text, and is refused.
pub(super) fn written(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}

/// The envelope of a named event is an assumption, like the defaults of
/// [`Scrapest`](crate::scrapest::Scrapest).
pub(super) fn scrapest(kind: &str, time: OffsetDateTime, id: &str) -> Value {
    if let Some(sample) = source_event(kind, time) {
        return sample;
    }
    let time = &*written(time);
    let tweet = json!({
        "id": "1234567890123456789",
        "text": "The future is electric...",
        "created_at": time,
        "lang": "en",
        "author": {"id": "44196397", "username": "elonmusk", "name": "Elon Musk", "verified": true},
        "metrics": {"likes": 12, "retweets": 3, "replies": 1},
    });
    let data = match kind {
        "tweet.created" | "tweet.updated" => tweet,
        "user.updated" => {
            json!({"id": "44196397", "username": "elonmusk", "name": "Elon Musk", "followers_count": 1})
        }
        "webhook.delivery_failed" => {
            json!({"webhook_id": "wh_1", "status": "failed", "error": "timeout", "attempts": 5})
        }
        "webhook.verified" => json!({"webhook_id": "wh_1", "status": "active"}),
        "webhook.verification" => {
            return json!({"event": kind, "timestamp": time, "challenge": "challenge-0001"});
        }
        _ => json!({}),
    };
    json!({"id": format!("evt_{id}"), "event": kind, "timestamp": time, "webhook_id": "wh_1", "data": data})
}

/// A post or message of the second generation, with a new id, because the id identifies the delivery if no header
/// does.
fn source_event(source: &str, time: OffsetDateTime) -> Option<Value> {
    let now = i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    let id = (1_800_000_000_000_000_000 + (rand::random::<u64>() >> 8)).to_string();
    let url = format!("https://x.com/elonmusk/status/{id}");
    let author = json!({
        "id": "44196397",
        "name": "Elon Musk",
        "screen_name": "elonmusk",
        "profile_image_url": "https://pbs.twimg.com/profile_images/1/a.jpg",
    });
    let payload = match source {
        "x" => json!({
            "id": id,
            "text": "Just announced: our new model",
            "created_at": written(time),
            "lang": "en",
            "favorite_count": 15_000,
            "retweet_count": 3_000,
            "reply_count": 800,
            "quote_count": 120,
            "bookmark_count": 45,
            "author": author,
            "entities": {"hashtags": [], "urls": []},
            "media": [],
            "conversation_id": id,
            "retweeted_tweet": false,
            "link": url,
        }),
        "fast-x" => json!({
            "id": id,
            "text": "Just announced: our new model",
            "timestamp": now,
            "url": url,
            "lang": "en",
            "author": author,
            "transport": "fcm",
        }),
        // The schema is not published, so the application must accept any payload.
        "telegram" | "discord" => json!({"text": "GM"}),
        _ => return None,
    };
    Some(
        json!({"mid": id, "sid": "44196397", "source": source, "timestamp": now, "payload": payload}),
    )
}

/// The sender's own sample, and its test event, of which only the type is documented.
pub(super) fn scrapebadger_1(kind: &str, time: &str) -> Value {
    if kind != "tweet" {
        return json!({"type": kind, "detected_at": time});
    }
    json!({
        "type": "tweet",
        "monitor_id": "mon-123",
        "tweet_id": "1234567890123456789",
        "author_username": "elonmusk",
        "tweet_published_at": time,
        "detected_at": time,
        "latency_ms": 850,
        "tweet": {
            "id": "1234567890123456789",
            "text": "The future is electric...",
            "created_at": "Mon Mar 04 12:00:00 +0000 2026",
            "user_id": "44196397",
            "username": "elonmusk",
            "user_name": "Elon Musk",
            "favorite_count": 0,
            "retweet_count": 0,
            "reply_count": 0,
            "media": [],
            "urls": [],
            "hashtags": [],
        },
    })
}

/// The sender's own sample.
pub(super) fn scrapebadger_2(kind: &str, time: &str) -> Value {
    if kind != "tweet.detected" {
        return json!({"event": kind, "detected_at": time});
    }
    json!({
        "event": "tweet.detected",
        "monitor_id": "abc-123",
        "monitor_name": "My Monitor",
        "tweet_id": "1234567890",
        "author_username": "elonmusk",
        "tweet_text": "Just announced...",
        "tweet_url": "https://x.com/elonmusk/status/1234567890",
        "tweet_published_at": time,
        "detected_at": time,
        "latency_ms": 150,
        "tweet_data": {
            "id": "1234567890",
            "text": "Just announced...",
            "user": {"id": "44196397", "username": "elonmusk", "name": "Elon Musk"},
            "media": [],
        },
    })
}
