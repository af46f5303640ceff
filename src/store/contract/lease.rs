//! How long an attempt keeps its key.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::clause::{AFTER_SHORT, Clause, LONG, SHORT};
use crate::store::{Claim, DeliveryStore, Owner, Settled};

/// When a lease has ended by the store's clock, the next claim gets the key, with a larger fence and attempt
/// number.
pub async fn a_lease_that_ended_is_taken_over(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let (first, second) = clause.zombie_and_successor().await;
    second.assert_follows(first);
    clause.assert_in_progress("the successor holds the key").await;
}

/// An owner that lost its key to a successor does not get it back while the successor holds it.
pub async fn a_late_owner_finds_its_successor_in_progress(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let (zombie, _) = clause.zombie_and_successor().await;
    let found = clause.claim(zombie.owner, LONG, LONG).await;
    assert!(
        matches!(found, Claim::InProgress { .. }),
        "a key that was taken over is held by the successor alone, but the old owner found {found:?}"
    );
}

/// A renewed lease lasts for the duration of the renewal.
pub async fn a_renewal_extends_the_lease(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let attempt = clause.begin(SHORT).await;
    let settled = clause.renew(attempt.owner, LONG).await;
    assert_eq!(settled, Settled::Done, "the holder renews its lease");
    sleep(AFTER_SHORT).await;
    clause.assert_in_progress("a renewal extends the lease").await;
}

/// A record in progress does not expire while its lease is running, even if that lease was renewed.
pub async fn a_renewed_lease_outlives_the_retention(store: impl DeliveryStore) {
    // Both the first lease and the retention end below, so the renewal must come before.
    let lease = Duration::from_secs(2);
    let clause = Clause::new(store);
    let owner = Owner::random();
    clause.claim(owner, lease, SHORT).await;
    let settled = clause.renew(owner, LONG).await;
    assert_eq!(settled, Settled::Done, "the holder renews its lease");
    sleep(lease + SHORT).await;
    clause.assert_in_progress("a record does not expire while its renewed lease is running").await;
}

/// A renewed lease ends like any other.
pub async fn a_renewed_lease_also_ends(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let first = clause.begin(LONG).await;
    let renewed = Instant::now();
    let settled = clause.renew(first.owner, SHORT).await;
    assert_eq!(settled, Settled::Done, "the holder renews its lease");
    let sentence = "a renewed lease ends in the store's time";
    let second = clause.acquire_after_short(renewed, sentence).await;
    second.assert_follows(first);
}

/// An owner whose lease ended may renew it as long as no other took over.
pub async fn a_renewal_after_the_lease_ended_is_done_if_nobody_took_over(
    store: impl DeliveryStore,
) {
    let clause = Clause::new(store);
    let attempt = clause.begin(SHORT).await;
    sleep(AFTER_SHORT).await;
    let settled = clause.renew(attempt.owner, LONG).await;
    assert_eq!(settled, Settled::Done, "an owner holds its key until somebody takes over");
    clause.assert_in_progress("a late renewal counts").await;
}

/// The renewal of an owner that lost its key is reported as lost, and does not affect the successor.
pub async fn a_renewal_after_a_takeover_is_lost(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let (zombie, successor) = clause.zombie_and_successor().await;
    let settled = clause.renew(zombie.owner, LONG).await;
    assert_eq!(settled, Settled::Lost, "a renewal after a takeover is lost");
    let settled = clause.renew(successor.owner, LONG).await;
    assert_eq!(settled, Settled::Done, "the successor still holds the key");
}

/// Only the owner that holds a key can renew its lease.
pub async fn a_renewal_by_a_stranger_is_lost(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let began = Instant::now();
    let first = clause.begin(SHORT).await;
    let settled = clause.renew(Owner::random(), LONG).await;
    assert_eq!(settled, Settled::Lost, "a renewal by a stranger is lost");
    let sentence = "a stranger's renewal does not extend the lease";
    let second = clause.acquire_after_short(began, sentence).await;
    second.assert_follows(first);
}

/// The renewal of a key that the store does not know is lost, and adds no record.
pub async fn a_renewal_of_an_absent_key_is_lost(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let settled = clause.renew(Owner::random(), LONG).await;
    assert_eq!(settled, Settled::Lost, "an absent key has no holder");
    let attempt = clause.begin(LONG).await;
    assert_eq!(attempt.number, 1, "a renewal is not an attempt");
}

/// A renewal that arrives after the release does not restore the lease.
pub async fn a_renewal_after_the_release_is_lost(store: impl DeliveryStore) {
    let clause = Clause::new(store);
    let first = clause.begin(LONG).await;
    clause.release(first.owner).await;
    let settled = clause.renew(first.owner, LONG).await;
    assert_eq!(settled, Settled::Lost, "a released key has no holder");
    let sentence = "a late renewal leaves a released key free";
    let second = clause.acquire(LONG, sentence).await;
    second.assert_follows(first);
}
