//! Receivers with many concurrent runs, and with one worker that is blocked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use scrapest_webhook::store::AnyStore;
use tokio::runtime::Builder;
use tokio::time::sleep;

use crate::{Handler, InProcess, genuine, layer};

/// Two workers share a layer, like those of actix. While a handler blocks the thread of the first worker, the
/// other one takes deliveries.
pub fn a_blocked_worker_does_not_delay_others(store: AnyStore) {
    let layer = layer().with_store(store);
    let (reached, is_reached) = mpsc::channel();
    let (unblock, is_unblocked) = mpsc::channel::<()>();
    let is_unblocked = std::sync::Mutex::new(is_unblocked);
    let blocks = Handler::new(move |_, before| {
        if before == 1 {
            reached.send(()).unwrap();
            _ = is_unblocked.lock().unwrap().recv_timeout(Duration::from_secs(60));
        }
        async { 200 }
    });
    let blocked = InProcess::new(&layer, blocks);
    let blocked = thread::spawn(move || {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            // This worker must be the first to use the store.
            for _ in 0..2 {
                assert_eq!(blocked.status(&genuine().sign()).await, 200);
            }
        });
    });
    is_reached.recv_timeout(Duration::from_secs(60)).unwrap();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let free = InProcess::new(&layer, Handler::ok());
        for _ in 0..5 {
            let requests: Vec<_> = (0..4).map(|_| genuine().sign()).collect();
            let statuses = join_all(requests.iter().map(|request| free.status(request))).await;
            assert_eq!(statuses, [200; 4]);
        }
    });
    unblock.send(()).unwrap();
    blocked.join().unwrap();
}

/// Handlers at two receivers take longer than a lease, as if all of them waited for a hanging service. The
/// sender retries whatever was not answered in time. Each delivery runs once and keeps its lease.
pub async fn long_runs_keep_their_leases(stores: [AnyStore; 2], runs: usize) {
    let seconds = if runs > 1_000 { (15, 30) } else { (8, 12) };
    let (lease, takes) = (Duration::from_secs(seconds.0), Duration::from_secs(seconds.1));
    let lost = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lost);
    let handler = Handler::new(move |delivery, _| {
        let count = Arc::clone(&count);
        async move {
            sleep(takes).await;
            count.fetch_add(delivery.is_lease_lost().into(), Ordering::SeqCst);
            200
        }
    });
    let receivers = stores.map(|store| {
        let layer = layer().with_store(store).with_lease(lease).with_max_concurrent_runs(runs);
        InProcess::new(&layer, handler.clone())
    });
    let sending = (0..runs).map(|number| {
        let receivers = receivers.clone();
        tokio::spawn(async move {
            let request = genuine().sign();
            for attempt in 0.. {
                let asked = receivers[(number + attempt) % 2].ask(&request);
                if asked.await.0.status == 200 {
                    break;
                }
                sleep(Duration::from_secs(1 << attempt.min(3))).await;
            }
        })
    });
    for sent in join_all(sending.collect::<Vec<_>>()).await {
        sent.unwrap();
    }
    assert_eq!(lost.load(Ordering::SeqCst), 0, "of {} runs have lost their leases", handler.runs());
    assert_eq!((handler.runs(), handler.ended()), (runs, runs));
    for delivery in handler.deliveries() {
        assert_eq!(delivery.attempt(), 1);
    }
}
