//! The log lines of a full memory store.

use std::num::NonZeroUsize;
use std::time::Duration;

use scrapest_webhook::store::{DeliveryStore, Fence, Key, MemoryStore, Owner};
use support::logged::Logged;
use tracing::Level;

const KEEP: Duration = Duration::from_secs(4_200);

#[tokio::test(flavor = "current_thread")]
async fn a_full_store_warns_at_the_first_eviction_and_at_each_doubling() {
    let (logged, _guard) = Logged::begin();
    let store = MemoryStore::with_capacity(NonZeroUsize::MIN);
    for number in 0..1_002 {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&u64::to_be_bytes(number));
        let (key, owner) = (Key::from_bytes(key), Owner::random());
        store.complete(&key, owner, Fence::new(1), KEEP).await.unwrap();
    }
    assert_eq!(store.evicted(), 1_000);
    let lines = logged.lines().into_iter().filter(|line| line.level <= Level::INFO);
    let counts: Vec<_> = lines
        .inspect(|line| {
            let message = &line.fields["message"];
            assert!(message.contains("raise MemoryStore::with_capacity"), "{line:?}");
        })
        .filter_map(|line| line.fields.get("evicted").cloned())
        .collect();
    let doublings = ["1", "2", "4", "8", "16", "32", "64", "128", "256", "512"];
    assert_eq!(counts, doublings);
}
