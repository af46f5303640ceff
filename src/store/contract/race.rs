//! Concurrent operations.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::time::sleep;

use super::clause::{AFTER_SHORT, Clause, LONG, SHORT, fresh_key};
use crate::store::{Claim, DeliveryStore, Key, Owner};

const CLIENTS: usize = 50;
const KEYS: usize = 200;
/// How often a completion is repeated at most.
const TRIES: usize = 50;

/// Of 50 clients that claim the same 200 keys at once, exactly one gets each.
pub async fn exactly_one_of_many_concurrent_claims_wins(store: impl DeliveryStore) {
    let keys = fresh_keys(KEYS);
    assert_one_winner_each(Arc::new(store), keys, "a fresh key").await;
}

/// Of many clients that claim the same released keys at once, exactly one gets each.
pub async fn exactly_one_of_many_claims_of_a_released_key_wins(store: impl DeliveryStore) {
    let keys = fresh_keys(KEYS / 10);
    let mut clause = Clause::new(store);
    for &key in keys.iter() {
        clause.key = key;
        let first = clause.begin(LONG).await;
        clause.release(first.owner).await;
    }
    assert_one_winner_each(Arc::new(clause.store), keys, "a released key").await;
}

/// Of many clients that claim the same keys at once after their leases ended, exactly one gets each.
pub async fn exactly_one_of_many_claims_of_an_ended_lease_wins(store: impl DeliveryStore) {
    let keys = fresh_keys(KEYS / 10);
    let mut clause = Clause::new(store);
    for &key in keys.iter() {
        clause.key = key;
        clause.begin(SHORT).await;
    }
    sleep(AFTER_SHORT).await;
    assert_one_winner_each(Arc::new(clause.store), keys, "a key whose lease ended").await;
}

/// A success that is reported during a takeover is not overwritten by the takeover.
pub async fn a_success_that_races_with_a_takeover_is_kept(store: impl DeliveryStore) {
    let keys = fresh_keys(KEYS / 10);
    let mut clause = Clause::new(store);
    let mut zombies = Vec::new();
    for &key in keys.iter() {
        clause.key = key;
        zombies.push(clause.begin(SHORT).await);
    }
    sleep(AFTER_SHORT).await;

    let store = Arc::new(clause.store);
    let together = Arc::new(Barrier::new(2));
    let takes_over = {
        let (store, keys, together) = (Arc::clone(&store), Arc::clone(&keys), together.clone());
        tokio::spawn(async move {
            for key in keys.iter() {
                together.wait().await;
                wins(&*store, key).await;
            }
        })
    };
    for (key, zombie) in keys.iter().zip(zombies) {
        together.wait().await;
        let mut left = TRIES;
        // Repeated as a layer does: the takeover may lock the record for a moment.
        while let Err(error) = store.complete(key, zombie.owner, zombie.fence, LONG).await {
            left -= 1;
            assert!(left > 0, "a completion was not answered: {error}");
            sleep(SHORT).await;
        }
    }
    joined(takes_over).await;

    for key in keys.iter() {
        let found = store.claim(key, Owner::random(), LONG, LONG).await;
        let found = found.unwrap_or_else(|error| panic!("a claim was not answered: {error}"));
        assert_eq!(
            found,
            Claim::Completed,
            "a takeover does not undo a success that was reported at the same time"
        );
    }
}

async fn assert_one_winner_each<S: DeliveryStore>(store: Arc<S>, keys: Arc<[Key]>, what: &str) {
    let together = Arc::new(Barrier::new(CLIENTS));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (store, keys) = (Arc::clone(&store), Arc::clone(&keys));
            let together = Arc::clone(&together);
            tokio::spawn(async move {
                together.wait().await;
                let mut won = Vec::new();
                for (index, key) in keys.iter().enumerate() {
                    if wins(&*store, key).await {
                        won.push(index);
                    }
                }
                won
            })
        })
        .collect();

    let mut winners = vec![0; keys.len()];
    for client in clients {
        for index in joined(client).await {
            winners[index] += 1;
        }
    }
    assert!(
        winners.iter().all(|&winners| winners == 1),
        "{what} has exactly one winner however many claim it at once, but there were {winners:?}"
    );
}

/// Whether a new owner acquires the key. A store may be too busy to answer so many claims at once, so the claim is
/// repeated, as a layer does.
async fn wins(store: &impl DeliveryStore, key: &Key) -> bool {
    let owner = Owner::random();
    let mut tries = 0;
    loop {
        match store.claim(key, owner, LONG, LONG).await {
            Ok(claim) => return matches!(claim, Claim::Acquired { .. }),
            Err(error) if tries == 20 => panic!("a claim was not answered: {error}"),
            Err(_) => tries += 1,
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Returns the result of the task, and passes on its panic.
async fn joined<T>(task: tokio::task::JoinHandle<T>) -> T {
    match task.await {
        Ok(returned) => returned,
        Err(error) => panic!("a client of the store failed: {error}"),
    }
}

fn fresh_keys(count: usize) -> Arc<[Key]> {
    (0..count).map(|_| fresh_key()).collect()
}
