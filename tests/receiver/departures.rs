//! Clients that disconnect.

use std::time::Duration;

use scrapest_webhook::store::{Claim, DeliveryStore, Owner};
use support::client::{self, Leave};
use support::scripted::{Fault, ScriptedStore, Verb};
use support::{Framework, Handler, InProcess, eventually, genuine, layer};
use tokio::runtime::Handle as Tokio;
use tokio::time::{Instant, sleep, timeout};

use crate::handler_faults::{AT_ONCE, millis};

async fn a_client_that_leaves_during_its_body_leaves_no_state<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    for leave in Leave::ALL {
        let request = genuine().sign();
        let text = client::text(&request);
        let body = text.len() - request.body().len();
        for cut in [1, body / 2, body - 1, body, body + 1, text.len() - 1] {
            let stream = client::begin(server.address, &text[..cut]).await;
            if let Some(answer) = leave.leave(stream).await {
                assert!((400..500).contains(&answer.status), "{leave:?} at {cut}: {answer:?}");
            }
        }
        let before = handler.runs();
        let began = Instant::now();
        assert_eq!(server.send(&request).await.status, 200);
        assert!(began.elapsed() < AT_ONCE);
        assert_eq!(handler.runs(), before + 1);
    }
}

async fn a_run_whose_client_leaves_continues_and_is_settled<F: Framework>() {
    for leave in Leave::ALL {
        for first in [200, 500] {
            let handler = Handler::new(move |_, before| async move {
                sleep(millis(300)).await;
                if before == 0 { first } else { 200 }
            });
            let server = F::serve(layer(), handler.clone()).await;
            let request = genuine().sign();
            let stream = client::begin(server.address, &client::text(&request)).await;
            eventually("it runs", || handler.runs() == 1).await;
            if let Some(answer) = leave.leave(stream).await {
                assert_eq!(answer.status, first, "{leave:?}: an answer is the handler's");
            }
            let began = Instant::now();
            assert_eq!(server.send(&request).await.status, 200);
            assert!(began.elapsed() < AT_ONCE, "{leave:?} {first}");
            let runs = if first == 200 { 1 } else { 2 };
            assert_eq!((handler.runs(), handler.ended()), (runs, runs), "{leave:?} {first}");
        }
    }
}

async fn a_duplicate_whose_client_leaves_while_waiting_leaves_no_state<F: Framework>() {
    for leave in Leave::ALL {
        let handler = Handler::new(|_, before| async move {
            sleep(millis(if before == 0 { 600 } else { 0 })).await;
            if before == 0 { 500 } else { 200 }
        });
        let server = F::serve(layer(), handler.clone()).await;
        let request = genuine().sign();
        let first = client::begin(server.address, &client::text(&request)).await;
        eventually("it runs", || handler.runs() == 1).await;
        let waiting = client::begin(server.address, &client::text(&request)).await;
        sleep(millis(150)).await;
        leave.leave(waiting).await;
        drop(first);
        // Where a half-close is a full close (actix), the waiting duplicate has taken over by now.
        eventually("it failed", || handler.ended() >= 1).await;
        let began = Instant::now();
        assert_eq!(server.send(&request).await.status, 200, "{leave:?}");
        assert!(began.elapsed() < AT_ONCE, "{leave:?}");
        let answered_half_closed = handler.runs() == 2;
        assert!(answered_half_closed, "{leave:?}: {} runs", handler.runs());
    }
}

async fn a_client_that_leaves_during_the_claim_changes_nothing<F: Framework>() {
    for verb in [Verb::Claim, Verb::Complete, Verb::Release] {
        for leave in Leave::ALL {
            let store = ScriptedStore::new(move |call| match call.nth {
                0..2 if call.verb == verb => Fault::Slow(millis(250)),
                _ => Fault::None,
            });
            let first = if verb == Verb::Release { 500 } else { 200 };
            let handler =
                Handler::new(move |_, before| async move { if before == 0 { first } else { 200 } });
            let layer = layer().with_store(store.clone());
            let server = F::serve(layer.clone(), handler.clone()).await;
            let request = genuine().sign();
            let stream = client::begin(server.address, &client::text(&request)).await;
            eventually("it is asked", || !store.calls_of(verb).is_empty()).await;
            leave.leave(stream).await;
            let began = Instant::now();
            assert_eq!(server.send(&request).await.status, 200, "{verb:?} {leave:?}");
            assert!(began.elapsed() < AT_ONCE, "{verb:?} {leave:?}");
            let successes = handler.runs() - usize::from(verb == Verb::Release);
            assert_eq!(successes, 1, "{verb:?} {leave:?}");
        }
    }
}

/// Whether no key is claimed or waited for.
async fn all_completed(store: &ScriptedStore) -> bool {
    let second = Duration::from_secs(1);
    for key in store.keys() {
        let claim = store.real().claim(&key, Owner::random(), second, second).await.unwrap();
        if claim != Claim::Completed {
            return false;
        }
    }
    true
}

#[tokio::test(start_paused = true)]
async fn a_client_may_leave_at_any_moment() {
    // Claims take 2 × 20 ms, the handler 30 ms, the record 2 × 20 ms. A first status of 0 is a panic.
    let moments = |first| (0..130).map(move |moment| (first, moment));
    for (first, moment) in [200, 500, 0].into_iter().flat_map(moments) {
        let store = ScriptedStore::new(|_| Fault::Slow(millis(20)));
        let handler = Handler::new(move |_, before| async move {
            sleep(millis(30)).await;
            assert!(before > 0 || first > 0, "as told");
            if before == 0 { first } else { 200 }
        });
        let layer = layer().with_store(store.clone());
        let receiver = InProcess::new(&layer, handler.clone());
        let request = genuine().sign();
        let stayed = timeout(millis(moment), receiver.send(&request)).await.is_ok();
        assert!(layer.drain(Duration::from_secs(2)).await);
        tokio::task::yield_now().await;
        assert_eq!(Tokio::current().metrics().num_alive_tasks(), 0, "{first}, left at {moment} ms");
        let runs = handler.runs();
        assert!(runs == 1 || !stayed);

        let began = Instant::now();
        assert_eq!(receiver.status(&request).await, 200, "{first}, left at {moment} ms");
        assert!(began.elapsed() < millis(300), "{first}, left at {moment} ms");
        let expected = if runs == 1 && first == 200 { 1 } else { runs + 1 };
        assert_eq!(handler.runs(), expected, "{first}, left at {moment} ms");
        assert!(all_completed(&store).await, "{first}, left at {moment} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiting_client_may_leave_at_any_moment() {
    for moment in 0..200 {
        let store = ScriptedStore::new(|_| Fault::Slow(millis(7)));
        let handler = Handler::new(|_, before| async move {
            sleep(millis(100)).await;
            if before == 0 { 500 } else { 200 }
        });
        let layer = layer().with_store(store.clone());
        let receiver = InProcess::new(&layer, handler.clone());
        let request = genuine().sign();
        let leaving = timeout(millis(moment), receiver.send(&request));
        let (first, _) = tokio::join!(receiver.status(&request), async {
            sleep(millis(10)).await;
            leaving.await
        });
        assert_eq!(first, 500);
        assert!(layer.drain(Duration::from_secs(2)).await);
        tokio::task::yield_now().await;
        assert_eq!(Tokio::current().metrics().num_alive_tasks(), 0, "left at {moment} ms");
        assert_eq!(receiver.status(&request).await, 200, "left at {moment} ms");
        assert_eq!((handler.runs(), handler.most_at_once()), (2, 1), "left at {moment} ms");
        assert!(all_completed(&store).await, "left at {moment} ms");
    }
}

async fn drain_waits_for_a_run_whose_client_has_left<F: Framework>() {
    let handler = Handler::new(|_, _| async {
        sleep(millis(600)).await;
        200
    });
    let layer = layer();
    let server = F::serve(layer.clone(), handler.clone()).await;
    let stream = client::begin(server.address, &client::text(&genuine().sign())).await;
    eventually("it runs", || handler.runs() == 1).await;
    drop(stream);
    assert!(!layer.drain(millis(50)).await, "still running");
    server.shut_down().await;
    assert!(layer.drain(AT_ONCE).await);
    assert_eq!(handler.ended(), 1);
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_a_claim_whose_client_has_left() {
    let store = ScriptedStore::new(|_| Fault::Slow(millis(500)));
    let handler = Handler::ok();
    let layer = layer().with_store(store.clone());
    let receiver = InProcess::new(&layer, handler.clone());
    assert!(timeout(millis(250), receiver.send(&genuine().sign())).await.is_err());
    assert!(layer.drain(AT_ONCE).await);
    assert_eq!(handler.ended(), 1, "it ran, and to its end");
    assert!(all_completed(&store).await);
}

support::for_each_framework! {
    a_client_that_leaves_during_its_body_leaves_no_state,
    a_run_whose_client_leaves_continues_and_is_settled,
    a_duplicate_whose_client_leaves_while_waiting_leaves_no_state,
    a_client_that_leaves_during_the_claim_changes_nothing,
    drain_waits_for_a_run_whose_client_has_left,
}
