mod broken;

use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::delivery::Verified;
use crate::event::EventErrorKind;

macro_rules! fixture {
    ($name:literal) => {
        Bytes::from_static(include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/",
            $name,
            ".json"
        )))
    };
}

mod source;

fn read(kind: &str, body: impl Into<Bytes>) -> Result<Event, EventError> {
    Event::from_body(Some(kind), &body.into())
}

fn created(body: Value) -> Tweet {
    match read(TWEET_CREATED, body.to_string()) {
        Ok(Event::TweetCreated(event)) => event.tweet,
        other => panic!("{body}: {other:?}"),
    }
}

fn error(kind: &str, body: impl Into<Bytes>) -> String {
    let error = read(kind, body).unwrap_err();
    assert_eq!(error.kind(), EventErrorKind::Payload);
    error.to_string()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_created_tweet_is_read_bare_with_author_and_metrics() {
    let event = read(TWEET_CREATED, fixture!("scrapest-tweet-created")).unwrap();
    assert_eq!(event.kind(), Some("tweet.created"));
    assert_eq!(event.tweet().unwrap().id, "1234567890123456789");
    let expected = TweetEvent {
        id: text("evt_01"),
        timestamp: Some(datetime!(2026-03-04 12:00:01.500 UTC)),
        webhook_id: text("wh_abc123"),
        tweet: Tweet {
            id: "1234567890123456789".to_owned(),
            text: text("The future is electric…"),
            created_at: Some(datetime!(2026-03-04 12:00:00 UTC)),
            lang: text("en"),
            author: Some(Author {
                id: text("44196397"),
                username: text("elonmusk"),
                name: text("Elon Musk"),
                verified: Some(true),
                followers_count: Some(200_000_000),
            }),
            favorite_count: Some(12),
            retweet_count: Some(3),
            reply_count: Some(1),
            quote_count: None,
            bookmark_count: None,
            entities: Some(json!({"hashtags": [{"tag": "ev"}]})),
            media: Some(json!([{"type": "photo", "url": "https://pbs.twimg.com/media/a.jpg"}])),
        },
    };
    assert_eq!(event, Event::TweetCreated(expected));
}

#[test]
fn an_updated_tweet_is_read_under_tweet_with_user_and_flat_counts() {
    let event = read(TWEET_UPDATED, fixture!("scrapest-tweet-updated")).unwrap();
    assert_eq!(event.kind(), Some("tweet.updated"));
    assert_eq!(event.tweet().unwrap().id, "1234567890123456789");
    let expected = TweetEvent {
        id: text("evt_02"),
        timestamp: Some(datetime!(2026-03-04 12:00:01.500 UTC)),
        webhook_id: text("wh_abc123"),
        tweet: Tweet {
            id: "1234567890123456789".to_owned(),
            text: text("The future is electric…"),
            created_at: Some(datetime!(2026-03-04 12:00:00 UTC)),
            lang: text("en"),
            author: Some(Author {
                id: text("44196397"),
                username: text("elonmusk"),
                name: text("Elon Musk"),
                verified: Some(false),
                followers_count: Some(200_000_001),
            }),
            favorite_count: Some(13),
            retweet_count: Some(4),
            reply_count: Some(2),
            quote_count: Some(5),
            bookmark_count: Some(6),
            entities: None,
            media: Some(json!([])),
        },
    };
    assert_eq!(event, Event::TweetUpdated(expected));
}

#[test]
fn an_updated_user_is_read_bare_and_under_user() {
    let event = read(USER_UPDATED, fixture!("scrapest-user-updated")).unwrap();
    assert_eq!(event.kind(), Some("user.updated"));
    assert_eq!(event.tweet(), None);
    let expected = UserEvent {
        id: text("evt_03"),
        timestamp: Some(datetime!(2026-03-04 12:00:01 UTC)),
        webhook_id: text("wh_abc123"),
        user: User {
            id: "44196397".to_owned(),
            username: text("elonmusk"),
            name: text("Elon Musk"),
            verified: Some(true),
            followers_count: Some(200_000_002),
        },
    };
    assert_eq!(event, Event::UserUpdated(expected));

    let bare = json!({"data": {"id": 44196397, "screen_name": "elonmusk"}}).to_string();
    let Ok(Event::UserUpdated(bare)) = read(USER_UPDATED, bare) else { panic!("{event:?}") };
    assert_eq!((bare.user.id.as_str(), bare.user.username), ("44196397", text("elonmusk")));
}

#[test]
fn a_failed_delivery_event_has_the_ids_of_both_webhooks() {
    let event = read(DELIVERY_FAILED, fixture!("scrapest-webhook-delivery-failed")).unwrap();
    assert_eq!(event.kind(), Some("webhook.delivery_failed"));
    let expected = WebhookEvent {
        id: text("evt_04"),
        timestamp: Some(datetime!(2026-03-04 12:00:01 UTC)),
        webhook_id: text("wh_abc123"),
        webhook: WebhookStatus {
            id: text("wh_def456"),
            status: text("active"),
            error: text("timeout after 5 s"),
            attempts: Some(6),
        },
    };
    assert_eq!(event, Event::DeliveryFailed(expected));
}

#[test]
fn a_verified_webhook_is_read_with_or_without_data() {
    let event = read(WEBHOOK_VERIFIED, fixture!("scrapest-webhook-verified")).unwrap();
    assert_eq!(event.kind(), Some("webhook.verified"));
    let mut expected = WebhookEvent {
        id: text("evt_05"),
        timestamp: Some(datetime!(2026-03-04 12:00:01 UTC)),
        webhook_id: text("wh_abc123"),
        webhook: WebhookStatus {
            id: text("wh_abc123"),
            status: text("active"),
            error: None,
            attempts: None,
        },
    };
    assert_eq!(event, Event::WebhookVerified(expected.clone()));

    (expected.id, expected.timestamp, expected.webhook_id) = (None, None, None);
    expected.webhook = WebhookStatus::default();
    for body in ["{}", r#"{"data": null}"#, r#"{"data": {}}"#] {
        let event = read(WEBHOOK_VERIFIED, body).unwrap();
        assert_eq!(event, Event::WebhookVerified(expected.clone()), "{body}");
    }
}

#[test]
fn an_unknown_kind_is_passed_on_unchanged() {
    let body = fixture!("scrapest-mention-created");
    let Ok(Event::Unknown(event)) = read("mention.created", body.clone()) else { panic!() };
    assert_eq!((event.kind.as_deref(), &event.raw), (Some("mention.created"), &body));
    for kind in ["", "tweet", "Tweet.created", "tweet.created ", "tweet.deleted"] {
        let event = read(kind, body.clone()).unwrap();
        assert_eq!(event.kind(), Some(kind));
        assert!(matches!(event, Event::Unknown(_)), "{kind}");
    }
    let challenge = fixture!("scrapest-challenge");
    let nameless = Event::from_body(None, &challenge).unwrap();
    assert_eq!(nameless.kind(), None);
    assert!(matches!(nameless, Event::Unknown(event) if event.raw == challenge));
}

#[test]
fn the_first_of_two_forms_is_used() {
    let tweet = created(json!({"data": {
        "id": "1",
        "user": {"username": "a", "screen_name": "b"},
        "author": {"id": "2", "username": "c"},
        "favorite_count": 1,
        "metrics": {"likes": 2, "retweets": 3, "replies": 4},
    }}));
    let author = tweet.author.unwrap();
    assert_eq!((author.id, author.username), (None, text("a")));
    assert_eq!(
        (tweet.favorite_count, tweet.retweet_count, tweet.reply_count),
        (Some(1), Some(3), Some(4))
    );

    // An object under `tweet` is certainly a tweet; an id outside of it may belong to something else.
    let tweet =
        created(json!({"data": {"id": "1", "text": "a", "tweet": {"id": "2", "tweet": "b"}}}));
    assert_eq!((tweet.id.as_str(), tweet.text), ("2", None));
    let tweet = created(json!({"data": {"id": "1", "tweet": null}}));
    assert_eq!(tweet.id, "1");
}

#[test]
fn a_tweet_needs_only_its_id() {
    let bare = created(json!({"data": {"id": "1"}}));
    let nulls = created(json!({"id": null, "timestamp": null, "webhook_id": null, "data": {
        "tweet": null, "id": "1", "text": null, "created_at": null, "lang": null, "user": null, "author": null,
        "favorite_count": null, "retweet_count": null, "reply_count": null, "quote_count": null,
        "bookmark_count": null, "metrics": null, "entities": null, "media": null,
    }}));
    assert_eq!(bare, nulls);
    assert_eq!((bare.text, bare.author, bare.favorite_count, bare.media), (None, None, None, None));
}

#[test]
fn ids_are_exact() {
    for id in [(1_u64 << 53) + 1, u64::MAX] {
        assert_eq!(created(json!({"data": {"id": id}})).id, id.to_string());
    }
    for id in ["18446744073709551616", "1e400", "1.5", &"1".repeat(100_000)] {
        let body = format!(r#"{{"data": {{"id": {id}}}}}"#);
        assert!(error(TWEET_CREATED, body).starts_with("data.id: "), "{id:.40}");
    }
}

#[test]
fn an_event_is_stored_with_times_in_rfc_3339() {
    let event = read(TWEET_UPDATED, fixture!("scrapest-tweet-updated")).unwrap();
    let Event::TweetUpdated(event) = event else { panic!("{event:?}") };
    let stored = serde_json::to_value(event).unwrap();
    assert_eq!(stored["timestamp"], "2026-03-04T12:00:01.5Z");
    assert_eq!(stored["tweet"]["created_at"], "2026-03-04T12:00:00Z");
    assert_eq!(stored["tweet"]["author"]["username"], "elonmusk");
    assert_eq!(stored["tweet"]["entities"], Value::Null);
}

#[test]
fn the_event_of_another_senders_delivery_is_refused() {
    let delivery = |sender| {
        Delivery::new(Verified {
            sender,
            webhook: None,
            id: None,
            kind: Some(TWEET_CREATED.into()),
            timestamp: None,
            held: crate::store::Held::first(),
            body: fixture!("scrapest-tweet-created"),
            reconciled: false,
            run: crate::run_state::RunState::new(tracing::Span::none()),
        })
    };
    let event = Event::try_from(&delivery("scrapest")).unwrap();
    assert!(matches!(event, Event::TweetCreated(_)));
    let error = Event::try_from(&delivery("scrapebadger")).unwrap_err();
    assert_eq!(error.kind(), EventErrorKind::WrongSender);
    assert!(error.to_string().starts_with("scrapebadger: "), "{error}");
}
