//! Operations over the keys of a delivery together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::time::sleep;

use super::clause::{AFTER_SHORT, Clause, LONG, PATIENCE, SHORT, fresh_key};
use crate::store::{Claim, Claims, DeliveryStore, Fence, Key, Owner, Settled, Settlement};

/// The number of keys of one delivery.
const KEYS: usize = 3;
const CLIENTS: usize = 20;
const DELIVERIES: usize = 20;

type Keys = [(Key, Fence); KEYS];

/// Fresh keys are acquired together, as attempt 1, and each is held.
pub async fn several_fresh_keys_are_acquired_together(store: impl DeliveryStore) {
    let mut clause = Clause::new(store);
    let (keys, _) = clause.begin_all(LONG).await;
    for (key, _) in keys {
        clause.key = key;
        clause.assert_in_progress("all keys of a claim are held").await;
    }
}

/// If another attempt holds one of the keys, the claim says which, and takes none of the others.
pub async fn several_keys_are_not_acquired_while_one_is_held(store: impl DeliveryStore) {
    let mut clause = Clause::new(store);
    for held in 0..KEYS {
        let mut keys = fresh_keys();
        clause.key = keys[held].0;
        clause.begin(LONG).await;
        match clause.claim_all(&mut keys, Owner::random(), LONG).await {
            Claims::InProgress { place, retry_after } => {
                assert_eq!(place, held, "a claim names the key that is held");
                assert!(
                    retry_after > LONG / 2 && retry_after <= LONG,
                    "retry_after is what is left of a lease of {LONG:?}, but it was {retry_after:?}"
                );
            }
            other => panic!("a key is held, but a claim of all found {other:?}"),
        }
        clause.assert_free(&keys, held).await;
    }
}

/// If one of the keys is completed, the claim says so, and takes none of the others.
pub async fn several_keys_are_not_acquired_if_one_is_completed(store: impl DeliveryStore) {
    let mut clause = Clause::new(store);
    for completed in 0..KEYS {
        let mut keys = fresh_keys();
        clause.key = keys[completed].0;
        let attempt = clause.begin(LONG).await;
        clause.complete(attempt, LONG).await;
        let found = clause.claim_all(&mut keys, Owner::random(), LONG).await;
        let expected = Claims::Completed { place: completed };
        assert_eq!(found, expected, "a claim names the key that is completed");
        clause.assert_free(&keys, completed).await;
    }
}

/// An owner that repeats its claim of several keys gets the same fences, the same attempt, and fresh leases.
pub async fn a_repeated_claim_of_several_is_the_same_attempt(store: impl DeliveryStore) {
    let mut clause = Clause::new(store);
    let (keys, owner) = clause.begin_all(SHORT).await;
    let mut again = keys;
    let found = clause.claim_all(&mut again, owner, LONG).await;
    assert_eq!(found, Claims::Acquired { attempt: 1 }, "the holder may repeat its claim");
    assert_eq!(again, keys, "a repeated claim has the same fences");
    sleep(AFTER_SHORT).await;
    for (key, _) in keys {
        clause.key = key;
        clause.assert_in_progress("a repeated claim gives fresh leases").await;
    }
}

/// Fresh keys, released keys and keys whose leases ended are acquired together. Each fence grows.
pub async fn several_keys_are_acquired_however_they_became_free(store: impl DeliveryStore) {
    let mut clause = Clause::new(store);
    let mut keys = fresh_keys();
    clause.key = keys[1].0;
    let ended = clause.begin(SHORT).await;
    clause.key = keys[2].0;
    let released = clause.begin(LONG).await;
    clause.release(released.owner).await;
    sleep(AFTER_SHORT).await;
    let found = clause.claim_all(&mut keys, Owner::random(), LONG).await;
    assert_eq!(found, Claims::Acquired { attempt: 2 }, "the attempt is that of the last key");
    for (before, (_, after)) in [ended, released].into_iter().zip(&keys[1..]) {
        assert!(*after > before.fence, "the fence of each key is written, and grows");
    }
}

/// A renewal extends each lease, even if another key was lost.
pub async fn a_renewal_of_several_extends_each_lease(store: impl DeliveryStore) {
    let mut clause = Clause::new(store);
    for lost in [None, Some(0), Some(1)] {
        let (keys, owner) = clause.begin_all(Duration::from_secs(5)).await;
        if let Some(lost) = lost {
            clause.key = keys[lost].0;
            clause.release(owner).await;
        }
        let expected = if lost.is_none() { Settled::Done } else { Settled::Lost };
        let renewed = clause.store.renew_all(&keys, owner, LONG).await;
        let renewed = renewed.unwrap_or_else(|error| panic!("a renewal failed: {error}"));
        assert_eq!(renewed, expected, "a renewal says whether all keys were held");
        for (place, (key, _)) in keys.into_iter().enumerate() {
            clause.key = key;
            match clause.stranger_finds().await {
                _ if lost == Some(place) => {}
                Claim::InProgress { retry_after } if retry_after > LONG / 2 => {}
                other => panic!("a renewal extends each lease, but a claim found {other:?}"),
            }
        }
    }
}

/// A completion completes each key, even if one was lost.
pub async fn a_completion_of_several_completes_each(store: impl DeliveryStore) {
    let mut clause = Clause::new(store);
    for lost in [None, Some(0), Some(1), Some(2)] {
        let (keys, owner) = clause.begin_all(LONG).await;
        if let Some(lost) = lost {
            clause.key = keys[lost].0;
            clause.release(owner).await;
            clause.begin_again().await;
        }
        let expected = if lost.is_none() { Settled::Done } else { Settled::Lost };
        let settled = clause.settle_all(&keys, owner, Settlement::Complete { keep: LONG }).await;
        assert_eq!(settled, expected, "a completion says whether all keys were held");
        for (key, _) in keys {
            clause.key = key;
            clause.assert_completed("a completion completes each of its keys").await;
        }
    }
}

/// A release releases each key that is held, and does not affect keys that others hold or have completed.
pub async fn a_release_of_several_releases_each(store: impl DeliveryStore) {
    let mut clause = Clause::new(store);
    for lost in [None, Some(0), Some(1), Some(2)] {
        let (keys, owner) = clause.begin_all(LONG).await;
        if let Some(lost) = lost {
            clause.key = keys[lost].0;
            clause.release(owner).await;
            clause.begin_again().await;
        }
        let expected = if lost.is_none() { Settled::Done } else { Settled::Lost };
        let settled = clause.settle_all(&keys, owner, Settlement::Release).await;
        assert_eq!(settled, expected, "a release says whether all keys were held");
        for (place, (key, _)) in keys.into_iter().enumerate() {
            clause.key = key;
            if lost == Some(place) {
                clause.assert_in_progress("a release leaves alone what another holds").await;
            } else {
                let next = clause.acquire(LONG, "a release releases each of its keys").await;
                assert_eq!(next.number, 2, "a released key is acquired as the next attempt");
            }
        }
    }
}

/// Of many clients that claim the same keys at once, one gets them all, and the others get none.
pub async fn exactly_one_of_many_claims_of_several_keys_wins(store: impl DeliveryStore) {
    let store = Arc::new(store);
    let deliveries: Arc<[Keys]> = (0..DELIVERIES).map(|_| fresh_keys()).collect();
    let winners: Arc<[AtomicUsize]> = (0..DELIVERIES).map(|_| AtomicUsize::new(0)).collect();
    let together = Arc::new(Barrier::new(CLIENTS));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (store, together) = (Arc::clone(&store), Arc::clone(&together));
            let (deliveries, winners) = (Arc::clone(&deliveries), Arc::clone(&winners));
            tokio::spawn(async move {
                together.wait().await;
                let mut won = Vec::new();
                for (mut keys, winners) in deliveries.iter().copied().zip(&*winners) {
                    // A sender may send a new body under the same id, or the same body under a new id.
                    keys.rotate_left(client % KEYS);
                    let owner = Owner::random();
                    if wins(&*store, &mut keys, owner, winners).await {
                        won.push((keys, owner));
                    }
                }
                won
            })
        })
        .collect();
    for client in clients {
        let won =
            client.await.unwrap_or_else(|error| panic!("a client of the store failed: {error}"));
        for (keys, owner) in won {
            let renewed = store.renew_all(&keys, owner, LONG).await;
            let renewed = renewed.unwrap_or_else(|error| panic!("a renewal failed: {error}"));
            assert_eq!(renewed, Settled::Done, "the winner holds all of its keys");
        }
    }
    let winners: Vec<_> = winners.iter().map(|winners| winners.load(Ordering::SeqCst)).collect();
    assert!(
        winners.iter().all(|&winners| winners == 1),
        "a delivery has exactly one winner however many claim it at once, but there were {winners:?}"
    );
}

/// Whether `owner` acquires all keys. Two owners that each got some of them have to release those and retry.
async fn wins(
    store: &impl DeliveryStore,
    keys: &mut Keys,
    owner: Owner,
    winners: &AtomicUsize,
) -> bool {
    let began = std::time::Instant::now();
    loop {
        match store.claim_all(keys, owner, LONG, LONG).await {
            Ok(Claims::Acquired { .. }) => {
                winners.fetch_add(1, Ordering::SeqCst);
                return true;
            }
            Ok(_) if winners.load(Ordering::SeqCst) > 0 => return false,
            Ok(_) if began.elapsed() > PATIENCE => return false,
            Err(error) if began.elapsed() > PATIENCE => panic!("a claim was not answered: {error}"),
            Ok(_) | Err(_) => {}
        }
        sleep(Duration::from_millis(5 + rand::random_range(0..20))).await;
    }
}

impl<S: DeliveryStore> Clause<S> {
    async fn claim_all(&self, keys: &mut Keys, owner: Owner, lease: Duration) -> Claims {
        let claims = self.store.claim_all(keys, owner, lease, LONG).await;
        claims.unwrap_or_else(|error| panic!("a claim was not answered: {error}"))
    }

    async fn settle_all(&self, keys: &Keys, owner: Owner, how: Settlement) -> Settled {
        let settled = self.store.settle_all(keys, owner, how).await;
        settled.unwrap_or_else(|error| panic!("{how:?} was not answered: {error}"))
    }

    /// Starts the first attempt at a delivery.
    async fn begin_all(&self, lease: Duration) -> (Keys, Owner) {
        let (mut keys, owner) = (fresh_keys(), Owner::random());
        let found = self.claim_all(&mut keys, owner, lease).await;
        assert_eq!(found, Claims::Acquired { attempt: 1 }, "fresh keys are acquired together");
        (keys, owner)
    }

    /// Starts another attempt at the key.
    async fn begin_again(&self) {
        self.acquire(LONG, "a released key is acquired").await;
    }

    /// Fails unless all keys but the one at this position are free.
    async fn assert_free(&mut self, keys: &Keys, except: usize) {
        for (place, (key, _)) in keys.iter().enumerate() {
            if place != except {
                self.key = *key;
                self.acquire(LONG, "a claim that failed holds none of its keys").await;
            }
        }
    }
}

fn fresh_keys() -> Keys {
    std::array::from_fn(|_| (fresh_key(), Fence::new(0)))
}
