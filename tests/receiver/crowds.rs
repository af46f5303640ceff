//! Very many simultaneous copies of one request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use scrapest_webhook::MemoryStore;
use support::{Framework, Handler, Raw, eventually, genuine, layer, nonce};
use tokio::sync::Semaphore;

async fn a_thousand_concurrent_duplicates_run_once<F: Framework>() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let handler = Handler::new(move |_, _| {
        let held = Arc::clone(&held);
        async move {
            let _permit = held.acquire().await.unwrap();
            200
        }
    });
    let store = MemoryStore::new();
    let server = F::serve(layer().with_store(store.clone()), handler.clone()).await;
    let request: Raw = genuine().sign().into();
    // Every machine allows a process 100 connections; each sends ten requests.
    let (refused, server) = (&AtomicUsize::new(0), &server);
    let connections = (0..100).map(|connection| {
        let request = request.clone();
        async move {
            for turn in 0..10 {
                let id = format!("{connection}-{turn}");
                let replay = request.clone().replacing("x-scrapest-delivery-id", id);
                let answer = server.raw(&replay).await;
                if answer.status != 200 {
                    assert_eq!(answer.status, 503);
                    assert!(answer.header("retry-after").is_some());
                    refused.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    });
    let opened = async {
        // Some are waiting by now, and the others have tried several times.
        eventually("many refused", || refused.load(Ordering::SeqCst) >= 300).await;
        gate.add_permits(1);
    };
    tokio::join!(futures_util::future::join_all(connections), opened);
    assert_eq!((handler.runs(), handler.most_at_once()), (1, 1));
    assert_eq!(store.len(), 2, "a replay leaves nothing behind");
}

/// Each has another id, but they are duplicates of one delivery, so the limit of waiting duplicates applies to
/// all of them together.
async fn replays_under_many_ids_have_as_many_waiters_as_one_id<F: Framework>() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let handler = Handler::new(move |_, before| {
        let held = Arc::clone(&held);
        async move {
            if before == 0 {
                held.acquire().await.unwrap().forget();
            }
            200
        }
    });
    let server = &F::serve(layer(), handler.clone()).await;
    let captured = &Raw::from(genuine().sign());
    let refused = &AtomicUsize::new(0);
    let replays = async {
        eventually("the delivery to run", || handler.runs() == 1).await;
        let replays = (0..40).map(async |_| {
            let replay =
                captured.clone().replacing("x-scrapest-delivery-id", format!("id-{}", nonce()));
            if server.raw(&replay).await.status == 503 {
                refused.fetch_add(1, Ordering::SeqCst);
            }
        });
        let others = async {
            eventually("most are refused", || refused.load(Ordering::SeqCst) >= 40 - 16).await;
            let genuine = genuine().sign();
            assert_eq!(server.send(&genuine).await.status, 200, "there is room for others");
            gate.add_permits(1);
        };
        tokio::join!(futures_util::future::join_all(replays), others);
    };
    assert_eq!(tokio::join!(server.raw(captured), replays).0.status, 200);
    assert_eq!((handler.runs(), refused.load(Ordering::SeqCst)), (2, 40 - 16));
}

support::for_each_framework! {
    a_thousand_concurrent_duplicates_run_once,
    replays_under_many_ids_have_as_many_waiters_as_one_id,
}
