//! What `is_lease_lost()` returns to a handler whose thread is blocked, and to work that it leaves on another
//! thread.

use std::sync::Mutex;

use scrapest_webhook::Delivery;
use scrapest_webhook::store::{Claim, DeliveryStore, MemoryStore, Owner};
use support::{Framework, Handler, Run, genuine, layer};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::handler_faults::{AT_ONCE, millis};

/// Work of the first attempt on another thread, which is never cancelled.
struct LeftBehind {
    may_look: oneshot::Sender<()>,
    is_lost: oneshot::Receiver<bool>,
}

impl LeftBehind {
    /// Returns the answer of `is_lease_lost()` just before the effect.
    async fn look(self) -> bool {
        self.may_look.send(()).unwrap();
        self.is_lost.await.unwrap()
    }
}

/// The first attempt starts such work and ends like `end`; the others answer 200.
fn leaving_behind(end: impl Fn() -> Run + Send + Sync + 'static) -> (Handler, LeftBehind) {
    let (may_look, looks) = oneshot::channel();
    let (says, is_lost) = oneshot::channel();
    let work = Mutex::new(Some(move |delivery: Delivery| {
        looks.blocking_recv().unwrap();
        says.send(delivery.is_lease_lost()).unwrap();
    }));
    let handler = Handler::new(move |delivery, _| {
        let work = work.lock().unwrap().take();
        match work {
            Some(work) => {
                drop(spawn_blocking(move || work(delivery)));
                end()
            }
            None => Box::pin(async { 200 }),
        }
    });
    (handler, LeftBehind { may_look, is_lost })
}

async fn work_on_another_thread_sees_that_a_retry_may_run<F: Framework>() {
    let ends: [(u16, fn() -> Run); 3] = [
        (503, || Box::pin(std::future::pending())),
        (500, || Box::pin(async { 500 })),
        (500, || panic!("as the test wants")),
    ];
    for (status, end) in ends {
        let (handler, left_behind) = leaving_behind(end);
        let server = F::serve(layer().with_run_limit(millis(300)), handler.clone()).await;
        let request = genuine().sign();
        assert_eq!(server.send(&request).await.status, status);
        assert_eq!((server.send(&request).await.status, handler.runs()), (200, 2));
        assert!(left_behind.look().await, "{status}");
    }
}

async fn work_on_another_thread_sees_a_shutdown<F: Framework>() {
    let (handler, left_behind) = leaving_behind(|| Box::pin(std::future::pending()));
    let store = MemoryStore::new();
    let layer = layer().with_store(store.clone()).with_answer_deadline(millis(300));
    let server = F::serve(layer.clone(), handler.clone()).await;
    let request = genuine().sign();
    assert_eq!(server.send(&request).await.status, 503, "it runs on");
    assert!(!layer.shutdown(millis(100)).await);
    let next = F::serve(self::layer().with_store(store), Handler::ok()).await;
    let began = Instant::now();
    assert_eq!(next.send(&request).await.status, 200);
    assert!(began.elapsed() < AT_ONCE, "released, and not left to the lease's end");
    assert!(left_behind.look().await);
}

async fn work_on_another_thread_holds_its_lease_during_its_run<F: Framework>() {
    let (handler, left_behind) = leaving_behind(|| Box::pin(std::future::pending()));
    let server = F::serve(layer().with_answer_deadline(millis(300)), handler).await;
    assert_eq!(server.send(&genuine().sign()).await.status, 503);
    assert!(!left_behind.look().await);
}

/// Another process takes the delivery over while the thread is blocked and nothing is polled.
async fn a_handler_that_blocked_beyond_its_lease_sees_the_loss<F: Framework>() {
    let (store, heir) = (MemoryStore::new(), Owner::random());
    let shared = store.clone();
    let handler = Handler::new(move |delivery, _| {
        let shared = shared.clone();
        async move {
            std::thread::sleep(millis(700));
            let claim = shared.claim(&delivery.key(), heir, millis(60_000), millis(60_000)).await;
            assert!(matches!(claim, Ok(Claim::Acquired { .. })), "{claim:?}");
            let at_once = delivery.is_lease_lost();
            sleep(millis(250)).await;
            if at_once && delivery.is_lease_lost() { 409 } else { 200 }
        }
    });
    let layer = layer().with_store(store.clone()).with_lease(millis(300));
    let server = F::serve(layer, handler.clone()).await;
    assert_eq!(server.send(&genuine().sign()).await.status, 409);
    let key = handler.deliveries()[0].key();
    let claim = store.claim(&key, Owner::random(), millis(60_000), millis(60_000)).await.unwrap();
    assert!(matches!(claim, Claim::InProgress { .. }), "its failure releases nothing");
}

/// No other process can take over at that moment: the overdue renewal keeps the lease.
async fn a_handler_that_computes_before_its_first_await_keeps_its_lease<F: Framework>() {
    let store = MemoryStore::new();
    let shared = store.clone();
    let handler = Handler::new(move |delivery, _| {
        let shared = shared.clone();
        async move {
            std::thread::sleep(millis(2_500));
            // Past the lease of the claim, within that of the renewal.
            sleep(millis(3_000)).await;
            let other = Owner::random();
            let claim = shared.claim(&delivery.key(), other, millis(60_000), millis(60_000)).await;
            let is_held = matches!(claim, Ok(Claim::InProgress { .. }));
            if is_held && !delivery.is_lease_lost() { 200 } else { 409 }
        }
    });
    let layer = layer().with_store(store).with_lease(millis(5_000));
    let layer = layer.with_answer_deadline(millis(30_000));
    let server = F::serve(layer, handler.clone()).await;
    assert_eq!(server.send(&genuine().sign()).await.status, 200);
    assert_eq!(handler.runs(), 1);
}

support::for_each_framework! {
    work_on_another_thread_sees_that_a_retry_may_run,
    work_on_another_thread_sees_a_shutdown,
    work_on_another_thread_holds_its_lease_during_its_run,
    a_handler_that_blocked_beyond_its_lease_sees_the_loss,
    a_handler_that_computes_before_its_first_await_keeps_its_lease,
}
