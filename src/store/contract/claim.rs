//! The conditions under which a claim gets a key.

use tokio::time::sleep;

use super::clause::{AFTER_SHORT, Clause, LONG, SHORT, fresh_key};
use crate::store::{Claim, DeliveryStore, Owner};

/// A key that was never claimed before is acquired, as attempt 1.
pub async fn a_fresh_key_is_acquired_as_the_first_attempt(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let attempt = clause.begin(LONG).await;
    assert_eq!(attempt.number, 1, "the first attempt at a key is number 1");
}

/// A claim of a held key reports that the key is in progress, and for how much longer at most.
pub async fn a_held_key_is_in_progress_for_everyone_else(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    clause.begin(LONG).await;
    for _ in 0..3 {
        match clause.stranger_finds().await {
            Claim::InProgress { retry_after } => assert!(
                retry_after > LONG / 2 && retry_after <= LONG,
                "retry_after is what is left of a lease of {LONG:?}, but it was {retry_after:?}"
            ),
            other => panic!("a held key is in progress, but a claim found {other:?}"),
        }
    }
}

/// An owner that repeats its claim (the first answer was lost) gets the same fence and attempt.
pub async fn a_repeated_claim_by_the_holder_is_the_same_attempt(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let first = clause.begin(LONG).await;
    let sentence = "the holder may repeat its claim";
    let again = clause.acquire_as(first.owner, LONG, sentence).await;
    assert_eq!(
        (again.fence, again.number),
        (first.fence, first.number),
        "a repeated claim has the same fence and attempt"
    );
    clause.assert_in_progress("a repeated claim leaves the key held").await;
}

/// An owner that repeats its claim gets a lease that starts at the repeated claim.
pub async fn a_repeated_claim_by_the_holder_gives_a_fresh_lease(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let first = clause.begin(SHORT).await;
    let sentence = "the holder may repeat its claim";
    clause.acquire_as(first.owner, LONG, sentence).await;
    sleep(AFTER_SHORT).await;
    clause.assert_in_progress("a repeated claim gives a fresh lease").await;
}

/// An owner that repeats its claim after its lease ended, before another took over, gets the same fence and
/// attempt.
pub async fn a_repeated_claim_after_the_lease_ended_is_the_same_attempt(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let first = clause.begin(SHORT).await;
    sleep(AFTER_SHORT).await;
    let sentence = "an owner holds its key until somebody takes over";
    let again = clause.acquire_as(first.owner, LONG, sentence).await;
    assert_eq!(
        (again.fence, again.number),
        (first.fence, first.number),
        "an owner that nobody took over from is still the same attempt"
    );
    clause.assert_in_progress("a repeated claim gives a fresh lease").await;
}

/// A record in progress does not expire while its lease is running, however short its retention.
pub async fn a_live_lease_outlives_the_retention(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let claim = clause.claim(Owner::random(), LONG, SHORT).await;
    assert!(
        matches!(claim, Claim::Acquired { .. }),
        "a fresh key is acquired, but a claim found {claim:?}"
    );
    sleep(AFTER_SHORT).await;
    clause.assert_in_progress("a record does not expire while its lease is running").await;
}

/// An operation on one key does not affect another.
pub async fn keys_are_independent(store: impl DeliveryStore) {
    let mut clause = Clause::new(store);
    let (held, completed, released) = (fresh_key(), fresh_key(), fresh_key());
    let owner = Owner::random();

    let mut begun = Vec::new();
    for key in [held, completed, released] {
        clause.key = key;
        let sentence = "one owner may hold several keys";
        begun.push(clause.acquire_as(owner, LONG, sentence).await);
    }
    clause.key = completed;
    clause.complete(begun[1], LONG).await;
    clause.key = released;
    clause.release(owner).await;

    clause.key = held;
    clause.assert_in_progress("settling one key leaves the others held").await;
    clause.key = completed;
    clause.assert_completed("releasing one key leaves the others completed").await;
    clause.key = released;
    let sentence = "completing one key leaves the others alone";
    let next = clause.acquire(LONG, sentence).await;
    next.assert_follows(begun[2]);
}
