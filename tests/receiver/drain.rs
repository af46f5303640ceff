//! Shutdown waits for runs, in whatever phase their clients have left.

use std::time::Duration;

use scrapest_webhook::testing;
use support::in_process::{app, send, status};
use support::watched::Watched;
use support::{Handler, SECRET, badger_layer, genuine, layer};
use tokio::time::Instant;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// A handler that answers 200 after `span`.
fn handler_of(span: Duration) -> Handler {
    Handler::new(move |_, _| async move {
        tokio::time::sleep(span).await;
        200
    })
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_detached_runs_within_its_grace_period() {
    let (handler, layer) = (handler_of(SECONDS(20)), badger_layer());
    assert!(layer.drain(SECONDS(0)).await, "nothing has begun");
    let app = app(layer.clone(), &handler);
    assert_eq!(status(&app, &testing::scrapebadger(SECRET).sign()).await, 503);
    let asked = Instant::now();
    assert!(!layer.drain(SECONDS(5)).await);
    assert!(layer.drain(SECONDS(60)).await);
    assert_eq!(
        (asked.elapsed().as_secs(), handler.ended()),
        (12, 1),
        "20 s less the deadline of 8"
    );
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_a_claim_whose_client_has_left_and_for_its_run() {
    let (handler, store) = (handler_of(SECONDS(2)), Watched::slow(SECONDS(1)));
    let layer = layer().with_store(store.clone());
    let app = app(layer.clone(), &handler);
    let begun = tokio::spawn(async move { send(&app, &genuine().sign()).await });
    while store.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    begun.abort();
    let _ = begun.await;
    assert!(layer.drain(SECONDS(60)).await);
    assert_eq!((handler.runs(), handler.ended()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn drain_waits_until_an_unrecorded_success_is_recorded() {
    let store = Watched::default();
    let layer = layer().with_store(store.clone());
    let down = store.clone();
    let handler = Handler::new(move |_, _| {
        down.set_down(true);
        async { 200 }
    });
    let app = app(layer.clone(), &handler);
    let request = genuine().sign();
    assert_eq!(status(&app, &request).await, 200);
    assert!(!layer.drain(SECONDS(30)).await, "not recorded yet");
    store.set_down(false);
    assert!(layer.drain(SECONDS(30)).await);
    assert_eq!((status(&app, &request).await, handler.runs()), (200, 1));
}
