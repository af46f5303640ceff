//! Searches the claim's state machine exhaustively: four concurrent attempts, each of which may fail, crash,
//! stall beyond its lease or miss the store's answer, and an attacker among them.
//!
//! `model` is the store and `program` the attempt; `real` compares both with the code, and `schedules` runs the
//! code itself through many random schedules. The search makes one assumption about time: no lease ends between
//! the store's answer to the last claim and the start of the handler. (`Fence` is for a process that is stopped
//! exactly there.)

mod model;
mod places;
mod program;
mod real;
mod schedules;
mod search;
mod state;

use self::model::Defect::*;
use self::search::search;
use self::state::Sender::{self, *};
use self::state::{Request, Scenario};

/// Four requests, each with a body, an id and a sender, and the event that each body reports.
fn scenario(requests: [(usize, usize, Sender); 4], event_of: [usize; 2]) -> Scenario {
    let requests = requests.map(|(body, id, sender)| Request { body, id, sender });
    Scenario {
        requests,
        event_of,
        unreliable: false,
        forgets: false,
        acknowledges_first: false,
        defect: None,
    }
}

/// A delivery and its retries.
fn retries() -> Scenario {
    scenario([(0, 0, Genuine); 4], [0, 1])
}

/// A sender that writes the time of each attempt into the body.
fn refreshed() -> Scenario {
    scenario([(0, 0, Genuine), (0, 0, Genuine), (1, 0, Genuine), (1, 0, Genuine)], [0, 0])
}

/// The same bytes under another id, at any time.
fn replayed() -> Scenario {
    scenario([(0, 0, Genuine), (0, 0, Genuine), (0, 1, Interceptor), (0, 1, Interceptor)], [0, 1])
}

/// Captured bytes, under the id of a genuine delivery with other bytes.
fn poisoned(attacker: Sender) -> Scenario {
    scenario([(0, 0, Genuine), (1, 1, Genuine), (1, 1, Genuine), (0, 1, attacker)], [0, 1])
}

/// A captured test event without a timestamp, under more ids than its run limit.
fn tested() -> Scenario {
    scenario([(1, 0, Tester), (1, 1, Tester), (1, 2, Tester), (1, 2, Nobody)], [0, 1])
}

/// Such a test event with one id sent twice.
fn tested_twice() -> Scenario {
    scenario([(1, 0, Tester), (1, 0, Tester), (1, 1, Tester), (1, 2, Nobody)], [0, 1])
}

/// Such a test event under the id of a future delivery.
fn tested_under_an_id_to_come() -> Scenario {
    scenario([(0, 0, Genuine), (0, 0, Genuine), (1, 0, Tester), (1, 1, Tester)], [0, 1])
}

/// With a store whose answers may be lost, and so with one attempt less.
fn unreliable(scenario: Scenario) -> Scenario {
    let mut requests = scenario.requests;
    requests[1].sender = Nobody;
    Scenario { unreliable: true, requests, ..scenario }
}

#[track_caller]
fn holds(scenario: Scenario) {
    match search(&scenario) {
        Ok(states) => println!("{states} states, and in none is a promise broken"),
        Err(broken) => panic!("{broken:#?}"),
    }
}

#[track_caller]
fn is_broken(scenario: Scenario, promise: &str) {
    let broken = search(&scenario).expect_err("a broken promise");
    assert_eq!(broken.promise, promise, "{broken:#?}");
}

#[test]
fn four_attempts_never_lose_duplicate_or_overlap_a_run() {
    holds(retries());
}

#[test]
fn refreshed_retries_never_lose_duplicate_or_overlap_a_run() {
    holds(refreshed());
}

#[test]
fn replays_under_another_id_never_lose_duplicate_or_overlap_a_run() {
    holds(replayed());
}

#[test]
fn a_captured_body_does_not_replace_a_later_delivery() {
    holds(poisoned(Replayer));
}

#[test]
fn a_completed_id_does_not_suppress_a_later_body() {
    let requests = [(0, 0, Genuine), (0, 0, Genuine), (1, 0, Latecomer), (1, 1, Genuine)];
    holds(scenario(requests, [0, 1]));
}

#[test]
fn a_captured_test_event_runs_at_most_once_per_key() {
    holds(tested());
    holds(tested_twice());
}

#[test]
fn a_captured_test_event_does_not_suppress_a_later_delivery() {
    holds(tested_under_an_id_to_come());
}

#[test]
fn promises_hold_with_lost_answers_and_late_releases() {
    holds(unreliable(retries()));
    holds(unreliable(replayed()));
}

#[test]
fn promises_hold_for_four_attempts_with_lost_answers() {
    holds(Scenario { unreliable: true, ..retries() });
    holds(unreliable(refreshed()));
}

#[test]
fn requests_are_stale_before_their_record_is_forgotten() {
    holds(Scenario { forgets: true, ..retries() });
    holds(Scenario { forgets: true, ..poisoned(Replayer) });
}

/// Neither sender signs its id, so an attacker who can intercept requests has some options.
#[test]
fn an_interceptor_can_cause_a_lost_event_or_one_more_run() {
    // Hold a delivery back and send its bytes first, under a foreseen id. Its handler runs once, but the
    // genuine delivery with that id is taken for a duplicate.
    is_broken(poisoned(Interceptor), "an event is lost");
    // Send a refreshed retry, which was answered as a duplicate by its id, under another id. The handler runs
    // once more, but not more often.
    let requests = [(0, 0, Genuine), (1, 0, Genuine), (1, 1, Interceptor), (0, 0, Genuine)];
    is_broken(scenario(requests, [0, 0]), "a run that began after a recorded success");
}

/// While the store is down, a success is still acknowledged. If its lease ends before the store is back and has
/// recorded the success, a duplicate that arrives in between runs.
#[test]
fn a_store_outage_can_run_an_acknowledged_delivery_again() {
    let down = Scenario { acknowledges_first: true, ..retries() };
    is_broken(down, "a run after an acknowledged success");
}

#[test]
fn each_seeded_defect_is_found() {
    let overlap = "two runs at a time";
    let unfounded = "a 2xx without an effect";
    let again = "a run that began after a recorded success";
    let lost = "an event is lost";
    let latecomer = [(0, 0, Genuine), (0, 0, Genuine), (1, 0, Latecomer), (1, 1, Genuine)];
    for (defect, scenario, promise) in [
        (UnfencedRelease, retries(), overlap),
        (CompareAndSetComplete, retries(), again),
        (CallersClock, retries(), overlap),
        (EvictionInProgress, retries(), overlap),
        (RetentionOfThePastTolerance, Scenario { forgets: true, ..retries() }, again),
        (SuccessWhileInProgress, retries(), unfounded),
        (EarlyAcknowledgement, retries(), unfounded),
        (IdOnlyKey, replayed(), again),
        (DeliveryCompletedFirst, replayed(), again),
        (TagCompletedWhereTheIdIsTaken, self::scenario(latecomer, [0, 1]), lost),
        (SameOwnerAfterGivingBack, unreliable(replayed()), overlap),
        (NoSecondLookAfterASlowClaim, replayed(), overlap),
        (TestRunWithoutAKey, tested(), overlap),
        (RunKeyKeptWhereTheIdIsTaken, tested_twice(), "something stays in progress"),
        (TestIdsAmongThoseOfDeliveries, tested_under_an_id_to_come(), lost),
    ] {
        let broken = search(&Scenario { defect: Some(defect), ..scenario }).err();
        let found = broken.as_ref().map(|broken| broken.promise);
        assert_eq!(found, Some(promise), "{defect:?}: {broken:#?}");
        println!("{defect:?}: {promise}, after {:#?}", broken.unwrap().way);
    }
}
