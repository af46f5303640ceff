//! A store that panics counts as failed, and nothing else fails; and what this process knows while its store
//! does not.

use scrapest_webhook::RejectionKind;
use support::scripted::{Fault, ScriptedStore, Verb};
use support::{Handler, genuine};
use tokio::time::{Instant, sleep};

use crate::store_faults::{ANSWER_DEADLINE, LEASE, during, first, receiver, seconds};

#[tokio::test(start_paused = true)]
async fn a_claim_is_repeated_after_a_panic_of_the_store() {
    let store = ScriptedStore::new(first(2, Verb::Claim, Fault::Panic));
    let handler = Handler::ok();
    let (receiver, _) = receiver(&store, &handler);
    assert_eq!(receiver.status(&genuine().sign()).await, 200);
    assert_eq!(handler.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_on_every_claim_causes_a_503() {
    let store = ScriptedStore::new(first(usize::MAX, Verb::Claim, Fault::Panic));
    let (receiver, _) = receiver(&store, &Handler::ok());
    let (answer, reason) = receiver.ask(&genuine().sign()).await;
    assert_eq!((answer.status, reason), (503, Some(RejectionKind::StoreDown)));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_on_a_renewal_does_not_end_the_handler() {
    let store = ScriptedStore::new(first(2, Verb::Renew, Fault::Panic));
    let handler = Handler::new(|delivery, _| async move {
        sleep(LEASE + seconds(5.0)).await;
        if delivery.is_lease_lost() { 500 } else { 200 }
    });
    let (receiver, layer) = receiver(&store, &handler);
    let request = genuine().sign();
    assert_eq!(receiver.status(&request).await, 503, "past the answer deadline");
    assert!(layer.drain(seconds(60.0)).await);
    assert_eq!(handler.ended(), 1);
    assert!(store.calls_of(Verb::Renew).len() > 4, "it is renewed after that");
    let (answer, reason) = receiver.ask(&request).await;
    assert_eq!((answer.status, reason), (200, Some(RejectionKind::Duplicate)));
}

#[tokio::test(start_paused = true)]
async fn a_settlement_is_repeated_in_the_background_after_a_panic() {
    for (verb, status) in [(Verb::Complete, 200), (Verb::Release, 500)] {
        let store = ScriptedStore::new(first(3, verb, Fault::Panic));
        let handler = Handler::new(move |_, _| async move { status });
        let (receiver, layer) = receiver(&store, &handler);
        let request = genuine().sign();
        assert_eq!(receiver.status(&request).await, status);
        assert!(layer.drain(seconds(10.0)).await, "{verb:?}");
        assert_eq!(receiver.status(&request).await, status);
        assert_eq!(handler.runs(), if verb == Verb::Complete { 1 } else { 2 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_pending_success_answers_duplicates_even_after_its_lease() {
    // The store is unavailable until long after the lease, and forgets that the key was claimed.
    let down = LEASE * 4;
    let of_renewals = during(down, Verb::Renew, Fault::Error);
    let of_successes = during(down, Verb::Complete, Fault::Error);
    let store = ScriptedStore::new(move |call| match call.verb {
        Verb::Renew => of_renewals(call),
        _ => of_successes(call),
    });
    let began = Instant::now();
    let handler = Handler::new(|_, _| async {
        sleep(ANSWER_DEADLINE + seconds(2.0)).await;
        200
    });
    let (receiver, layer) = receiver(&store, &handler);
    let request = genuine().sign();
    assert_eq!(receiver.status(&request).await, 503, "past the answer deadline");
    tokio::time::sleep_until(began + LEASE * 2).await;
    let (answer, reason) = receiver.ask(&request).await;
    assert_eq!((answer.status, reason), (200, Some(RejectionKind::Duplicate)));
    let replay = request.clone().with_header("x-scrapest-delivery-id", "another");
    assert_eq!(receiver.status(&replay).await, 200);
    assert_eq!(handler.runs(), 1, "it succeeded in this process");
    assert!(layer.drain(down).await, "and is recorded in the end");
    assert_eq!(receiver.ask(&request).await.1, Some(RejectionKind::Duplicate));
    assert_eq!(handler.runs(), 1);
}
