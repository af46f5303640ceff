//! The memory store's promises beyond the contract: its order, its clock, its fences.

mod contract;
mod full;
mod log;
mod model;

use std::time::Duration;

use scrapest_webhook::store::{Claim, DeliveryStore, Fence, Key, MemoryStore, Owner, Settled};
use tokio::time::advance;

const LEASE: Duration = Duration::from_secs(15);
const KEEP: Duration = Duration::from_secs(4_200);

/// How much later than promised a completed record may expire.
const LATE: Duration = Duration::from_millis(140);

/// A store with room for this number of records, which must be even.
fn room_for(records: usize) -> MemoryStore {
    MemoryStore::with_capacity((records / 2).try_into().unwrap())
}

fn key(number: u64) -> Key {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Key::from_bytes(bytes)
}

async fn claim(store: &MemoryStore, number: u64) -> Claim {
    let claim = store.claim(&key(number), Owner::random(), LEASE, KEEP).await;
    claim.unwrap()
}

async fn acquire(store: &MemoryStore, number: u64) -> (Owner, Fence) {
    let owner = Owner::random();
    match store.claim(&key(number), owner, LEASE, KEEP).await {
        Ok(Claim::Acquired { fence, .. }) => (owner, fence),
        other => panic!("{number} is free, but a claim found {other:?}"),
    }
}

async fn complete(store: &MemoryStore, number: u64) {
    let (owner, fence) = acquire(store, number).await;
    let settled = store.complete(&key(number), owner, fence, KEEP).await;
    assert_eq!(settled.unwrap(), Settled::Done);
}

#[tokio::test(start_paused = true)]
async fn clones_share_their_records() {
    let store = MemoryStore::new();
    complete(&store.clone(), 1).await;
    assert_eq!(claim(&store, 1).await, Claim::Completed);
    assert_eq!(store.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn debug_shows_counts_and_no_contents() {
    let store = MemoryStore::new();
    assert!(store.is_empty());
    complete(&store, 1).await;
    acquire(&store, 2).await;
    assert_eq!(format!("{store:?}"), "MemoryStore { records: 2, capacity: 500000, evicted: 0 }");
}

#[tokio::test(start_paused = true)]
async fn leases_and_records_of_failures_end_at_the_exact_nanosecond() {
    let (store, moment) = (MemoryStore::new(), Duration::from_nanos(1));
    acquire(&store, 1).await;
    advance(LEASE - moment).await;
    let retry_after = moment;
    assert_eq!(claim(&store, 1).await, Claim::InProgress { retry_after });
    advance(moment).await;
    let (owner, _) = acquire(&store, 1).await;
    store.release(&key(1), owner).await.unwrap();
    advance(KEEP - moment).await;
    assert!(matches!(claim(&store, 1).await, Claim::Acquired { attempt: 3, .. }));
    advance(KEEP).await;
    assert!(matches!(claim(&store, 1).await, Claim::Acquired { attempt: 1, .. }));
}

#[tokio::test(start_paused = true)]
async fn a_completion_is_kept_for_the_retention_and_little_longer() {
    let (store, moment) = (MemoryStore::new(), Duration::from_nanos(1));
    for begun in [0, 1, 1_000, 134_217_728] {
        advance(Duration::from_nanos(begun)).await;
        complete(&store, 1).await;
        advance(KEEP - moment).await;
        assert_eq!(claim(&store, 1).await, Claim::Completed);
        advance(moment + LATE).await;
    }
    acquire(&store, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_retention_may_be_zero_or_unlimited() {
    let store = MemoryStore::new();
    let (none, owner) = (Duration::ZERO, Owner::random());
    store.complete(&key(1), owner, Fence::new(1), none).await.unwrap();
    advance(LATE).await;
    acquire(&store, 1).await;

    let years = Duration::from_secs(100 * 365 * 86_400);
    store.complete(&key(2), owner, Fence::new(1), years).await.unwrap();
    advance(years - Duration::from_secs(1)).await;
    assert_eq!(claim(&store, 2).await, Claim::Completed);
}

#[tokio::test(start_paused = true)]
async fn unlimited_durations_do_not_overflow() {
    let (store, owner) = (MemoryStore::new(), Owner::random());
    advance(LEASE).await;
    let forever = Duration::MAX;
    store.claim(&key(1), owner, forever, forever).await.unwrap();
    assert!(matches!(claim(&store, 1).await, Claim::InProgress { .. }));
    let (fence, key) = (Fence::new(u64::MAX), key(1));
    store.complete(&key, owner, fence, forever).await.unwrap();
    advance(KEEP * 1_000).await;
    assert_eq!(claim(&store, 1).await, Claim::Completed);
}

#[tokio::test(start_paused = true)]
async fn expired_records_are_removed_a_few_at_a_time() {
    let store = MemoryStore::new();
    for number in 0..100 {
        complete(&store, number).await;
    }
    advance(KEEP + LATE).await;
    let mut before = store.len();
    for number in 100..200 {
        acquire(&store, number).await;
        let after = store.len();
        let left = before + 1 - after;
        assert!(left <= 4, "{left} removed at once");
        assert!(left > 1 || after == number as usize - 99);
        before = after;
    }
    assert_eq!(store.evicted(), 0, "only expired records were removed");
}

#[tokio::test(start_paused = true)]
async fn records_of_unsettled_attempts_are_also_removed() {
    let store = MemoryStore::new();
    for number in 0..10 {
        acquire(&store, number).await;
    }
    advance(KEEP).await;
    for number in 10..15 {
        acquire(&store, number).await;
    }
    assert_eq!(store.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_fence_grows_within_a_millisecond_even_after_an_eviction() {
    let store = room_for(2);
    let mut last = Fence::new(0);
    for pushed_out in [0, 2, 5, 8] {
        let (owner, fence) = acquire(&store, 0).await;
        assert!(fence > last, "{fence} came after {last}");
        assert_eq!(store.evicted(), pushed_out);
        last = fence;
        store.release(&key(0), owner).await.unwrap();
        complete(&store, 1).await;
        complete(&store, 2).await;
    }
}

/// If every key started after the largest forgotten fence, fences would run ahead of the clock, and would not grow
/// over a restart.
#[tokio::test(start_paused = true)]
async fn fences_of_a_full_store_never_exceed_its_clock() {
    let store = room_for(1_000);
    let (owner, first) = acquire(&store, 0).await;
    store.complete(&key(0), owner, first, KEEP).await.unwrap();
    // All within one millisecond.
    for number in 1..20_000 {
        complete(&store, number).await;
    }
    let (_, last) = acquire(&store, 20_000).await;
    let ahead = last.get() - first.get();
    assert!(ahead < 2 * 20_000 / 1_000, "{ahead} milliseconds ahead");
}

#[tokio::test(start_paused = true)]
async fn the_largest_fence_outlives_the_record_of_its_key() {
    for (records, others) in [(2, 3), (64, 200), (4_000, 9_000)] {
        let (store, far) = (room_for(records), u64::MAX / 2);
        for fence in [far, 1] {
            store.complete(&key(0), Owner::random(), Fence::new(fence), KEEP).await.unwrap();
        }
        for number in 1..others {
            complete(&store, number).await;
        }
        let (_, fence) = acquire(&store, 0).await;
        assert!(fence.get() > far, "{fence} came after {far}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_fence_grows_across_a_restart() {
    let (_, before) = acquire(&MemoryStore::new(), 0).await;
    // The system's clock runs, although the runtime's clock is paused.
    std::thread::sleep(Duration::from_millis(2));
    let (_, after) = acquire(&MemoryStore::new(), 0).await;
    assert!(after > before, "{after} came after {before}");
}
