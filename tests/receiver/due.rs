//! The times that are due while a handler waits: renewals of its lease, its answer, and its end, in every order
//! and simultaneously. A run has a single timer, for the earliest of them.

use std::future::pending;
use std::time::Duration;

use scrapest_webhook::RejectionKind;
use support::scripted::{Fault, ScriptedStore, Verb};
use support::{Handler, InProcess, eventually, genuine, layer};
use tokio::time::Instant;

/// The time of each, in seconds after the request.
#[derive(Clone, Copy, Debug)]
struct Due {
    renewal: u64,
    answer: u64,
    end: u64,
}

/// None is a multiple of another, so that later renewals do not coincide with another time.
const EARLY: u64 = 2;
const LATER: u64 = 3;
const LAST: u64 = 7;

fn every_order() -> impl Iterator<Item = Due> {
    let times = [EARLY, LATER, LAST];
    times.into_iter().flat_map(move |renewal| {
        let others = times.into_iter().flat_map(move |answer| times.map(|end| (answer, end)));
        others.map(move |(answer, end)| Due { renewal, answer, end })
    })
}

/// The observed times of a handler that waits forever, in whole seconds after the request.
struct Seen {
    answered: u64,
    status: u16,
    reason: Option<RejectionKind>,
    renewed: Vec<u64>,
    released: u64,
}

async fn see(due: Due, renewal: Fault) -> Seen {
    let store = ScriptedStore::new(move |call| match call.verb {
        Verb::Renew => renewal,
        _ => Fault::None,
    });
    let layer = layer()
        .with_store(store.clone())
        .with_lease(3 * Duration::from_secs(due.renewal))
        .with_answer_deadline(Duration::from_secs(due.answer))
        .with_run_limit(Duration::from_secs(due.end));
    let receiver = InProcess::new(&layer, Handler::new(|_, _| pending()));
    let began = Instant::now();
    let (answer, reason) = receiver.ask(&genuine().sign()).await;
    let answered = began.elapsed().as_secs();
    let is_released = || !store.calls_of(Verb::Release).is_empty();
    eventually("the end of the run", is_released).await;
    let since = |verb| {
        let calls = store.calls_of(verb).into_iter();
        let seconds = calls.map(|call| call.at.duration_since(began).as_secs());
        let mut seconds = Vec::from_iter(seconds);
        // One call per key.
        seconds.dedup();
        seconds
    };
    let (renewed, released) = (since(Verb::Renew), since(Verb::Release));
    Seen { answered, status: answer.status, reason, renewed, released: released[0] }
}

/// Checks that the answer and the end are in time, and that an end before the answer is the answer.
fn are_in_time(due: Due, seen: &Seen) {
    assert_eq!((seen.answered, seen.status), (due.answer.min(due.end), 503), "{due:?}");
    assert_eq!(seen.released, due.end, "{due:?}");
    if due.answer < due.end {
        assert_eq!(seen.reason, Some(RejectionKind::AnswerDeadline), "{due:?}");
    } else if due.answer > due.end {
        assert_eq!(seen.reason, Some(RejectionKind::RunLimit), "{due:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_event_happens_in_time_in_every_order_and_at_once() {
    for due in every_order() {
        let seen = see(due, Fault::None).await;
        are_in_time(due, &seen);
        let renewals = (1..).map(|nth| nth * due.renewal).take_while(|at| *at < due.end);
        // A renewal that is due together with the end may or may not be done.
        let renewed = seen.renewed.into_iter().filter(|at| *at < due.end);
        assert!(renewals.eq(renewed), "{due:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_renewal_delays_nothing() {
    for fault in [Fault::Hang, Fault::Error, Fault::Slow(Duration::from_secs(1))] {
        for due in every_order() {
            let seen = see(due, fault).await;
            are_in_time(due, &seen);
            let asked = seen.renewed.first().filter(|at| **at < due.end);
            let expected = Some(&due.renewal).filter(|at| **at < due.end);
            assert_eq!(asked, expected, "{due:?}, {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_with_a_lost_answer_is_repeated_before_the_lease_ends() {
    let store = ScriptedStore::new(|call| match (call.verb, call.nth) {
        (Verb::Renew, 0) => Fault::Hang,
        (Verb::Renew, _) => Fault::Slow(Duration::from_millis(100)),
        _ => Fault::None,
    });
    let lease = Duration::from_millis(1_500);
    let layer = layer().with_store(store).with_lease(lease);
    let handler = Handler::new(move |delivery, _| async move {
        tokio::time::sleep(2 * lease).await;
        if delivery.is_lease_lost() { 503 } else { 200 }
    });
    let receiver = InProcess::new(&layer, handler);
    assert_eq!(receiver.status(&genuine().sign()).await, 200);
}
