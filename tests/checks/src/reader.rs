//! An independent reader: `serde_json`'s `Value`, which must find the ids, texts and counts that an event has.

use scrapest_webhook::{Delivery, scrapebadger, scrapest};
use serde_json::Value;

/// Panics if the event of an accepted delivery says anything that the reader does not find in its body.
pub fn agrees(delivery: &Delivery) {
    // It refuses lone surrogates and numbers beyond its range; a table from Python covers these.
    let Ok(body) = serde_json::from_slice::<Value>(delivery.body()) else { return };
    match delivery.sender() {
        "scrapest" => of_scrapest(&scrapest::Event::try_from(delivery).unwrap(), &body),
        _ => of_scrapebadger(&scrapebadger::Event::try_from(delivery).unwrap(), &body),
    }
}

fn of_scrapest(event: &scrapest::Event, body: &Value) {
    let data = &body["data"];
    match event {
        scrapest::Event::TweetCreated(event) | scrapest::Event::TweetUpdated(event) => {
            is_id(event.id.as_deref(), body, "id");
            let tweet = if data["tweet"].is_null() { data } else { &data["tweet"] };
            is_id(Some(&event.tweet.id), tweet, "id");
            is_text(event.tweet.text.as_deref(), tweet, "text");
            is_text(event.tweet.lang.as_deref(), tweet, "lang");
            is_count(event.tweet.quote_count, tweet, "quote_count");
            let flat = count(&tweet["favorite_count"]);
            assert_eq!(event.tweet.favorite_count, flat.or(count(&tweet["metrics"]["likes"])));
        }
        scrapest::Event::UserUpdated(event) => {
            let user = if data["user"].is_null() { data } else { &data["user"] };
            is_id(Some(&event.user.id), user, "id");
            is_count(event.user.followers_count, user, "followers_count");
        }
        scrapest::Event::DeliveryFailed(event) | scrapest::Event::WebhookVerified(event) => {
            is_id(event.webhook.id.as_deref(), data, "webhook_id");
            is_text(event.webhook.error.as_deref(), data, "error");
            is_count(event.webhook.attempts, data, "attempts");
        }
        scrapest::Event::Post(event) => {
            is_id(Some(&event.mid), body, "mid");
            is_id(event.sid.as_deref(), body, "sid");
            let post = &body["payload"];
            if !post["id"].is_null() {
                is_id(Some(&event.post.id), post, "id");
            }
            is_text(event.post.text.as_deref(), post, "text");
            is_count(event.post.favorite_count, post, "favorite_count");
            is_count(event.post.bookmark_count, post, "bookmark_count");
            if let Some(author) = &event.post.author {
                is_id(author.id.as_deref(), &post["author"], "id");
                is_text(author.screen_name.as_deref(), &post["author"], "screen_name");
            }
            for (name, kept) in &event.post.rest {
                assert_eq!(kept.parse::<Value>().unwrap(), post[name], "{name}");
            }
        }
        scrapest::Event::Message(event) => {
            is_text(Some(&event.source), body, "source");
            is_id(Some(&event.mid), body, "mid");
            let payload = event.payload.as_ref().map(|payload| payload.parse::<Value>().unwrap());
            assert_eq!(payload.unwrap_or_default(), body["payload"]);
        }
        _ => {}
    }
}

fn of_scrapebadger(event: &scrapebadger::Event, body: &Value) {
    let scrapebadger::Event::Tweet(event) = event else { return };
    is_id(event.tweet_id.as_deref(), body, "tweet_id");
    is_text(event.author_username.as_deref(), body, "author_username");
    let tweet = if body["tweet"].is_null() { &body["tweet_data"] } else { &body["tweet"] };
    is_id(Some(&event.tweet.id), tweet, "id");
    is_count(event.tweet.retweet_count, tweet, "retweet_count");
    let text = tweet["text"].as_str().or(body["tweet_text"].as_str());
    assert_eq!(event.tweet.text.as_deref(), text);
}

fn is_id(found: Option<&str>, object: &Value, name: &str) {
    let expected = match &object[name] {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) if !id.is_f64() => Some(id.to_string()),
        Value::Null => None,
        other => panic!("{name}: {other} was taken for {found:?}"),
    };
    assert_eq!(found, expected.as_deref(), "{name}");
}

fn is_text(found: Option<&str>, object: &Value, name: &str) {
    assert_eq!(found, object[name].as_str(), "{name}");
}

fn is_count(found: Option<u64>, object: &Value, name: &str) {
    assert_eq!(found, count(&object[name]), "{name}");
}

/// Any whole number that is exact.
fn count(value: &Value) -> Option<u64> {
    let whole = |number: f64| {
        (number.fract() == 0.0 && (0.0..=(1_u64 << 53) as f64).contains(&number))
            .then_some(number as u64)
    };
    match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) if text.starts_with(|first: char| first.is_ascii_digit()) => {
            text.parse().ok().or_else(|| whole(text.parse().ok()?))
        }
        _ => None,
    }
}
