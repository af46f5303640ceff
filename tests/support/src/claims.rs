//! Helpers for tests of stores: claims of unique keys.

use std::time::Duration;

use scrapest_webhook::store::{Claim, DeliveryStore, Fence, Key, Owner};

pub const LEASE: Duration = Duration::from_secs(15);
pub const KEEP: Duration = Duration::from_secs(3_600);

pub fn random_key() -> Key {
    let [a, b] = [Owner::random().to_bytes(), Owner::random().to_bytes()];
    Key::from_bytes([a, b].concat().try_into().unwrap())
}

pub async fn claim(store: &impl DeliveryStore, key: Key) -> Claim {
    store.claim(&key, Owner::random(), LEASE, KEEP).await.unwrap()
}

pub async fn acquire(store: &impl DeliveryStore, key: Key) -> (Owner, Fence) {
    let owner = Owner::random();
    match store.claim(&key, owner, LEASE, KEEP).await.unwrap() {
        Claim::Acquired { fence, .. } => (owner, fence),
        other => panic!("the key is free, but a claim found {other:?}"),
    }
}

/// Repeats `ask` until it succeeds, and returns how long that took.
pub async fn recovers<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(
    ask: impl Fn() -> F,
) -> (T, Duration) {
    let since = std::time::Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return (answer, since.elapsed()),
            Err(error) => assert!(since.elapsed() < Duration::from_secs(60), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
