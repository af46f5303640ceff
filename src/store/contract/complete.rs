//! The effects of a success.

use std::time::Instant;

use tokio::time::sleep;

use super::clause::{AFTER_SHORT, Attempt, Clause, LONG, SHORT};
use crate::store::{Claim, DeliveryStore, Fence, Owner, Settled};

/// Once its owner reports a success, a key is completed for every later claim.
pub async fn a_completed_key_is_completed_for_everyone(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let attempt = clause.begin(LONG).await;
    let settled = clause.complete(attempt, LONG).await;
    assert_eq!(settled, Settled::Done, "the holder completes its key");
    clause.assert_completed("a completed key is completed for a stranger").await;
    let found = clause.claim(attempt.owner, LONG, LONG).await;
    assert_eq!(found, Claim::Completed, "a completed key is completed for its old owner too");
}

/// An owner whose lease ended still completes its key as the holder if no other took over.
pub async fn a_completion_after_the_lease_ended_is_done_if_nobody_took_over(
    store: impl DeliveryStore,
) {
    let clause = Clause::new(store);
    let attempt = clause.begin(SHORT).await;
    sleep(AFTER_SHORT).await;
    let settled = clause.complete(attempt, LONG).await;
    assert_eq!(settled, Settled::Done, "an owner holds its key until somebody takes over");
    clause.assert_completed("a late success counts").await;
}

/// Neither a renewal nor a release undoes a success.
pub async fn a_completion_is_not_undone(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let attempt = clause.begin(LONG).await;
    clause.complete(attempt, LONG).await;
    for owner in [attempt.owner, Owner::random()] {
        let settled = clause.renew(owner, LONG).await;
        assert_eq!(settled, Settled::Lost, "a completed key has no holder");
        clause.assert_completed("a renewal does not undo a success").await;
        let settled = clause.release(owner).await;
        assert_eq!(settled, Settled::Lost, "a completed key has no holder");
        clause.assert_completed("a release does not undo a success").await;
    }
}

/// A completion whose answer was lost may be repeated.
pub async fn a_repeated_completion_is_harmless(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let attempt = clause.begin(LONG).await;
    for _ in 0..3 {
        clause.complete(attempt, LONG).await;
        clause.assert_completed("a repeated completion leaves the key completed").await;
    }
}

/// A success that is reported after a takeover still completes the key, and the successor cannot undo it.
pub async fn a_late_success_completes_the_key(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let (zombie, successor) = clause.zombie_and_successor().await;
    let settled = clause.complete(zombie, LONG).await;
    assert_eq!(settled, Settled::Lost, "an owner that was taken over from is told so");
    clause.assert_completed("a success completes the key, also from another owner").await;

    let settled = clause.renew(successor.owner, LONG).await;
    assert_eq!(settled, Settled::Lost, "a completed key has no holder");
    let settled = clause.release(successor.owner).await;
    assert_eq!(settled, Settled::Lost, "a completed key has no holder");
    clause.assert_completed("the successor's failure does not undo a late success").await;
}

/// A success that is reported after the release by the same attempt completes the key.
pub async fn a_success_reported_after_the_release_completes_the_key(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let attempt = clause.begin(LONG).await;
    clause.release(attempt.owner).await;
    let settled = clause.complete(attempt, LONG).await;
    assert_eq!(settled, Settled::Lost, "a released key has no holder");
    clause.assert_completed("a success completes the key, also from another owner").await;
}

/// A success for a key that the store does not know, or has forgotten, completes the key.
pub async fn a_success_for_an_absent_key_completes_it(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let stranger = Attempt { owner: Owner::random(), fence: Fence::new(1), number: 1 };
    let settled = clause.complete(stranger, LONG).await;
    assert_eq!(settled, Settled::Lost, "an absent key has no holder");
    clause.assert_completed("a success completes the key, also from another owner").await;
}

/// The retention of a completion starts when it is reported, whatever retention the claim had.
pub async fn retention_starts_when_the_completion_is_reported(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let owner = Owner::random();
    let Claim::Acquired { fence, attempt } = clause.claim(owner, LONG, SHORT).await else {
        panic!("a fresh key is acquired");
    };
    let attempt = Attempt { owner, fence, number: attempt };
    clause.complete(attempt, LONG).await;
    sleep(AFTER_SHORT).await;
    clause.assert_completed("a completion is kept for as long as it says").await;
}

/// A completed record expires after its retention. Its key is then free, and gets a larger fence.
pub async fn a_completion_is_forgotten_after_its_retention(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let first = clause.begin(LONG).await;
    let completed = Instant::now();
    clause.complete(first, SHORT).await;
    let sentence = "a completion is forgotten after its retention";
    let second = clause.acquire_after_short(completed, sentence).await;
    second.assert_fenced_from(first);
    clause.assert_in_progress("a key that was forgotten is held like any other").await;
}
