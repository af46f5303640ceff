//! The senders' documented and assumed requests arrive as the correct events.

use scrapest_webhook::testing::{self, WebhookRequest};
use scrapest_webhook::{Delivery, scrapebadger, scrapest};
use serde_json::json;
use support::{Framework, Handler, Raw, SECRET, badger_layer, genuine, layer};
use time::OffsetDateTime;
use time::macros::datetime;

const TWEET: &[u8] = include_bytes!("../fixtures/scrapest-tweet-created.json");
const TWEET_UPDATED: &[u8] = include_bytes!("../fixtures/scrapest-tweet-updated.json");
const USER_UPDATED: &[u8] = include_bytes!("../fixtures/scrapest-user-updated.json");
const DELIVERY_FAILED: &[u8] = include_bytes!("../fixtures/scrapest-webhook-delivery-failed.json");
const VERIFIED: &[u8] = include_bytes!("../fixtures/scrapest-webhook-verified.json");
const MENTION: &[u8] = include_bytes!("../fixtures/scrapest-mention-created.json");
const CHALLENGE: &[u8] = include_bytes!("../fixtures/scrapest-challenge.json");

const BADGER_TWEET: &[u8] = include_bytes!("../fixtures/scrapebadger-tweet.json");
const BADGER_RULE: &[u8] = include_bytes!("../fixtures/scrapebadger-filter-rule-tweet.json");
const BADGER_DETECTED: &[u8] = include_bytes!("../fixtures/scrapebadger-tweet-detected.json");
const BADGER_TEST: &[u8] = include_bytes!("../fixtures/scrapebadger-test.json");

/// The time of most fixtures.
const NOON: OffsetDateTime = datetime!(2026-03-04 12:00:00 UTC);

/// Signed over the body alone, and over the time and the body with a header that contains the time.
async fn from_scrapest<F: Framework>(body: &'static [u8], id: &str) -> [Delivery; 2] {
    let time = NOON + time::Duration::seconds(2);
    let handler = Handler::ok();
    let server = F::serve(layer().with_clock(move || time.into()), handler.clone()).await;
    let stamp = time.unix_timestamp().to_string();
    for request in [
        Raw::scrapest(body).with("x-scrapest-timestamp", &stamp),
        Raw::scrapest_at(&stamp, body).with("x-scrapest-delivery-id", id),
    ] {
        assert_eq!(server.raw(&request).await.status, 200);
    }
    let deliveries: [Delivery; 2] = handler.deliveries().try_into().unwrap();
    for delivery in &deliveries {
        assert_eq!((delivery.sender(), &delivery.body()[..]), ("scrapest", body));
        assert_eq!(delivery.attempt(), 1);
    }
    assert_eq!(deliveries[1].id(), Some(id));
    assert_eq!(deliveries[1].timestamp(), Some(time), "the header's, which is the later");
    deliveries
}

/// The headers of both contracts behind one layer, whichever the body belongs to.
async fn from_badger<F: Framework>(body: &'static [u8], now: OffsetDateTime) -> [Delivery; 2] {
    let handler = Handler::ok();
    let deliveries = async |request: Raw| {
        let server = F::serve(badger_layer().with_clock(move || now.into()), handler.clone()).await;
        assert_eq!(server.raw(&request).await.status, 200);
        handler.deliveries().pop().unwrap()
    };
    let contract_1 = Raw::badger(body).with("x-scrapebadger-delivery-id", "del_1");
    let contract_2 =
        Raw::badger_2(body).with("x-delivery-id", "del_1").with("x-webhook-id", "wh_1");
    let both = [deliveries(contract_1).await, deliveries(contract_2).await];
    for delivery in &both {
        assert_eq!((delivery.sender(), delivery.id()), ("scrapebadger", Some("del_1")));
        assert_eq!(&delivery.body()[..], body);
    }
    both
}

async fn scrapests_tweets_arrive<F: Framework>() {
    let [one, two] = from_scrapest::<F>(TWEET, "del_1").await;
    assert_eq!((one.id(), one.kind()), (Some("evt_01"), Some("tweet.created")));
    assert_eq!(one.timestamp(), Some(datetime!(2026-03-04 12:00:01.5 UTC)));
    let event = scrapest::Event::try_from(&one).unwrap();
    assert_eq!(event, scrapest::Event::try_from(&two).unwrap());
    let scrapest::Event::TweetCreated(event) = event else { panic!("{event:?}") };
    assert_eq!(event.id.as_deref(), Some("evt_01"));
    assert_eq!(event.timestamp, Some(datetime!(2026-03-04 12:00:01.5 UTC)));
    assert_eq!(event.webhook_id.as_deref(), Some("wh_abc123"));
    let tweet = event.tweet;
    assert_eq!((&*tweet.id, tweet.created_at), ("1234567890123456789", Some(NOON)));
    assert_eq!(tweet.text.as_deref(), Some("The future is electric…"));
    assert_eq!(tweet.lang.as_deref(), Some("en"));
    let counts = [tweet.favorite_count, tweet.retweet_count, tweet.reply_count];
    assert_eq!(counts, [Some(12), Some(3), Some(1)]);
    assert_eq!((tweet.quote_count, tweet.bookmark_count), (None, None));
    let author = tweet.author.unwrap();
    assert_eq!(
        (author.id.as_deref(), author.username.as_deref()),
        (Some("44196397"), Some("elonmusk"))
    );
    assert_eq!((author.verified, author.followers_count), (Some(true), Some(200_000_000)));
    assert_eq!(tweet.entities, Some(json!({"hashtags": [{"tag": "ev"}]})));
    assert_eq!(tweet.media.unwrap()[0]["type"], "photo");

    let [one, _] = from_scrapest::<F>(TWEET_UPDATED, "del_1").await;
    assert_eq!((one.id(), one.kind()), (Some("evt_02"), Some("tweet.updated")));
    assert_eq!(one.timestamp(), Some(datetime!(2026-03-04 12:00:01.5 UTC)));
    let event = scrapest::Event::try_from(&one).unwrap();
    let scrapest::Event::TweetUpdated(event) = event else { panic!("{event:?}") };
    assert_eq!(event.tweet.id, "1234567890123456789", "an integer, exactly");
    assert_eq!(event.tweet.created_at, Some(NOON));
    assert_eq!((event.tweet.quote_count, event.tweet.bookmark_count), (Some(5), Some(6)));
    let author = event.tweet.author.unwrap();
    assert_eq!(
        (author.id.as_deref(), author.username.as_deref()),
        (Some("44196397"), Some("elonmusk"))
    );
}

async fn scrapests_other_events_arrive<F: Framework>() {
    let [one, _] = from_scrapest::<F>(USER_UPDATED, "del_1").await;
    assert_eq!(one.timestamp(), Some(datetime!(2026-03-04 12:00:01 UTC)));
    let event = scrapest::Event::try_from(&one).unwrap();
    let scrapest::Event::UserUpdated(event) = event else { panic!("{event:?}") };
    assert_eq!((&*event.user.id, event.user.followers_count), ("44196397", Some(200_000_002)));

    let [one, _] = from_scrapest::<F>(DELIVERY_FAILED, "del_1").await;
    assert_eq!(one.id(), Some("evt_04"));
    let event = scrapest::Event::try_from(&one).unwrap();
    let scrapest::Event::DeliveryFailed(event) = event else { panic!("{event:?}") };
    assert_eq!(event.webhook_id.as_deref(), Some("wh_abc123"));
    assert_eq!(event.webhook.id.as_deref(), Some("wh_def456"));
    assert_eq!(event.webhook.error.as_deref(), Some("timeout after 5 s"));
    assert_eq!(event.webhook.attempts, Some(6));

    let [one, _] = from_scrapest::<F>(VERIFIED, "del_1").await;
    assert_eq!(one.timestamp(), Some(datetime!(2026-03-04 12:00:01 UTC)), "from another zone");
    let event = scrapest::Event::try_from(&one).unwrap();
    let scrapest::Event::WebhookVerified(event) = event else { panic!("{event:?}") };
    assert_eq!(event.webhook.status.as_deref(), Some("active"));

    let [one, _] = from_scrapest::<F>(MENTION, "del_1").await;
    assert_eq!(one.kind(), Some("mention.created"));
    let event = scrapest::Event::try_from(&one).unwrap();
    let scrapest::Event::Unknown(event) = event else { panic!("{event:?}") };
    assert_eq!((event.kind.as_deref(), &event.raw[..]), (Some("mention.created"), MENTION));
    let parsed: serde_json::Value = one.parse().unwrap();
    assert_eq!(parsed["data"]["mention"]["by"], "someuser");
}

async fn scrapests_challenge_is_answered<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer().with_clock(|| NOON.into()), handler.clone()).await;
    let answer = server.raw(&Raw::scrapest(CHALLENGE)).await;
    assert_eq!((answer.status, handler.runs()), (200, 0));
    assert_eq!(answer.text(), r#"{"challenge":"c7c1e0a2f5d94b3a8e6d"}"#);
}

async fn scrapebadgers_tweets_arrive_with_either_contract<F: Framework>() {
    for delivery in from_badger::<F>(BADGER_TWEET, NOON).await {
        assert_eq!(delivery.kind(), Some("tweet"));
        assert_eq!(delivery.timestamp(), Some(datetime!(2026-03-04 12:00:00.85 UTC)));
        let event = scrapebadger::Event::try_from(&delivery).unwrap();
        let scrapebadger::Event::Tweet(event) = event else { panic!("{event:?}") };
        assert_eq!(event.monitor_id.as_deref(), Some("mon-123"));
        assert_eq!(event.tweet_id.as_deref(), Some("1234567890123456789"));
        assert_eq!(event.author_username.as_deref(), Some("elonmusk"));
        assert_eq!(event.tweet_published_at, Some(NOON));
        assert_eq!(event.detected_at, Some(datetime!(2026-03-04 12:00:00.85 UTC)));
        assert_eq!((event.latency_ms, event.tag), (Some(850), None));
        assert_eq!(event.tweet.id, "1234567890123456789");
        assert_eq!(event.tweet.created_at, Some(NOON), "although it was no Monday");
        assert_eq!(event.tweet.user_name.as_deref(), Some("Elon Musk"));
        assert_eq!(event.tweet.favorite_count, Some(0));
        assert!(event.tweet.media.is_empty() && event.tweet.hashtags.is_empty());
    }
    for delivery in from_badger::<F>(BADGER_RULE, NOON).await {
        let event = scrapebadger::Event::try_from(&delivery).unwrap();
        let scrapebadger::Event::Tweet(event) = event else { panic!("{event:?}") };
        assert_eq!((event.tag.as_deref(), event.rule_id), (Some("brand-monitor"), None));
        assert_eq!((event.tweet.user_id, event.tweet.favorite_count), (None, Some(12)));
    }
    let noon = datetime!(2026-03-13 12:00:00 UTC);
    for delivery in from_badger::<F>(BADGER_DETECTED, noon).await {
        assert_eq!(delivery.kind(), Some("tweet.detected"));
        assert_eq!(delivery.timestamp(), Some(datetime!(2026-03-13 12:00:00.15 UTC)));
        let event = scrapebadger::Event::try_from(&delivery).unwrap();
        assert_eq!(event.kind(), Some("tweet"), "one name for both");
        let scrapebadger::Event::Tweet(event) = event else { panic!("{event:?}") };
        assert_eq!(event.monitor_name.as_deref(), Some("My Monitor"));
        assert_eq!(event.tweet_url.as_deref(), Some("https://x.com/elonmusk/status/1234567890"));
        assert_eq!(event.tweet.text.as_deref(), Some("Just announced..."));
        assert_eq!(event.tweet.user_id.as_deref(), Some("44196397"));
        assert_eq!(event.tweet.user_name.as_deref(), Some("Elon Musk"));
    }
    for delivery in from_badger::<F>(BADGER_TEST, NOON).await {
        assert_eq!(delivery.kind(), Some("test"));
        let event = scrapebadger::Event::try_from(&delivery).unwrap();
        let scrapebadger::Event::Test(event) = event else { panic!("{event:?}") };
        assert_eq!(&event.raw[..], BADGER_TEST);
    }
}

async fn requests_that_the_senders_sdk_verifies_are_accepted<F: Framework>() {
    // The sender's own Python SDK accepts this signature with this secret.
    let signature = "sha256=2ce13bdc2be5fac3a6e0993bd16834d2cd1df3cf32facd66e7d56e905d7f6f3a";
    let layer = scrapest_webhook::ScrapeBadgerWebhookLayer::new("whsec-test-secret-0001");
    let handler = Handler::ok();
    let server = F::serve(layer.with_clock(|| NOON.into()), handler.clone()).await;
    let request = Raw::new(BADGER_TWEET).with("X-ScrapeBadger-Signature", signature);
    let request = request.with("User-Agent", "ScrapeBadger-Webhook/1.0");
    assert_eq!(server.raw(&request).await.status, 200);
    let cut = &BADGER_TWEET[..BADGER_TWEET.len() - 1];
    assert_eq!(server.raw(&request.over(cut)).await.status, 401, "its final newline is signed");
    assert_eq!(handler.runs(), 1);
}

async fn every_documented_kind_can_be_created_for_a_test<F: Framework>() {
    let handler = Handler::ok();
    let scrapest = F::serve(layer(), handler.clone()).await;
    let badger = F::serve(badger_layer(), handler.clone()).await;
    for kind in [
        "tweet.created",
        "tweet.updated",
        "user.updated",
        "webhook.delivery_failed",
        "webhook.verified",
        "new.kind",
    ] {
        let signed: fn(WebhookRequest) -> WebhookRequest =
            |request| request.with_signed_timestamp();
        for with in [|request| request, signed] {
            assert_eq!(scrapest.send(&with(genuine().with_kind(kind)).sign()).await.status, 200);
            let delivery = handler.deliveries().pop().unwrap();
            assert_eq!((delivery.kind(), delivery.attempt()), (Some(kind), 1));
            let event = scrapest::Event::try_from(&delivery).unwrap();
            assert_eq!(event.kind(), Some(kind));
            assert_eq!(matches!(event, scrapest::Event::Unknown(_)), kind == "new.kind");
        }
    }
    for (request, kind, known) in [
        (testing::scrapebadger(SECRET), "tweet", true),
        (testing::scrapebadger(SECRET).with_kind("test"), "test", true),
        (testing::scrapebadger(SECRET).with_kind("new.kind"), "new.kind", false),
        (testing::scrapebadger_contract_2(SECRET), "tweet.detected", true),
        (testing::scrapebadger_contract_2(SECRET).with_kind("test"), "test", true),
        (testing::scrapebadger_contract_2(SECRET).with_kind("new.kind"), "new.kind", false),
    ] {
        assert_eq!(badger.send(&request.sign()).await.status, 200, "{kind}");
        let delivery = handler.deliveries().pop().unwrap();
        assert_eq!(delivery.kind(), Some(kind));
        let event = scrapebadger::Event::try_from(&delivery).unwrap();
        assert_eq!(matches!(event, scrapebadger::Event::Unknown(_)), !known, "{kind}");
    }
    let challenge = genuine().with_kind("webhook.verification").sign();
    let runs = handler.runs();
    assert_eq!(scrapest.send(&challenge).await.text(), r#"{"challenge":"challenge-0001"}"#);
    assert_eq!(handler.runs(), runs);
}

support::for_each_framework! {
    scrapests_tweets_arrive,
    scrapests_other_events_arrive,
    scrapests_challenge_is_answered,
    scrapebadgers_tweets_arrive_with_either_contract,
    requests_that_the_senders_sdk_verifies_are_accepted,
    every_documented_kind_can_be_created_for_a_test,
}
