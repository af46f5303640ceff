//! Scrapest's second generation of events, and ids in the body.

use scrapest_webhook::scrapest::{self, Deliver, Event, Scrapest};
use scrapest_webhook::{MemoryStore, testing};
use support::{Framework, Handler, Raw, SECRET, layer, nonce, seconds_ago};

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

fn source_event(source: &str, mid: &str, timestamp: i64) -> Raw {
    let n = nonce();
    Raw::scrapest(format!(
        r#"{{"mid":"{mid}","sid":1,"source":"{source}","timestamp":{timestamp},"n":{n},"payload":{{"id":"{mid}"}}}}"#
    ))
}

async fn a_source_and_a_message_id_are_one_delivery<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let now = now();
    // The same capture, sent by two machines with two timestamps.
    for timestamp in [now, now - 1] {
        assert_eq!(server.raw(&source_event("x", "1", timestamp)).await.status, 200);
    }
    assert_eq!(handler.runs(), 1);
    // The other feed, another platform, and an id that looks like both together.
    for (source, mid) in
        [("fast-x", "1"), ("telegram", "1"), ("x:1", "1"), ("x", "1:1"), ("x", "2")]
    {
        for timestamp in [now, now - 1] {
            assert_eq!(server.raw(&source_event(source, mid, timestamp)).await.status, 200);
        }
        let delivery = handler.deliveries().pop().unwrap();
        assert_eq!(delivery.kind(), Some(source));
        assert_eq!(delivery.id(), Some(&*format!("{source}:{mid}")));
        assert_eq!(delivery.timestamp().unwrap().unix_timestamp(), now);
    }
    assert_eq!(handler.runs(), 6, "x:1 with 1, and x with 1:1, are two");
    // An id in a header counts alone.
    for n in [1, 2] {
        let request = source_event("x", "3", now).with("x-scrapest-delivery-id", n.to_string());
        assert_eq!(server.raw(&request).await.status, 200);
    }
    assert_eq!(handler.runs(), 8);
}

async fn one_of_the_two_feeds_of_posts_can_be_filtered<F: Framework>() {
    for (deliver, expected) in [
        (Deliver::Both, &["x", "fast-x", "telegram", "tweet.created"][..]),
        (Deliver::FullOnly, &["x", "telegram", "tweet.created"]),
        (Deliver::FastOnly, &["fast-x", "telegram", "tweet.created"]),
    ] {
        let (handler, store) = (Handler::ok(), MemoryStore::new());
        let provider = Scrapest::default().with_deliver(deliver);
        let layer = layer().with_store(store.clone()).with_provider(provider);
        let server = F::serve(layer, handler.clone()).await;
        let named = testing::scrapest(SECRET).sign();
        let sources = ["x", "fast-x", "telegram"];
        for request in
            sources.map(|source| source_event(source, "1", now())).into_iter().chain([named.into()])
        {
            let answer = server.raw(&request).await;
            assert_eq!((answer.status, answer.text()), (200, String::new()), "{deliver:?}");
        }
        let kinds: Vec<_> =
            handler.deliveries().iter().map(|d| d.kind().unwrap().to_owned()).collect();
        assert_eq!(kinds, expected, "{deliver:?}");
        // A filtered event makes no claim, but it is still authenticated and checked for freshness.
        assert_eq!(store.len(), 2 * expected.len());
        let mut forged = source_event("fast-x", "1", now());
        forged = forged.replacing("x-scrapest-signature", format!("sha256={}", "0".repeat(64)));
        assert_eq!(server.raw(&forged).await.status, 401);
        assert_eq!(server.raw(&source_event("fast-x", "1", now() - 9_999)).await.status, 401);
    }
}

async fn a_post_is_never_treated_as_a_challenge<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let body = format!(
        r#"{{"mid":1,"source":"x","timestamp":{},"token":"node-7","payload":{{}}}}"#,
        now()
    );
    let answer = server.raw(&Raw::scrapest(body)).await;
    assert_eq!((answer.status, answer.text()), (200, String::new()));
    let event = Event::try_from(&handler.deliveries()[0]).unwrap();
    assert_eq!(event.post().unwrap().id, "1");
}

async fn samples_of_both_generations_have_the_expected_fields<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    for kind in ["tweet.created", "user.updated", "x", "fast-x", "telegram", "discord"] {
        let request = testing::scrapest(SECRET).with_kind(kind).without_delivery_id();
        for request in [request.clone().sign(), request.with_signed_timestamp().sign()] {
            assert_eq!(server.send(&request).await.status, 200, "{kind}");
            let delivery = handler.deliveries().pop().unwrap();
            assert_eq!(delivery.kind(), Some(kind));
            assert_eq!(Event::try_from(&delivery).unwrap().kind(), Some(kind));
        }
    }
    assert_eq!(handler.runs(), 12, "each has an id of its own");
}

fn named(kind: &str, id: &str, timestamp: i64) -> Raw {
    let n = nonce();
    Raw::scrapest(format!(
        r#"{{"{id}":"1","event":"{kind}","timestamp":{timestamp},"n":{n},"data":{{"id":"1"}}}}"#
    ))
}

/// It may be the id of the tweet, which the tweet's creation and all its updates share.
async fn a_bare_id_in_a_body_counts_with_the_kind_and_the_signed_time<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let now = now();
    for (kind, timestamp, runs) in [
        ("tweet.created", now - 2, 1),
        ("tweet.created", now - 2, 1),
        ("tweet.updated", now - 2, 2),
        ("tweet.updated", now - 1, 3),
        ("tweet.updated", now - 1, 3),
        ("tweet.updated", now, 4),
        ("tweet.created", now - 2, 4),
    ] {
        assert_eq!(server.raw(&named(kind, "id", timestamp)).await.status, 200);
        assert_eq!(handler.runs(), runs, "{kind} at {timestamp}");
        assert_eq!(handler.deliveries().last().unwrap().id(), Some("1"));
    }
    // The same time in another format, signed with the header in front.
    let written = format!("{{\"id\":\"1\",\"event\":\"tweet.updated\",\"timestamp\":{now}000}}");
    assert_eq!(server.raw(&Raw::scrapest_at(now.to_string(), written)).await.status, 200);
    assert_eq!(handler.runs(), 4);
    // A delivery id counts alone.
    for timestamp in [now - 1, now] {
        assert_eq!(server.raw(&named("tweet.updated", "delivery_id", timestamp)).await.status, 200);
    }
    assert_eq!(handler.runs(), 5);
}

async fn a_bare_id_counts_alone_if_configured<F: Framework>() {
    let handler = Handler::ok();
    let provider = Scrapest::default().with_body_id_alone(true);
    let server = F::serve(layer().with_provider(provider), handler.clone()).await;
    for (kind, timestamp) in [("tweet.created", now() - 1), ("tweet.updated", now())] {
        assert_eq!(server.raw(&named(kind, "id", timestamp)).await.status, 200);
    }
    assert_eq!(handler.runs(), 1);
}

/// A retry is signed with its own time, but the time in the body stays the same.
async fn a_retry_of_a_bare_id_is_recognised_by_the_time_in_its_body<F: Framework>() {
    let handler = Handler::new(|_, before| async move { if before == 0 { 500 } else { 200 } });
    let server = F::serve(layer(), handler.clone()).await;
    let timestamp = now() - 20;
    let body = format!(r#"{{"id":"1","event":"tweet.updated","timestamp":{timestamp}}}"#);
    let mut statuses = Vec::new();
    for age in [9, 6, 3] {
        let at = seconds_ago(age).duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        statuses.push(server.raw(&Raw::scrapest_at(at.to_string(), body.clone())).await.status);
    }
    assert_eq!((statuses, handler.runs()), (vec![500, 200, 200], 2));
    assert!(scrapest::Event::try_from(&handler.deliveries()[0]).is_err(), "it has no data");
}

support::for_each_framework! {
    a_source_and_a_message_id_are_one_delivery,
    one_of_the_two_feeds_of_posts_can_be_filtered,
    a_post_is_never_treated_as_a_challenge,
    samples_of_both_generations_have_the_expected_fields,
    a_bare_id_in_a_body_counts_with_the_kind_and_the_signed_time,
    a_bare_id_counts_alone_if_configured,
    a_retry_of_a_bare_id_is_recognised_by_the_time_in_its_body,
}
