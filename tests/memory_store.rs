//! What the memory store promises over the contract: its size, its order, its clock.

use std::time::Duration;

use scrapest_webhook::store::{Claim, DeliveryStore, Fence, Key, MemoryStore, Owner, Settled};
use tokio::time::advance;

const LEASE: Duration = Duration::from_secs(15);
const KEEP: Duration = Duration::from_secs(4_200);

/// A store that holds as many records, which must be even.
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
async fn leases_and_retentions_end_to_the_nanosecond() {
    let (store, moment) = (MemoryStore::new(), Duration::from_nanos(1));
    acquire(&store, 1).await;
    advance(LEASE - moment).await;
    let retry_after = moment;
    assert_eq!(claim(&store, 1).await, Claim::InProgress { retry_after });
    advance(moment).await;
    complete(&store, 1).await;
    advance(KEEP - moment).await;
    assert_eq!(claim(&store, 1).await, Claim::Completed);
    advance(moment).await;
    acquire(&store, 1).await;
}

#[tokio::test(start_paused = true)]
async fn durations_without_end_do_not_overflow() {
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
async fn expired_records_leave_a_few_at_a_time() {
    let store = MemoryStore::new();
    for number in 0..100 {
        complete(&store, number).await;
    }
    advance(KEEP).await;
    let mut before = store.len();
    for number in 100..200 {
        acquire(&store, number).await;
        let after = store.len();
        let left = before + 1 - after;
        assert!(left <= 4, "{left} left at once");
        assert!(left > 1 || after == number as usize - 99);
        before = after;
    }
    assert_eq!(store.evicted(), 0, "who left had expired");
}

#[tokio::test(start_paused = true)]
async fn records_of_attempts_that_were_never_settled_leave_too() {
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
async fn a_full_store_pushes_out_what_was_completed_first() {
    let store = room_for(4);
    let (held, fence) = acquire(&store, 0).await;
    for number in 1..4 {
        complete(&store, number).await;
    }
    // Neither being asked for nor being begun earlier counts: 0 is now the youngest.
    assert_eq!(claim(&store, 1).await, Claim::Completed);
    store.complete(&key(0), held, fence, KEEP).await.unwrap();

    for (number, gone) in [(10, 1), (11, 2), (12, 3)] {
        complete(&store, number).await;
        assert_eq!((store.len(), store.evicted()), (4, gone));
    }
    for number in [0, 10, 11, 12] {
        assert_eq!(claim(&store, number).await, Claim::Completed);
    }
    acquire(&store, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_store_never_pushes_out_what_is_in_progress() {
    let store = room_for(4);
    let (owner, fence) = acquire(&store, 0).await;
    for number in 1..1_000 {
        complete(&store, number).await;
        assert!(matches!(claim(&store, 0).await, Claim::InProgress { .. }));
    }
    assert_eq!((store.len(), store.evicted()), (4, 996));
    let settled = store.complete(&key(0), owner, fence, KEEP).await;
    assert_eq!(settled.unwrap(), Settled::Done);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ended_makes_room_before_a_completion_does() {
    let store = room_for(4);
    for number in 0..3 {
        complete(&store, number).await;
    }
    acquire(&store, 3).await;
    advance(LEASE).await;
    acquire(&store, 4).await;
    for number in 0..3 {
        assert_eq!(claim(&store, number).await, Claim::Completed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_full_of_deliveries_in_progress_says_so() {
    let store = room_for(2);
    let (owner, _) = acquire(&store, 0).await;
    acquire(&store, 1).await;

    let claim = store.claim(&key(2), Owner::random(), LEASE, KEEP).await;
    let text = claim.unwrap_err().to_string();
    assert!(text.contains("all 1 deliveries of the memory store are in progress"));
    assert!(text.contains("MemoryStore::with_capacity"));
    let complete = store.complete(&key(2), owner, Fence::new(1), KEEP).await;
    complete.unwrap_err();

    store.release(&key(0), owner).await.unwrap();
    acquire(&store, 2).await;
    assert_eq!((store.len(), store.evicted()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_fence_grows_within_one_millisecond_though_the_record_was_pushed_out() {
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

#[tokio::test(start_paused = true)]
async fn the_fence_grows_over_a_restart() {
    let (_, before) = acquire(&MemoryStore::new(), 0).await;
    // The system's clock runs, however the runtime's is paused.
    std::thread::sleep(Duration::from_millis(2));
    let (_, after) = acquire(&MemoryStore::new(), 0).await;
    assert!(after > before, "{after} came after {before}");
}
