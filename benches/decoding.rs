//! Measures what decoding an event costs, for each documented kind. Two baselines decode the same bytes into a
//! type that an application would declare for itself with the same fields: `serde_json::from_slice` and
//! `axum::Json`. The baselines know only the form of the sample, but the event type knows every form that the
//! senders have.
//!
//! ```sh
//! cargo bench --bench decoding
//! ```

#![allow(dead_code, reason = "decoding a field is the cost, reading it is not")]

use std::hint::black_box;

use axum::Json;
use axum::body::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sample_event::TweetEvent;
use scrapest_webhook::testing::{self, WebhookRequest};
use scrapest_webhook::{EventError, scrapebadger, scrapest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;
use time::serde::rfc3339;

const SECRET: &str = "whsec_0123456789abcdef01234567";

fn of_scrapest(criterion: &mut Criterion) {
    type Tweet = Envelope<ScrapestTweet>;
    let sender = || testing::scrapest(SECRET);
    let event = scrapest::Event::from_body;
    kind::<_, Tweet>(criterion, "tweet.created", sender(), event);
    kind::<_, Tweet>(criterion, "tweet.updated", sender(), event);
    kind::<_, Envelope<User>>(criterion, "user.updated", sender(), event);
    kind::<_, Envelope<Webhook>>(criterion, "webhook.delivery_failed", sender(), event);
    kind::<_, Envelope<Webhook>>(criterion, "webhook.verified", sender(), event);
}

fn of_scrapebadger(criterion: &mut Criterion) {
    let event = scrapebadger::Event::from_body;
    let (first, second) = (testing::scrapebadger(SECRET), testing::scrapebadger_contract_2(SECRET));
    kind::<_, TweetEvent>(criterion, "tweet", first.clone(), event);
    kind::<_, Detected2>(criterion, "tweet.detected", second, event);
    kind::<_, Test>(criterion, "test", first, event);
}

fn kind<Event, T: DeserializeOwned>(
    criterion: &mut Criterion,
    kind: &str,
    sender: WebhookRequest,
    event: impl Fn(Option<&str>, &Bytes) -> Result<Event, EventError>,
) {
    let body = sender.with_kind(kind).sign().body().clone();
    let mut group = criterion.benchmark_group(format!("decode/{kind}"));
    group.bench_function(BenchmarkId::from_parameter("Event"), |bencher| {
        bencher.iter(|| event(Some(kind), black_box(&body)).unwrap());
    });
    group.bench_function(BenchmarkId::from_parameter("from_slice"), |bencher| {
        bencher.iter(|| serde_json::from_slice::<T>(black_box(&body)).unwrap());
    });
    group.bench_function(BenchmarkId::from_parameter("axum::Json"), |bencher| {
        bencher.iter(|| Json::<T>::from_bytes(black_box(&body)).unwrap());
    });
    group.finish();
}

#[derive(Deserialize)]
struct Envelope<D> {
    id: Option<String>,
    #[serde(default, with = "rfc3339::option")]
    timestamp: Option<OffsetDateTime>,
    webhook_id: Option<String>,
    data: D,
}

#[derive(Deserialize)]
struct ScrapestTweet {
    id: String,
    text: Option<String>,
    #[serde(default, with = "rfc3339::option")]
    created_at: Option<OffsetDateTime>,
    lang: Option<String>,
    author: Option<User>,
    metrics: Option<Metrics>,
    quote_count: Option<u64>,
    bookmark_count: Option<u64>,
    entities: Option<Value>,
    media: Option<Value>,
}

#[derive(Deserialize)]
struct Metrics {
    likes: Option<u64>,
    retweets: Option<u64>,
    replies: Option<u64>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    username: Option<String>,
    name: Option<String>,
    verified: Option<bool>,
    followers_count: Option<u64>,
}

#[derive(Deserialize)]
struct Webhook {
    webhook_id: Option<String>,
    status: Option<String>,
    error: Option<String>,
    attempts: Option<u64>,
}

#[derive(Deserialize)]
struct Detected2 {
    monitor_id: Option<String>,
    monitor_name: Option<String>,
    tweet_id: Option<String>,
    tweet_url: Option<String>,
    author_username: Option<String>,
    #[serde(default, with = "rfc3339::option")]
    tweet_published_at: Option<OffsetDateTime>,
    #[serde(default, with = "rfc3339::option")]
    detected_at: Option<OffsetDateTime>,
    latency_ms: Option<i64>,
    tweet_data: Tweet2,
}

#[derive(Deserialize)]
struct Tweet2 {
    id: String,
    text: Option<String>,
    user: Option<User>,
    #[serde(default)]
    media: Vec<Value>,
}

/// The event type passes the bytes on, because nothing else about a test event is known.
#[derive(Deserialize)]
struct Test {
    #[serde(rename = "type")]
    kind: String,
}

criterion_group!(benches, of_scrapest, of_scrapebadger);
criterion_main!(benches);
