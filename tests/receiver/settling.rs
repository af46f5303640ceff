//! A store that fails when a run is settled, and the order in which its keys are settled.

use scrapest_webhook::RejectionKind;
use scrapest_webhook::store::{Claim, DeliveryStore, Owner};
use support::scripted::{Fault, ScriptedStore, Verb};
use support::{Handler, InProcess, genuine, layer};
use tokio::time::{Instant, sleep};

use crate::store_faults::{ANSWER_DEADLINE, LEASE, during, first, receiver, seconds};

// The store fails at completion.

#[tokio::test(start_paused = true)]
async fn a_success_that_cannot_be_recorded_is_answered_and_recorded_in_the_background() {
    for fault in [Fault::Error, Fault::Hang, Fault::DoneThenError, Fault::DoneThenHang] {
        for healthy in [0, 1] {
            let end = Instant::now() + seconds(8.0);
            let store = ScriptedStore::new(move |call| match call.verb {
                Verb::Complete if call.nth >= healthy && call.at < end => fault,
                _ => Fault::None,
            });
            let handler = Handler::new(|_, _| async { 201 });
            let (receiver, layer) = receiver(&store, &handler);
            let request = genuine().sign();
            let began = Instant::now();
            assert_eq!(receiver.status(&request).await, 201, "{fault:?} after {healthy}");
            assert!(began.elapsed() < ANSWER_DEADLINE + seconds(0.3), "{fault:?}");
            assert!(!layer.drain(seconds(1.0)).await, "a record is still to be made");
            assert!(layer.drain(seconds(10.0)).await, "{fault:?} after {healthy}");
            let (duplicate, reason) = receiver.ask(&request).await;
            assert_eq!((duplicate.status, reason), (200, Some(RejectionKind::Duplicate)));
            assert_eq!(handler.runs(), 1, "{fault:?} after {healthy}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_gets_the_time_it_takes_to_record_a_success() {
    for time in [0.6, 1.5, 3.0, 6.0] {
        let slow = Fault::Slow(seconds(time));
        let store = ScriptedStore::new(first(usize::MAX, Verb::Complete, slow));
        let handler = Handler::ok();
        let (receiver, layer) = receiver(&store, &handler);
        let request = genuine().sign();
        assert_eq!(receiver.status(&request).await, 200);
        assert!(layer.drain(seconds(60.0)).await, "recorded, at {time} s a question");
        let (_, reason) = receiver.ask(&request).await;
        assert_eq!(reason, Some(RejectionKind::Duplicate));
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_does_not_run_while_the_record_is_pending() {
    let store = ScriptedStore::new(during(seconds(2.0), Verb::Complete, Fault::Error));
    let handler = Handler::ok();
    let (receiver, _) = receiver(&store, &handler);
    let request = genuine().sign();
    assert_eq!(receiver.status(&request).await, 200);
    let (duplicate, reason) = receiver.ask(&request).await;
    assert_eq!((duplicate.status, reason), (200, Some(RejectionKind::Duplicate)), "it waited");
    assert_eq!(handler.runs(), 1);
}

// The store fails at release.

#[tokio::test(start_paused = true)]
async fn a_failure_that_cannot_be_recorded_is_answered_and_released_in_the_background() {
    for fault in [Fault::Error, Fault::Hang, Fault::DoneThenError, Fault::DoneThenHang] {
        for healthy in [0, 1] {
            let end = Instant::now() + seconds(6.0);
            let store = ScriptedStore::new(move |call| match call.verb {
                Verb::Release if call.nth >= healthy && call.at < end => fault,
                _ => Fault::None,
            });
            let handler =
                Handler::new(|_, before| async move { if before == 0 { 500 } else { 200 } });
            let (receiver, layer) = receiver(&store, &handler);
            let request = genuine().sign();
            assert_eq!(receiver.status(&request).await, 500, "{fault:?} after {healthy}");
            assert!(layer.drain(seconds(9.0)).await, "{fault:?}: well before the lease's end");
            let began = Instant::now();
            assert_eq!(receiver.status(&request).await, 200, "{fault:?} after {healthy}");
            assert!(began.elapsed() < seconds(0.1), "the retry runs at once");
            assert_eq!(handler.deliveries()[1].attempt(), 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_release_does_not_free_a_tag_that_was_claimed_again() {
    // The delivery id is taken, so the tag is released. The release fails and continues in the background.
    // Meanwhile the delivery id becomes free, and both keys are claimed again.
    let store = ScriptedStore::new(first(1, Verb::Release, Fault::Error));
    let handler = Handler::new(|_, _| async {
        sleep(seconds(3.0)).await;
        200
    });
    let (receiver, _) = receiver(&store, &handler);
    let id = "the same";
    let holder = genuine().with_delivery_id(id).with_kind("user.updated").sign();
    let request = genuine().with_delivery_id(id).sign();

    // The holder of the delivery id crashes: its claims stay until the lease ends.
    let crashed = ScriptedStore::recording();
    InProcess::new(&layer().with_store(crashed.clone()), Handler::ok()).status(&holder).await;
    let taken = crashed.keys()[1];
    let foreign = Owner::random();
    store.real().claim(&taken, foreign, seconds(0.04), LEASE * 10).await.unwrap();

    let replay = async {
        sleep(seconds(1.0)).await;
        receiver.status(&request.clone().with_header("x-scrapest-delivery-id", "other")).await
    };
    let (first, second) = tokio::join!(receiver.status(&request), replay);
    assert_eq!((first, second), (200, 200));
    assert_eq!(handler.runs(), 1, "the same bytes under another id are a replay");
}

// The order of the keys.

#[tokio::test(start_paused = true)]
async fn the_tag_is_claimed_and_completed_first_and_released_last() {
    let store = ScriptedStore::recording();
    let handler = Handler::new(|_, before| async move { if before == 0 { 500 } else { 200 } });
    let (receiver, _) = receiver(&store, &handler);
    let request = genuine().sign();
    assert_eq!(receiver.status(&request).await, 500);
    assert_eq!(receiver.status(&request).await, 200);
    let delivery = handler.deliveries()[0].key();
    let [tag, id] = store.keys()[..] else { panic!("two keys") };
    assert_eq!(id, delivery);
    let asked: Vec<_> = store.calls().iter().map(|call| (call.verb, call.key)).collect();
    assert_eq!(
        asked,
        [
            (Verb::Claim, tag),
            (Verb::Claim, id),
            (Verb::Release, id),
            (Verb::Release, tag),
            (Verb::Claim, tag),
            (Verb::Claim, id),
            (Verb::Complete, tag),
            (Verb::Complete, id),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_tag_is_released_and_not_completed_if_the_id_is_taken() {
    let store = ScriptedStore::recording();
    let handler = Handler::ok();
    let (receiver, _) = receiver(&store, &handler);
    assert_eq!(receiver.status(&genuine().with_delivery_id("one").sign()).await, 200);
    let refreshed = genuine().with_delivery_id("one").with_kind("user.updated").sign();
    assert_eq!(receiver.ask(&refreshed).await.1, Some(RejectionKind::Duplicate));
    let tag = store.keys()[2];
    let last = store.calls().pop().unwrap();
    assert_eq!((last.verb, last.key), (Verb::Release, tag));
    let claim = store.real().claim(&tag, Owner::random(), LEASE, LEASE).await.unwrap();
    assert!(matches!(claim, Claim::Acquired { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_half_of_all_calls_loses_and_duplicates_nothing() {
    for fault in [Fault::Error, Fault::DoneThenError, Fault::Hang, Fault::DoneThenHang] {
        let mut dice = 0x9e37_79b9_u32;
        let dice = std::sync::Mutex::new(move || {
            dice ^= dice << 13;
            dice ^= dice >> 17;
            dice ^= dice << 5;
            dice
        });
        let store =
            ScriptedStore::new(
                move |_| {
                    if dice.lock().unwrap()() % 2 == 0 { fault } else { Fault::None }
                },
            );
        let handler = Handler::new(|_, _| async {
            sleep(seconds(0.2)).await;
            200
        });
        let (receiver, layer) = receiver(&store, &handler);
        let requests: Vec<_> = (0..50).map(|_| genuine().sign()).collect();
        for request in &requests {
            while receiver.status(request).await != 200 {
                sleep(seconds(1.0)).await;
            }
        }
        assert!(layer.drain(LEASE * 10).await);
        for request in &requests {
            while receiver.status(request).await != 200 {
                sleep(seconds(1.0)).await;
            }
        }
        assert_eq!(handler.runs(), 50, "{fault:?}");
    }
}
