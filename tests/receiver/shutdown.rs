//! Shutdown, and readiness before it.

use std::time::Duration;

use scrapest_webhook::store::store_from_url;
use scrapest_webhook::{MemoryStore, RejectionKind, WebhookLayer};
use support::client;
use support::in_process::{app, send, status};
use support::logged::Logged;
use support::scripted::{Fault, ScriptedStore};
use support::watched::{Asked, Watched};
use support::{Framework, Handler, badger_layer, eventually, genuine, layer};
use tokio::time::Instant;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// A handler that answers 200 after `span`.
fn handler_of(span: Duration) -> Handler {
    Handler::new(move |_, _| async move {
        tokio::time::sleep(span).await;
        200
    })
}

/// Starts the request, and returns its future answer.
fn begin(
    app: &axum::Router,
    request: scrapest_webhook::testing::SignedRequest,
) -> tokio::task::JoinHandle<u16> {
    let app = app.clone();
    tokio::spawn(async move { status(&app, &request).await })
}

#[tokio::test(start_paused = true)]
async fn running_handlers_finish_and_their_senders_are_answered() {
    let (layer, handler, store) = (layer(), handler_of(SECONDS(3)), MemoryStore::new());
    let layer = layer.with_store(store.clone());
    let (app_before, request) = (app(layer.clone(), &handler), genuine().sign());
    let answer = begin(&app_before, request.clone());
    tokio::time::sleep(SECONDS(1)).await;
    let asked = Instant::now();
    assert!(layer.shutdown(SECONDS(20)).await);
    assert_eq!((asked.elapsed().as_secs(), handler.ended()), (2, 1), "and no longer");
    assert_eq!(answer.await.unwrap(), 200);
    let next = app(self::layer().with_store(store), &handler);
    assert_eq!((status(&next, &request).await, handler.runs()), (200, 1), "it was recorded");
}

#[tokio::test(start_paused = true)]
async fn runs_that_outlast_the_grace_are_ended_and_released() {
    let (logged, _guard) = Logged::begin();
    let (handler, store) = (handler_of(SECONDS(50)), MemoryStore::new());
    let layer = badger_layer().with_store(store.clone());
    let app_before = app(layer.clone(), &handler);
    // One whose sender still waits, and one whose sender was answered to retry.
    let request = scrapest_webhook::testing::scrapebadger(support::SECRET).sign();
    let late = scrapest_webhook::testing::scrapebadger(support::SECRET).sign();
    assert_eq!(status(&app_before, &late).await, 503);
    let answer = begin(&app_before, request.clone());
    tokio::time::sleep(SECONDS(1)).await;
    let asked = Instant::now();
    assert!(!layer.shutdown(SECONDS(5)).await);
    assert_eq!(asked.elapsed().as_secs(), 5);
    assert_eq!((answer.await.unwrap(), handler.ended()), (503, 0));
    assert!(logged.values("outcome").contains(&RejectionKind::ShuttingDown.as_str().to_owned()));

    let next = Handler::ok();
    let app = app(badger_layer().with_store(store), &next);
    for request in [request, late] {
        assert_eq!(status(&app, &request).await, 200);
    }
    let attempts: Vec<_> = next.deliveries().iter().map(|one| one.attempt()).collect();
    assert_eq!((asked.elapsed().as_secs(), attempts), (5, vec![2, 2]), "not at the lease's end");
}

#[tokio::test(start_paused = true)]
async fn during_a_shutdown_no_run_starts_and_no_duplicate_waits() {
    let handler = handler_of(SECONDS(3));
    let layer = layer();
    let app = app(layer.clone(), &handler);
    let request = genuine().sign();
    let first = begin(&app, request.clone());
    tokio::time::sleep(Duration::from_millis(10)).await;
    let duplicate = begin(&app, request.clone());
    tokio::time::sleep(Duration::from_millis(10)).await;
    let ending = {
        let layer = layer.clone();
        tokio::spawn(async move { layer.shutdown(SECONDS(20)).await })
    };
    tokio::task::yield_now().await;
    let asked = Instant::now();
    assert!(!layer.is_ready().await);
    let refused = send(&app, &genuine().sign()).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(duplicate.await.unwrap(), 503);
    assert!(asked.elapsed() < SECONDS(1), "{:?}", asked.elapsed());
    assert_eq!((first.await.unwrap(), ending.await.unwrap(), handler.runs()), (200, true, 1));
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_claim_is_released() {
    let store = Watched::default();
    store.set_down(true);
    let layer = layer().with_store(store.clone());
    let app = app(layer.clone(), &Handler::ok());
    let answer = begin(&app, genuine().sign());
    tokio::time::sleep(SECONDS(1)).await;
    let asked = Instant::now();
    let ending = tokio::spawn(async move { layer.shutdown(SECONDS(20)).await });
    assert_eq!(answer.await.unwrap(), 503);
    assert!(asked.elapsed() < SECONDS(1), "{:?}", asked.elapsed());
    store.set_down(false);
    assert!(ending.await.unwrap());
    let asked: Vec<_> = store.asked().into_iter().map(|(_, asked)| asked).collect();
    assert_eq!(asked.last(), Some(&Asked::Release), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unresponsive_store_delays_the_shutdown_by_2_s() {
    let store = ScriptedStore::new(|call| match call.verb {
        support::scripted::Verb::Release => Fault::Hang,
        _ => Fault::None,
    });
    let layer = layer().with_store(store);
    let app = app(layer.clone(), &handler_of(SECONDS(50)));
    begin(&app, genuine().sign());
    tokio::time::sleep(SECONDS(1)).await;
    let asked = Instant::now();
    assert!(!layer.shutdown(SECONDS(5)).await);
    assert_eq!(asked.elapsed().as_secs(), 7);
}

/// The run outlives its answer, so that no connection keeps the server running.
async fn a_run_past_its_answer_deadline_ends_before_the_server<F: Framework>() {
    let handler = handler_of(Duration::from_millis(900));
    let store = MemoryStore::new();
    let layer = layer().with_store(store.clone());
    let layer: WebhookLayer<_> = layer.with_answer_deadline(Duration::from_millis(200));
    let server = F::serve(layer.clone(), handler.clone()).await;
    let request = genuine().sign();
    assert_eq!(server.send(&request).await.status, 503);
    assert!(layer.shutdown(SECONDS(20)).await);
    server.shut_down().await;
    assert_eq!(handler.ended(), 1);
    let next = F::serve(self::layer().with_store(store), handler.clone()).await;
    assert_eq!((next.send(&request).await.status, handler.runs()), (200, 1));
}

async fn a_hanging_run_is_ended_and_its_sender_is_answered<F: Framework>() {
    let handler = handler_of(SECONDS(50));
    let store = MemoryStore::new();
    let layer = layer().with_store(store.clone());
    let server = F::serve(layer.clone(), handler.clone()).await;
    let request = genuine().sign();
    let mut waiting = client::begin(server.address, &client::text(&request)).await;
    eventually("it runs", || handler.runs() == 1).await;
    assert!(!layer.shutdown(Duration::from_millis(100)).await);
    assert_eq!(client::read(&mut waiting).await.status, 503);
    assert_eq!(server.send(&genuine().sign()).await.status, 503, "the server is not told yet");
    server.shut_down().await;
    let next = F::serve(self::layer().with_store(store), Handler::ok()).await;
    assert_eq!(next.send(&request).await.status, 200);
}

support::for_each_framework! {
    a_run_past_its_answer_deadline_ends_before_the_server,
    a_hanging_run_is_ended_and_its_sender_is_answered,
}

#[tokio::test(start_paused = true)]
async fn ready_succeeds_while_the_store_is_writable() {
    assert!(layer().is_ready().await, "memory always is");
    let store = Watched::default();
    let layer = layer().with_store(store.clone());
    for down in [false, true, true, false] {
        store.set_down(down);
        assert_eq!(layer.is_ready().await, !down);
    }
    let keep = Duration::from_millis(1);
    assert!(store.asked().iter().all(|(_, asked)| *asked == Asked::Complete { keep }));
    let app = app(layer, &Handler::ok());
    assert_eq!(status(&app, &genuine().sign()).await, 200, "the probe is in nobody's way");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_not_ready_after_1_s() {
    let store = ScriptedStore::new(|_| Fault::Hang);
    let asked = Instant::now();
    assert!(!layer().with_store(store).is_ready().await);
    assert_eq!(asked.elapsed().as_secs(), 1);
}

#[tokio::test]
async fn ready_depends_on_whether_the_file_can_be_opened() {
    let folder = std::env::temp_dir().join(format!("webhook-ready-{}", std::process::id()));
    let url = format!("sqlite:{}/deliveries.db", folder.display());
    let ready = async || layer().with_store(store_from_url(&url).unwrap()).is_ready().await;
    assert!(!ready().await);
    std::fs::create_dir_all(&folder).unwrap();
    assert!(ready().await);
    assert!(ready().await, "again");
    std::fs::remove_dir_all(&folder).unwrap();
}
