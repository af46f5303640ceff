//! A delivery whose store fails, hangs, or answers late, at each operation.
//!
//! Time is paused, so waits of seconds take no real time. The second number in a test's times is slack for the pauses
//! between two calls.

use std::time::Duration;

use scrapest_webhook::{OnStoreDown, RejectionKind, ScrapestWebhookLayer};
use support::InProcess;
use support::scripted::{Call, Fault, ScriptedStore, Verb};
use support::{Handler, genuine, layer};
use tokio::time::{Instant, sleep};

pub const ANSWER_DEADLINE: Duration = Duration::from_secs(4);
pub const LEASE: Duration = Duration::from_secs(15);

pub fn receiver(store: &ScriptedStore, handler: &Handler) -> (InProcess, ScrapestWebhookLayer) {
    let layer = layer().with_store(store.clone());
    (InProcess::new(&layer, handler.clone()), layer)
}

/// The fault for the first `count` calls of a verb.
pub fn first(
    count: usize,
    verb: Verb,
    fault: Fault,
) -> impl Fn(&Call) -> Fault + Send + Sync + 'static {
    move |call| if call.verb == verb && call.nth < count { fault } else { Fault::None }
}

/// The fault for every call of a verb during the first `time` from now.
pub fn during(
    time: Duration,
    verb: Verb,
    fault: Fault,
) -> impl Fn(&Call) -> Fault + Send + Sync + 'static {
    let end = Instant::now() + time;
    move |call| if call.verb == verb && call.at < end { fault } else { Fault::None }
}

pub fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// The status of a request, and that of its replay under another id, which is sent `time` later.
async fn statuses_with_a_replay_after(time: Duration, receiver: &InProcess) -> (u16, u16) {
    let request = genuine().sign();
    let replay = request.clone().with_header("x-scrapest-delivery-id", "another");
    let late = async {
        sleep(time).await;
        receiver.status(&replay).await
    };
    tokio::join!(receiver.status(&request), late)
}

// The claim.

#[tokio::test(start_paused = true)]
async fn a_failed_claim_is_repeated_by_the_same_owner() {
    let store = ScriptedStore::new(first(3, Verb::Claim, Fault::Error));
    let handler = Handler::ok();
    let (receiver, _) = receiver(&store, &handler);
    let began = Instant::now();
    assert_eq!(receiver.status(&genuine().sign()).await, 200);
    assert_eq!(handler.runs(), 1);
    let claims = store.calls_of(Verb::Claim);
    assert_eq!(claims.len(), 5, "three failures, and one claim per key");
    assert!(claims.iter().all(|claim| claim.owner == claims[0].owner));
    let times: Vec<_> = claims.iter().map(|claim| (claim.at - began).as_millis()).collect();
    assert!(times.windows(2).take(3).all(|pair| pair[1] - pair[0] >= 50), "with pauses: {times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_is_a_503_at_the_answer_deadline() {
    for fault in [Fault::Error, Fault::Hang] {
        let store = ScriptedStore::new(move |_| fault);
        let handler = Handler::ok();
        let (receiver, _) = receiver(&store, &handler);
        let began = Instant::now();
        let (answer, reason) = receiver.ask(&genuine().sign()).await;
        assert_eq!((answer.status, reason), (503, Some(RejectionKind::StoreDown)), "{fault:?}");
        assert!(answer.header("retry-after").is_some());
        let took = began.elapsed();
        assert!(took >= ANSWER_DEADLINE && took < ANSWER_DEADLINE + seconds(0.3), "{took:?}");
        assert_eq!(handler.runs(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_runs_if_the_store_recovers_before_the_answer_deadline() {
    for fault in [Fault::Error, Fault::Hang] {
        let store = ScriptedStore::new(during(seconds(1.5), Verb::Claim, fault));
        let handler = Handler::ok();
        let (receiver, _) = receiver(&store, &handler);
        let began = Instant::now();
        assert_eq!(receiver.status(&genuine().sign()).await, 200, "{fault:?}");
        assert_eq!(handler.runs(), 1);
        assert!(began.elapsed() < ANSWER_DEADLINE, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_1_5_s_per_claim_is_waited_for() {
    let slow = Fault::Slow(seconds(1.5));
    let store = ScriptedStore::new(first(usize::MAX, Verb::Claim, slow));
    let handler = Handler::ok();
    let (receiver, _) = receiver(&store, &handler);
    assert_eq!(receiver.status(&genuine().sign()).await, 200);
    assert_eq!(handler.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_claim_after_a_lost_answer_is_the_first_attempt() {
    for fault in [Fault::DoneThenError, Fault::DoneThenHang] {
        for lost in [0, 1] {
            let store = ScriptedStore::new(move |call| match (call.verb, call.nth) {
                (Verb::Claim, nth) if nth == lost => fault,
                _ => Fault::None,
            });
            let handler = Handler::ok();
            let (receiver, _) = receiver(&store, &handler);
            assert_eq!(receiver.status(&genuine().sign()).await, 200, "{fault:?} at {lost}");
            assert_eq!(handler.runs(), 1);
            assert_eq!(handler.deliveries()[0].attempt(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_an_unanswered_claim_does_not_wait_for_a_lease() {
    // The first key is claimed, with or without an answer, and the second is either not claimed or claimed without an
    // answer. The sender gets a 503. Then the store recovers.
    for fault in [Fault::Error, Fault::Hang, Fault::DoneThenError, Fault::DoneThenHang] {
        for healthy in [0, 1] {
            let end = Instant::now() + ANSWER_DEADLINE + seconds(0.1);
            let store = ScriptedStore::new(move |call| match call.verb {
                Verb::Claim if call.nth >= healthy && call.at < end => fault,
                _ => Fault::None,
            });
            let handler = Handler::ok();
            let (receiver, layer) = receiver(&store, &handler);
            let request = genuine().sign();
            assert_eq!(receiver.status(&request).await, 503, "{fault:?} after {healthy}");
            assert!(layer.drain(seconds(2.0)).await, "every claim is released");
            tokio::time::sleep_until(end).await;
            let began = Instant::now();
            assert_eq!(receiver.status(&request).await, 200, "{fault:?} after {healthy}");
            assert!(began.elapsed() < seconds(0.1), "{fault:?} after {healthy}");
            assert_eq!(handler.runs(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_slower_than_its_lease_is_repeated_before_the_handler_runs() {
    // When the second key is answered, the first key's lease has ended and another attempt has claimed that key.
    let store = ScriptedStore::new(|call| match call.nth {
        1 if call.verb == Verb::Claim => Fault::Slow(seconds(1.5)),
        _ => Fault::None,
    });
    let handler = Handler::new(|_, _| async {
        sleep(seconds(1.0)).await;
        200
    });
    let layer = layer().with_store(store.clone()).with_lease(seconds(1.0));
    let receiver = InProcess::new(&layer, handler.clone());
    assert_eq!(statuses_with_a_replay_after(seconds(1.1), &receiver).await, (200, 200));
    assert_eq!((handler.runs(), handler.most_at_once()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_loses_its_tag_releases_its_id() {
    // The id is claimed without an answer. The claim of the tag then hangs until the lease of the id has ended.
    let store = ScriptedStore::new(|call| match (call.verb, call.nth) {
        (Verb::Claim, 1) => Fault::DoneThenHang,
        (Verb::Claim, 2) => Fault::Hang,
        _ => Fault::None,
    });
    let handler = Handler::new(|_, _| async {
        sleep(seconds(2.0)).await;
        200
    });
    let layer = layer()
        .with_store(store.clone())
        .with_lease(seconds(3.0))
        .with_answer_deadline(seconds(10.0));
    let receiver = InProcess::new(&layer, handler.clone());
    assert_eq!(statuses_with_a_replay_after(seconds(3.1), &receiver).await, (200, 200));
    assert_eq!(handler.runs(), 1);
    let id = store.keys()[1];
    assert!(store.calls_of(Verb::Release).iter().any(|call| call.key == id));
}

// Deliveries without a claim.

#[tokio::test(start_paused = true)]
async fn a_delivery_can_be_processed_without_a_claim_if_so_configured() {
    for fault in [Fault::Error, Fault::Hang] {
        let store = ScriptedStore::new(during(seconds(30.0), Verb::Claim, fault));
        let handler = Handler::ok();
        let layer =
            layer().with_store(store.clone()).with_on_store_down(OnStoreDown::ProcessAnyway);
        let receiver = InProcess::new(&layer, handler.clone());
        let request = genuine().sign();
        let began = Instant::now();
        assert_eq!(receiver.status(&request).await, 200, "{fault:?}");
        let took = began.elapsed();
        assert!(took >= ANSWER_DEADLINE / 2 && took < ANSWER_DEADLINE / 2 + seconds(0.3));
        let delivery = &handler.deliveries()[0];
        assert_eq!((delivery.attempt(), delivery.fence().get()), (0, 0));

        assert_eq!(receiver.status(&request).await, 200);
        assert_eq!(handler.runs(), 2, "without a store a duplicate runs too, as documented");
        sleep(seconds(30.0)).await;
        assert_eq!(receiver.status(&request).await, 200);
        assert_eq!(handler.runs(), 2, "{fault:?}: the successes were recorded anyway");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_without_a_claim_lets_the_retry_run() {
    let store = ScriptedStore::new(during(seconds(10.0), Verb::Claim, Fault::DoneThenError));
    let handler = Handler::new(|_, before| async move { if before == 0 { 500 } else { 200 } });
    let layer = layer().with_store(store.clone()).with_on_store_down(OnStoreDown::ProcessAnyway);
    let receiver = InProcess::new(&layer, handler.clone());
    let request = genuine().sign();
    assert_eq!(receiver.status(&request).await, 500);
    sleep(seconds(10.0)).await;
    assert_eq!(receiver.status(&request).await, 200);
    assert_eq!(handler.runs(), 2);
}

// The renewal.

/// Runs for a minute and answers 200, or 503 as soon as its lease is lost.
fn careful() -> Handler {
    Handler::new(|delivery, _| async move {
        for _ in 0..500 {
            sleep(seconds(0.1)).await;
            if delivery.is_lease_lost() {
                return 503;
            }
        }
        200
    })
}

#[tokio::test(start_paused = true)]
async fn a_handler_learns_of_a_lost_lease_only_when_it_is_certain() {
    for fault in [Fault::Error, Fault::Hang] {
        let store = ScriptedStore::new(first(usize::MAX, Verb::Renew, fault));
        let handler = careful();
        let (receiver, layer) = receiver(&store, &handler);
        let began = Instant::now();
        assert_eq!(receiver.status(&genuine().sign()).await, 503, "at the answer deadline");
        assert!(layer.drain(seconds(60.0)).await);
        let took = began.elapsed();
        assert!(took >= LEASE && took < LEASE + seconds(0.5), "{fault:?}: after {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_few_failed_renewals_are_harmless() {
    for (count, fault) in
        [(4, Fault::Error), (1, Fault::Hang), (1, Fault::DoneThenError), (1, Fault::DoneThenHang)]
    {
        let store = ScriptedStore::new(first(count, Verb::Renew, fault));
        let handler = careful();
        let (receiver, layer) = receiver(&store, &handler);
        let request = genuine().sign();
        assert_eq!(receiver.status(&request).await, 503);
        sleep(seconds(20.0)).await;
        assert_eq!(receiver.status(&request).await, 503, "it still runs and keeps its claim");
        assert!(layer.drain(seconds(60.0)).await);
        assert_eq!(receiver.status(&request).await, 200);
        assert_eq!(handler.runs(), 1, "{fault:?}: its lease was never reported as lost");
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_after_the_lease_was_lost_still_counts() {
    let store = ScriptedStore::new(first(usize::MAX, Verb::Renew, Fault::Error));
    let handler = Handler::new(|_, before| async move {
        sleep(seconds(if before == 0 { 30.0 } else { 20.0 })).await;
        if before == 0 { 200 } else { 500 }
    });
    let (receiver, layer) = receiver(&store, &handler);
    let request = genuine().sign();
    assert_eq!(receiver.status(&request).await, 503);
    sleep(seconds(15.0)).await;
    assert_eq!(receiver.status(&request).await, 503, "the second run is slow as well");
    assert!(layer.drain(seconds(60.0)).await);
    let [zombie, heir] = &handler.deliveries()[..] else { panic!("expected two runs") };
    assert!(zombie.is_lease_lost() && heir.fence() > zombie.fence());
    assert_eq!(zombie.key(), heir.key());
    assert_eq!(receiver.status(&request).await, 200);
    assert_eq!(handler.runs(), 2, "the heir's failure does not undo the zombie's success");
}
