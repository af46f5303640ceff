//! The effects of a failure.

use tokio::time::sleep;

use super::clause::{AFTER_SHORT, Clause, LONG, SHORT};
use crate::store::{DeliveryStore, Owner, Settled};

/// A released key is free at once. The next claim gets a larger fence and attempt number.
pub async fn a_released_key_is_acquired_as_the_next_attempt(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let first = clause.begin(LONG).await;
    let settled = clause.release(first.owner).await;
    assert_eq!(settled, Settled::Done, "the holder releases its key");
    let second = clause.acquire(LONG, "a released key is free").await;
    second.assert_follows(first);

    clause.release(second.owner).await;
    let third = clause.acquire(LONG, "a released key is free").await;
    third.assert_follows(second);
}

/// An owner whose lease ended may release its key as long as no other took over.
pub async fn a_release_after_the_lease_ended_is_done_if_nobody_took_over(
    store: impl DeliveryStore,
) {
    let clause = Clause::new(store);
    let first = clause.begin(SHORT).await;
    sleep(AFTER_SHORT).await;
    let settled = clause.release(first.owner).await;
    assert_eq!(settled, Settled::Done, "an owner holds its key until somebody takes over");
    let second = clause.acquire(LONG, "a released key is free").await;
    second.assert_follows(first);
}

/// Only the owner that holds a key can release it.
pub async fn a_release_by_a_stranger_is_lost(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let attempt = clause.begin(LONG).await;
    let settled = clause.release(Owner::random()).await;
    assert_eq!(settled, Settled::Lost, "a release by a stranger is lost");
    clause.assert_in_progress("a stranger's release leaves the key held").await;
    let settled = clause.release(attempt.owner).await;
    assert_eq!(settled, Settled::Done, "the holder still holds its key");
}

/// The release of a key that the store does not know is lost, and adds no record.
pub async fn a_release_of_an_absent_key_is_lost(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let settled = clause.release(Owner::random()).await;
    assert_eq!(settled, Settled::Lost, "an absent key has no holder");
    let attempt = clause.begin(LONG).await;
    assert_eq!(attempt.number, 1, "a release is not an attempt");
}

/// A release whose answer was lost may be repeated, even if the next attempt has begun.
pub async fn a_repeated_release_is_harmless(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let first = clause.begin(LONG).await;
    clause.release(first.owner).await;
    clause.release(first.owner).await;
    let second = clause.acquire(LONG, "a released key is free").await;
    second.assert_follows(first);
    let settled = clause.release(first.owner).await;
    assert_eq!(settled, Settled::Lost, "the next attempt holds the key");
    clause.assert_in_progress("a repeated release leaves the next attempt alone").await;
}

/// An owner that reports a failure after it lost its key does not free the successor's key.
pub async fn a_late_failure_does_not_affect_the_successor(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let (zombie, successor) = clause.zombie_and_successor().await;
    let settled = clause.release(zombie.owner).await;
    assert_eq!(settled, Settled::Lost, "a release after a takeover is lost");
    clause.assert_in_progress("a late failure leaves the successor's key held").await;
    let settled = clause.complete(successor, LONG).await;
    assert_eq!(settled, Settled::Done, "the successor still holds the key");
    let settled = clause.release(zombie.owner).await;
    assert_eq!(settled, Settled::Lost, "a completed key has no holder");
    clause.assert_completed("a late failure does not undo the successor's success").await;
}
