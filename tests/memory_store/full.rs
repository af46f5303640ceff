//! A full store: which records are evicted, in which order, and which are kept.

use scrapest_webhook::store::{Claim, DeliveryStore, Fence, Owner, Settled};
use tokio::time::advance;

use crate::{KEEP, LATE, LEASE, acquire, claim, complete, key, room_for};

#[tokio::test(start_paused = true)]
async fn a_full_store_evicts_the_earliest_completion() {
    let store = room_for(4);
    let (held, fence) = acquire(&store, 0).await;
    for number in 1..4 {
        complete(&store, number).await;
    }
    // Eviction follows the order of completion, not that of claims: record 0 is now the newest.
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
async fn a_full_store_never_evicts_a_delivery_in_progress() {
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
async fn an_ended_lease_is_evicted_before_a_completion() {
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
async fn expired_records_are_evicted_first() {
    for completes in [false, true] {
        let store = room_for(4);
        let (owner, _) = acquire(&store, 0).await;
        for number in 1..4 {
            let settled = store.complete(&key(number), owner, Fence::new(1), LEASE).await;
            settled.unwrap();
        }
        advance(LEASE + LATE).await;
        match completes {
            true => _ = store.complete(&key(4), owner, Fence::new(1), KEEP).await.unwrap(),
            false => _ = acquire(&store, 4).await,
        }
        assert_eq!((store.len(), store.evicted()), (2, 0));
        let settled = store.complete(&key(0), owner, Fence::new(1), KEEP).await;
        assert_eq!(settled.unwrap(), Settled::Done, "no other attempt took over");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_full_of_deliveries_in_progress_returns_an_error() {
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

/// The oldest records stay, while newer keys are completed again and again.
#[tokio::test(start_paused = true)]
async fn replaced_completions_take_no_room_and_evict_nothing() {
    let store = room_for(1_000);
    for number in 0..5 {
        complete(&store, number).await;
    }
    let (owner, _) = acquire(&store, 50).await;
    store.release(&key(50), owner).await.unwrap();
    for number in 5..10 {
        complete(&store, number).await;
    }
    for round in 0..20_000 {
        let (number, owner) = (100 + round % 7, Owner::random());
        store.complete(&key(number), owner, Fence::new(1), KEEP).await.unwrap();
        if round % 1_000 == 0 {
            for number in 0..10 {
                assert_eq!(claim(&store, number).await, Claim::Completed);
            }
        }
    }
    assert_eq!((store.len(), store.evicted()), (18, 0));

    for number in 1_000..1_987 {
        complete(&store, number).await;
    }
    assert_eq!((store.len(), store.evicted()), (1_000, 5));
    let found = claim(&store, 50).await;
    assert!(
        matches!(found, Claim::Acquired { attempt: 1, .. }),
        "the oldest record was evicted: {found:?}"
    );
    assert_eq!(store.evicted(), 6, "one more record was evicted");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_evicted_in_order_between_completions() {
    let store = room_for(4);
    complete(&store, 1).await;
    let (owner, _) = acquire(&store, 2).await;
    store.release(&key(2), owner).await.unwrap();
    complete(&store, 3).await;
    complete(&store, 4).await;
    complete(&store, 5).await;
    assert!(matches!(claim(&store, 2).await, Claim::Acquired { attempt: 2, .. }), "1 was evicted");
    let (owner, _) = acquire(&store, 1).await;
    store.release(&key(1), owner).await.unwrap();
    assert_eq!(store.evicted(), 2, "3 was evicted");
    assert_eq!(claim(&store, 4).await, Claim::Completed);
}
