//! Every setting of a layer has an effect: each is tested with a value that is not its default.

use std::future::pending;
use std::time::{Duration, SystemTime};

use scrapest_webhook::scrapest::Scrapest;
use scrapest_webhook::store::Fence;
use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{DedupBy, MemoryStore, OnStoreDown, ScrapestWebhookLayer, Secrets};
use support::in_process::{app, send, status};
use support::watched::{Asked, Watched};
use support::{Handler, SECRET, genuine, layer};
use tokio::time::Instant;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn never() -> Handler {
    Handler::new(|_, _| pending())
}

fn renamed(request: &SignedRequest, id: &str) -> SignedRequest {
    request.clone().with_header("x-scrapest-delivery-id", id)
}

/// The time from now to the answer in milliseconds, and its status.
async fn timed(app: &axum::Router, request: &SignedRequest) -> (u128, u16) {
    let asked = Instant::now();
    let status = status(app, request).await;
    (asked.elapsed().as_millis(), status)
}

#[tokio::test(start_paused = true)]
async fn from_secrets_accepts_the_old_and_the_new_secret() {
    let (old, older) = ("whsec_of_last_month_0123456789", "whsec_of_the_year_before_012345");
    let secrets = Secrets::new([SECRET, old, older]).unwrap();
    let layer = ScrapestWebhookLayer::from_secrets(secrets);
    let app = app(layer, &Handler::ok());
    assert_eq!(status(&app, &genuine().sign()).await, 200);
    assert_eq!(status(&app, &testing::scrapest(old).sign()).await, 200);
    assert_eq!(status(&app, &testing::scrapest(older).sign()).await, 200);
    assert_eq!(status(&app, &testing::scrapest("whsec_of_nobody").sign()).await, 401);
}

#[tokio::test(start_paused = true)]
async fn with_provider_renames_headers_and_fields() {
    let provider = Scrapest::default().with_signature_header("X-Hook-Signature");
    let app = app(layer().with_provider(provider), &Handler::ok());
    let request = genuine().sign();
    assert_eq!(status(&app, &request).await, 401);
    let (_, signature) =
        request.headers().find(|(name, _)| *name == "x-scrapest-signature").unwrap();
    let signature = signature.to_owned();
    assert_eq!(status(&app, &request.with_header("x-hook-signature", signature)).await, 200);
}

#[tokio::test(start_paused = true)]
async fn with_store_keeps_the_deliveries_and_with_namespace_separates_them() {
    let store = MemoryStore::new();
    let on = |namespace: &str| layer().with_store(store.clone()).with_namespace(namespace);
    let handler = Handler::ok();
    let (one, same) = (app(on("a"), &handler), app(on("a"), &handler));
    let (other, none) = (app(on("b"), &handler), app(layer().with_store(store.clone()), &handler));
    let request = genuine().sign();
    for (app, runs) in [(&one, 1), (&one, 1), (&same, 1), (&other, 2), (&none, 3), (&same, 3)] {
        assert_eq!(status(app, &request).await, 200);
        assert_eq!(handler.runs(), runs);
    }
    assert_eq!(store.len(), 6, "the bytes and the id, in three namespaces");
}

#[tokio::test(start_paused = true)]
async fn with_dedup_by_decides_which_requests_are_duplicates() {
    for (choice, same_bytes, same_id) in [
        (None, 1, 1),
        (Some(DedupBy::DeliveryIdAndTag), 1, 1),
        (Some(DedupBy::Tag), 1, 2),
        (Some(DedupBy::DeliveryId), 2, 1),
    ] {
        let layer = || choice.map_or_else(layer, |choice| layer().with_dedup_by(choice));
        let handler = Handler::ok();
        let replayed = app(layer(), &handler);
        let request = genuine().sign();
        assert_eq!(status(&replayed, &request).await, 200);
        assert_eq!(status(&replayed, &renamed(&request, "another")).await, 200);
        assert_eq!(handler.runs(), same_bytes, "{choice:?}, the same bytes under another id");

        let handler = Handler::ok();
        let refreshed = app(layer(), &handler);
        for kind in ["tweet.created", "tweet.updated"] {
            let request = genuine().with_kind(kind).with_delivery_id("del_1").sign();
            assert_eq!(status(&refreshed, &request).await, 200);
        }
        assert_eq!(handler.runs(), same_id, "{choice:?}, other bytes under the same id");
    }
}

#[tokio::test(start_paused = true)]
async fn with_tolerances_and_with_clock_move_the_window_of_freshness() {
    let now = SystemTime::UNIX_EPOCH + SECONDS(1_000_000_000);
    let layer = layer()
        .with_clock(move || now)
        .with_past_tolerance(SECONDS(100))
        .with_future_tolerance(SECONDS(7));
    let app = app(layer, &Handler::ok());
    let past = |age| genuine().with_time(now - SECONDS(age));
    let future = |lead| genuine().with_time(now + SECONDS(lead));
    for (request, expected) in [
        (past(100), 200),
        (past(101), 401),
        (past(100).with_signed_timestamp(), 200),
        (past(101).with_signed_timestamp(), 401),
        (future(7), 200),
        (future(8), 401),
        (genuine(), 401),
    ] {
        assert_eq!(status(&app, &request.clone().sign()).await, expected, "{request:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_answer_deadline_answers_exactly_at_the_deadline() {
    let handler = never();
    let layer = layer().with_answer_deadline(Duration::from_millis(1_500));
    let app = app(layer, &handler);
    let request = genuine().sign();
    assert!(matches!(timed(&app, &request).await, (1_500..=1_505, 503)));
    // Also for a request that waits.
    assert!(matches!(timed(&app, &request).await, (1_500..=1_505, 503)));
    assert_eq!(handler.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn with_lease_is_the_claimed_lease_and_is_renewed_after_a_third() {
    let store = Watched::default();
    let layer = layer().with_store(store.clone()).with_lease(SECONDS(9));
    assert_eq!(status(&app(layer, &never()), &genuine().sign()).await, 503);
    tokio::time::sleep(SECONDS(10)).await;
    let asked = store.asked();
    let (begun, first) = asked[0];
    assert!(matches!(first, Asked::Claim { lease, .. } if lease == SECONDS(9)));
    let renewed: Vec<_> = asked
        .into_iter()
        .filter(|(_, asked)| *asked == Asked::Renew { lease: SECONDS(9) })
        .map(|(at, _)| (at - begun).as_secs())
        .collect();
    // Each renewal has both keys: of the bytes and of the id.
    assert_eq!(renewed, [3, 3, 6, 6, 9, 9, 12, 12]);
}

#[tokio::test(start_paused = true)]
async fn with_retention_limits_how_long_a_delivery_is_remembered() {
    let now = SystemTime::now();
    let layer = layer().with_clock(move || now).with_retention(SECONDS(5_000));
    let handler = Handler::ok();
    let app = app(layer, &handler);
    let request = genuine().with_time(now).sign();
    for (pause, runs) in [(0, 1), (4_999, 1), (2, 2)] {
        tokio::time::sleep(SECONDS(pause)).await;
        assert_eq!(status(&app, &request).await, 200);
        assert_eq!(handler.runs(), runs);
    }
}

#[tokio::test(start_paused = true)]
async fn with_body_limit_body_deadline_and_bytes_in_flight_bound_the_body() {
    let request = genuine().sign();
    let length = request.body().len();
    let exact = app(layer().with_body_limit(length), &Handler::ok());
    assert_eq!(status(&exact, &request).await, 200);
    let short = app(layer().with_body_limit(length - 1), &Handler::ok());
    assert_eq!(status(&short, &request).await, 413);

    let hasty = app(layer().with_body_deadline(Duration::from_millis(700)), &Handler::ok());
    let pending = || futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let asked = Instant::now();
    let endless =
        support::in_process::http(&request).map(|_| axum::body::Body::from_stream(pending()));
    let answer = tower::ServiceExt::oneshot(hasty, endless).await.unwrap();
    assert_eq!(answer.status(), 408);
    assert!(matches!(asked.elapsed().as_millis(), 700..=705));

    let cap = length + 50;
    let narrow = app(layer().with_body_limit(cap).with_bytes_in_flight(cap), &never());
    let first = tokio::spawn({
        let (narrow, request) = (narrow.clone(), request.clone());
        async move { status(&narrow, &request).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(timed(&narrow, &genuine().sign()).await, (0, 503));
    assert_eq!(first.await.unwrap(), 503);
}

#[tokio::test(start_paused = true)]
async fn with_run_limit_ends_a_handler_and_the_retry_runs() {
    let handler =
        Handler::new(|_, before| async move { if before == 0 { pending().await } else { 200 } });
    let layer = layer().with_run_limit(SECONDS(2));
    let app = app(layer.clone(), &handler);
    let request = genuine().sign();
    assert!(matches!(timed(&app, &request).await, (2_000..=2_005, 503)));
    assert_eq!(handler.ended(), 0);
    assert_eq!(timed(&app, &request).await, (0, 200));
    assert_eq!(handler.deliveries()[1].attempt(), 2);
    assert!(layer.drain(SECONDS(0)).await, "nothing runs any more");
}

#[tokio::test(start_paused = true)]
async fn with_on_store_down_refuses_or_processes_anyway() {
    let request = genuine().sign();
    for (choice, expected, after, runs) in [
        (None, 503, 4_000, 0),
        (Some(OnStoreDown::Refuse), 503, 4_000, 0),
        (Some(OnStoreDown::ProcessAnyway), 200, 2_000, 1),
    ] {
        let (store, handler) = (Watched::default(), Handler::ok());
        store.set_down(true);
        let layer = layer().with_store(store.clone());
        let layer =
            choice.into_iter().fold(layer, |layer, choice| layer.with_on_store_down(choice));
        let asked = Instant::now();
        let answer = send(&app(layer, &handler), &request).await;
        assert_eq!((answer.status().as_u16(), handler.runs()), (expected, runs), "{choice:?}");
        let waited = asked.elapsed().as_millis();
        assert!((after..after + 100).contains(&waited), "{choice:?}: {waited} ms");
        for delivery in handler.deliveries() {
            assert_eq!((delivery.fence(), delivery.attempt()), (Fence::new(0), 0));
        }
    }
}
