//! Test events: a sender can send two with equal bytes, and a captured one is limited to a few runs.

use std::time::Duration;

use scrapest_webhook::provider::DedupBy;
use scrapest_webhook::store::MemoryStore;
use scrapest_webhook::testing::{self, SignedRequest};
use support::in_process::{app, status};
use support::{Framework, Handler, SECRET, badger_layer, nonce};
use tokio::time::{advance, sleep};

/// Each with a new id.
fn pressed() -> SignedRequest {
    let id = format!("test-{}", nonce());
    testing::scrapebadger(SECRET).with_body(r#"{"type":"test"}"#).with_delivery_id(id).sign()
}

async fn a_captured_test_event_without_a_time_runs_five_times_and_leaves_few_records<
    F: Framework,
>() {
    let (handler, store) = (Handler::ok(), MemoryStore::new());
    let server = F::serve(badger_layer().with_store(store.clone()), handler.clone()).await;
    let tweet = testing::scrapebadger(SECRET).sign();
    assert_eq!(server.send(&tweet).await.status, 200);
    for _ in 0..200 {
        assert_eq!(server.send(&pressed()).await.status, 200);
    }
    assert_eq!(handler.runs(), 1 + 5);
    assert!(store.len() <= 2 + 2 * 5, "{} records", store.len());
}

async fn a_test_event_with_a_time_runs_once<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(badger_layer(), handler.clone()).await;
    let now = time::OffsetDateTime::now_utc();
    let now = now.format(&time::format_description::well_known::Rfc3339).unwrap();
    let body = format!(r#"{{"type":"test","detected_at":"{now}"}}"#);
    for _ in 0..10 {
        let id = format!("test-{}", nonce());
        let request = testing::scrapebadger(SECRET).with_body(body.clone()).with_delivery_id(id);
        assert_eq!(server.send(&request.sign()).await.status, 200);
    }
    assert_eq!(handler.runs(), 1);
    let test = handler.deliveries().pop().unwrap();
    assert!(test.kind() == Some("test") && test.timestamp().is_some(), "{test:?}");
}

support::for_each_framework! {
    a_captured_test_event_without_a_time_runs_five_times_and_leaves_few_records,
    a_test_event_with_a_time_runs_once,
}

#[tokio::test(start_paused = true)]
async fn undated_tests_run_five_times_per_minute_and_twenty_in_total() {
    for dedup_by in [DedupBy::DeliveryIdAndTag, DedupBy::DeliveryId, DedupBy::Tag] {
        let handler = Handler::ok();
        let app = app(badger_layer().with_dedup_by(dedup_by), &handler);
        let mut runs = Vec::new();
        for _ in 0..10 {
            for _ in 0..20 {
                assert_eq!(status(&app, &pressed()).await, 200);
            }
            runs.push(handler.runs());
            advance(Duration::from_secs(61)).await;
        }
        assert_eq!(runs, [5, 10, 15, 20, 20, 20, 20, 20, 20, 20], "{dedup_by:?}");
        advance(Duration::from_secs(4_300)).await;
        assert_eq!(status(&app, &pressed()).await, 200);
        assert_eq!(handler.runs(), 21, "the store has forgotten");
    }
}

#[tokio::test(start_paused = true)]
async fn retries_and_duplicates_do_not_count_as_further_test_events() {
    let handler = Handler::new(|_, before| async move { if before == 0 { 500 } else { 200 } });
    let app = app(badger_layer().with_max_undated_tests(100, 2), &handler);
    let (first, second) = (pressed(), pressed());
    assert_eq!(status(&app, &first).await, 500);
    for request in [&first, &first, &second, &second, &pressed(), &pressed()] {
        assert_eq!(status(&app, request).await, 200);
    }
    assert_eq!(handler.runs(), 3, "the retry has taken the key that the failure gave back");
    assert_eq!(handler.deliveries()[1].attempt(), 2);
}

#[tokio::test(start_paused = true)]
async fn concurrent_runs_also_count() {
    let handler = Handler::new(|_, before| async move {
        sleep(Duration::from_secs(1)).await;
        if before == 0 { 500 } else { 200 }
    });
    let app = app(badger_layer().with_max_undated_tests(100, 3), &handler);
    let crowd: Vec<_> = (0..10)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move { status(&app, &pressed()).await })
        })
        .collect();
    let mut statuses = Vec::new();
    for one in crowd {
        statuses.push(one.await.unwrap());
    }
    // The others are answered to retry, because one of the runs may have failed, as here.
    assert_eq!((handler.runs(), handler.most_at_once()), (3, 3), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 500, 503].contains(status)), "{statuses:?}");
}

#[tokio::test(start_paused = true)]
async fn with_a_limit_of_zero_a_test_event_is_answered_and_does_not_run() {
    for layer in
        [badger_layer().with_max_undated_tests(0, 20), badger_layer().with_max_undated_tests(5, 0)]
    {
        let handler = Handler::ok();
        assert_eq!(status(&app(layer, &handler), &pressed()).await, 200);
        assert_eq!(handler.runs(), 0);
    }
}
