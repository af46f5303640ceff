//! Tests how much memory a full store takes. This is a separate binary because it measures the whole process.
#![cfg(target_os = "linux")]

use std::time::Duration;

use scrapest_webhook::store::{Claim, DeliveryStore, Fence, Key, MemoryStore, Owner};

const KEEP: Duration = Duration::from_secs(4_200);

/// Stores 1,000,000 ids with the default capacity of 500,000 records.
#[tokio::test]
async fn a_completed_record_takes_at_most_48_bytes() {
    let store = MemoryStore::new();
    let before = resident_bytes();
    for number in 0..500_000 {
        complete(&store, number).await;
    }
    let full = resident_bytes();
    let record = (full - before) / store.len();
    println!("{record} bytes per record");
    assert!(record <= 48, "{record} bytes per record");

    for number in 500_000..1_000_000 {
        complete(&store, number).await;
    }
    assert_eq!((store.len(), store.evicted()), (500_000, 500_000));
    let growth = resident_bytes().saturating_sub(full);
    assert!(growth < 1 << 20, "a full store grew by {growth} bytes");

    // Replacing all records many times does not make a full store grow.
    let store = MemoryStore::with_capacity(50_000.try_into().unwrap());
    for number in 0..100_000 {
        complete(&store, number).await;
    }
    let before = resident_bytes();
    for number in 100_000..1_000_000 {
        complete(&store, number).await;
    }
    let growth = resident_bytes().saturating_sub(before);
    assert!(growth < 1 << 19, "a store that stays full grew by {growth} bytes");

    // The same few records repeatedly, behind one that stays.
    let (store, before) = (MemoryStore::new(), resident_bytes());
    complete(&store, 0).await;
    let mut key = [1; 32];
    for number in 0..200_000 {
        key[0] = (number % 7) as u8;
        let (key, owner) = (Key::from_bytes(key), Owner::random());
        store.complete(&key, owner, Fence::new(1), KEEP).await.unwrap();
    }
    assert_eq!(store.len(), 8);
    let growth = resident_bytes().saturating_sub(before);
    assert!(growth < 1 << 20, "8 records grew by {growth} bytes");
}

async fn complete(store: &MemoryStore, number: u64) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    let (key, owner) = (Key::from_bytes(bytes), Owner::random());
    let claim = store.claim(&key, owner, KEEP, KEEP).await;
    let Ok(Claim::Acquired { fence, .. }) = claim else {
        panic!("{number} is free, but a claim found {claim:?}");
    };
    store.complete(&key, owner, fence, KEEP).await.unwrap();
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: usize = line.unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}
