mod broken;

use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::delivery::Verified;
use crate::event::EventErrorKind;

macro_rules! fixture {
    ($name:literal) => {
        Bytes::from_static(include_bytes!(concat!("../../../tests/fixtures/", $name, ".json")))
    };
}

fn read(kind: &str, body: impl Into<Bytes>) -> Result<Event, EventError> {
    Event::from_body(Some(kind), &body.into())
}

fn tweet_event(kind: &str, body: impl Into<Bytes>) -> TweetEvent {
    match read(kind, body) {
        Ok(Event::Tweet(event)) => event,
        other => panic!("{other:?}"),
    }
}

fn error(body: impl Into<Bytes>) -> String {
    let body = body.into();
    let error = read(TWEET, body.clone()).unwrap_err();
    assert_eq!(error.kind(), EventErrorKind::Payload);
    assert_eq!(read(TWEET_DETECTED, body).unwrap_err().to_string(), error.to_string());
    error.to_string()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_tweet_of_contract_1_is_read() {
    let event = read("tweet", fixture!("scrapebadger-tweet")).unwrap();
    assert_eq!(event.kind(), Some("tweet"));
    assert_eq!(event.tweet().unwrap().id, "1234567890123456789");
    let expected = TweetEvent {
        monitor_id: text("mon-123"),
        monitor_name: None,
        rule_id: None,
        tag: None,
        tweet_id: text("1234567890123456789"),
        tweet_url: None,
        author_username: text("elonmusk"),
        tweet_published_at: Some(datetime!(2026-03-04 12:00:00 UTC)),
        detected_at: Some(datetime!(2026-03-04 12:00:00.850 UTC)),
        latency_ms: Some(850),
        tweet: Tweet {
            id: "1234567890123456789".to_owned(),
            text: text("The future is electric..."),
            created_at: Some(datetime!(2026-03-04 12:00:00 UTC)),
            user_id: text("44196397"),
            username: text("elonmusk"),
            user_name: text("Elon Musk"),
            favorite_count: Some(0),
            retweet_count: Some(0),
            reply_count: Some(0),
            media: vec![],
            urls: vec![],
            hashtags: vec![],
        },
    };
    assert_eq!(event, Event::Tweet(expected));
}

#[test]
fn a_tweet_of_contract_2_is_read_into_the_same_fields() {
    let event = read("tweet.detected", fixture!("scrapebadger-tweet-detected")).unwrap();
    assert_eq!(event.kind(), Some("tweet"));
    let expected = TweetEvent {
        monitor_id: text("abc-123"),
        monitor_name: text("My Monitor"),
        rule_id: None,
        tag: None,
        tweet_id: text("1234567890"),
        tweet_url: text("https://x.com/elonmusk/status/1234567890"),
        author_username: text("elonmusk"),
        tweet_published_at: Some(datetime!(2026-03-13 12:00:00 UTC)),
        detected_at: Some(datetime!(2026-03-13 12:00:00.150 UTC)),
        latency_ms: Some(150),
        tweet: Tweet {
            id: "1234567890".to_owned(),
            text: text("Just announced..."),
            created_at: None,
            user_id: text("44196397"),
            username: text("elonmusk"),
            user_name: text("Elon Musk"),
            favorite_count: None,
            retweet_count: None,
            reply_count: None,
            media: vec![],
            urls: vec![],
            hashtags: vec![],
        },
    };
    assert_eq!(event, Event::Tweet(expected));
}

#[test]
fn a_tweet_of_a_filter_rule_is_read_without_the_fields_it_lacks() {
    let event = read("tweet", fixture!("scrapebadger-filter-rule-tweet")).unwrap();
    let expected = TweetEvent {
        monitor_id: text("mon-123"),
        monitor_name: None,
        rule_id: None,
        tag: text("brand-monitor"),
        tweet_id: text("1234567890123456789"),
        tweet_url: None,
        author_username: text("someuser"),
        tweet_published_at: Some(datetime!(2026-03-04 12:00:00 UTC)),
        detected_at: Some(datetime!(2026-03-04 12:00:00.850 UTC)),
        latency_ms: Some(850),
        tweet: Tweet {
            id: "1234567890123456789".to_owned(),
            text: text("Just switched from CompetitorX to YourProduct..."),
            created_at: Some(datetime!(2026-03-04 12:00:00 UTC)),
            user_id: None,
            username: text("someuser"),
            user_name: None,
            favorite_count: Some(12),
            retweet_count: Some(3),
            reply_count: Some(1),
            media: vec![],
            urls: vec![],
            hashtags: vec![],
        },
    };
    assert_eq!(event, Event::Tweet(expected));
}

#[test]
fn a_test_event_stays_a_test_event_with_any_other_fields() {
    for body in
        [fixture!("scrapebadger-test"), Bytes::from_static(br#"{"type":"test","tweet":[1e400]}"#)]
    {
        let event = read("test", body.clone()).unwrap();
        assert_eq!((event.kind(), event.tweet()), (Some("test"), None));
        assert_eq!(event, Event::Test(TestEvent { raw: body }));
    }
    let event = read("test", "{}").unwrap();
    assert_eq!(format!("{event:?}"), "Test(TestEvent { raw: 2 bytes })");
}

#[test]
fn an_unknown_kind_is_passed_on_unchanged() {
    let body = Bytes::from_static(br#"{"type": "monitor.paused"}"#);
    let Ok(Event::Unknown(event)) = read("monitor.paused", body.clone()) else { panic!() };
    assert_eq!((event.kind.as_deref(), &event.raw), (Some("monitor.paused"), &body));
    for kind in ["", "Tweet", "tweet ", "tests", "tweet.created"] {
        let event = read(kind, body.clone()).unwrap();
        assert_eq!(event.kind(), Some(kind));
        assert!(matches!(event, Event::Unknown(_)), "{kind}");
    }
    assert_eq!(Event::from_body(None, &body).unwrap().kind(), None);
}

#[test]
fn the_first_of_two_forms_is_used() {
    let body = json!({
        "tweet": {
            "id": "1", "text": "a", "username": "c", "user": {"id": 5, "username": "d", "name": "e"},
            "media": [{"type": "photo"}], "urls": ["https://x.com"], "hashtags": [null],
        },
        "tweet_text": "b",
        "tweet_data": {"id": "2"},
        "rule_id": 7,
    });
    let event = tweet_event(TWEET, body.to_string());
    let tweet = event.tweet;
    assert_eq!((tweet.id.as_str(), tweet.text), ("1", text("a")));
    assert_eq!((tweet.user_id, tweet.username, tweet.user_name), (text("5"), text("c"), text("e")));
    assert_eq!(tweet.media, [json!({"type": "photo"})]);
    assert_eq!(tweet.urls, ["https://x.com"]);
    assert_eq!(tweet.hashtags, [Value::Null]);
    assert_eq!(event.rule_id, text("7"));
}

#[test]
fn a_tweet_needs_only_its_id() {
    let bare = tweet_event(TWEET, r#"{"tweet": {"id": "1"}}"#);
    let nulls = tweet_event(
        TWEET_DETECTED,
        json!({
            "monitor_id": null, "monitor_name": null, "rule_id": null, "tag": null, "tweet_id": null,
            "tweet_text": null, "tweet_url": null, "author_username": null, "tweet_published_at": null,
            "detected_at": null, "latency_ms": null, "tweet": null,
            "tweet_data": {
                "id": "1", "text": null, "created_at": null, "user_id": null, "username": null,
                "user_name": null, "user": null, "favorite_count": null, "retweet_count": null,
                "reply_count": null, "media": null, "urls": null, "hashtags": null,
            },
        })
        .to_string(),
    );
    assert_eq!(bare, nulls);
    assert_eq!((bare.monitor_id, bare.detected_at, bare.latency_ms), (None, None, None));
    assert_eq!((bare.tweet.text, bare.tweet.media), (None, vec![]));

    // A field that only the other contract has outside the tweet is used if the tweet itself lacks it.
    let event = tweet_event(TWEET_DETECTED, r#"{"tweet_text": "a", "tweet_data": {"id": "1"}}"#);
    assert_eq!(event.tweet.text, text("a"));
}

#[test]
fn ids_are_exact() {
    for id in [(1_u64 << 53) + 1, u64::MAX] {
        let body = json!({"monitor_id": id, "tweet_id": id, "tweet": {"id": id, "user_id": id}});
        let event = tweet_event(TWEET, body.to_string());
        assert_eq!(event.tweet.id, id.to_string());
        assert_eq!(event.tweet_id, text(&id.to_string()));
        assert_eq!(event.tweet.user_id, text(&id.to_string()));
        assert_eq!(event.monitor_id, text(&id.to_string()));
    }
    for id in ["18446744073709551616", "1e400", "1.5", &"1".repeat(100_000)] {
        let body = format!(r#"{{"tweet": {{"id": {id}}}}}"#);
        assert!(error(body).starts_with("tweet.id: "), "{id:.40}");
    }
}

#[test]
fn an_event_is_stored_with_times_in_rfc_3339() {
    let event = tweet_event(TWEET, fixture!("scrapebadger-tweet"));
    let stored = serde_json::to_value(event).unwrap();
    assert_eq!(stored["detected_at"], "2026-03-04T12:00:00.85Z");
    assert_eq!(stored["tweet"]["created_at"], "2026-03-04T12:00:00Z");
    assert_eq!(stored["tag"], Value::Null);
    assert_eq!(stored["tweet"]["id"], "1234567890123456789");
}

#[test]
fn the_event_of_another_senders_delivery_is_refused() {
    let delivery = |sender| {
        Delivery::new(Verified {
            sender,
            webhook: None,
            id: None,
            kind: Some(TWEET.into()),
            timestamp: None,
            held: crate::store::Held::first(),
            body: fixture!("scrapebadger-tweet"),
            reconciled: false,
            run: crate::run_state::RunState::new(tracing::Span::none()),
        })
    };
    let event = Event::try_from(&delivery("scrapebadger")).unwrap();
    assert!(matches!(event, Event::Tweet(_)));
    let error = Event::try_from(&delivery("scrapest")).unwrap_err();
    assert_eq!(error.kind(), EventErrorKind::WrongSender);
    assert!(error.to_string().starts_with("scrapest: "), "{error}");
}
