//! Measures the number of live records. The store is full, so that each new record evicts one.

use std::time::Duration;

use axum::Router;
use scrapest_webhook::store::{Claim, DeliveryStore, Key, MemoryStore, Owner};
use stats_alloc::Region;
use tokio::runtime::Builder;

use crate::{ALLOCATOR, Axis, Point, contender, held, measure, ours, route, store};

pub(crate) const LEASE: Duration = Duration::from_secs(15);
pub(crate) const KEEP: Duration = Duration::from_secs(4_200);
const POINTS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

pub(crate) fn axis() -> Axis {
    let (mut contenders, mut memory) =
        (vec![contender(Router::new().route("/", route(None)))], Vec::new());
    for records in POINTS {
        let region = Region::new(ALLOCATOR);
        let store = store(records);
        fill(&store, records);
        memory.push(held(&region) / records as f64);
        let layer = ours().with_store(store);
        contenders.push(contender(Router::new().route("/", route(Some(layer)))));
    }
    let mut cpu = measure(&contenders).into_iter();
    let bare = cpu.next();
    let points = POINTS.into_iter().zip(cpu).zip(memory).map(|((at, cpu), memory)| Point {
        at,
        cpu: [bare, Some(cpu)],
        memory: [None, Some(memory)],
    });
    Axis { name: "live records", each: "record", points: points.collect() }
}

fn fill(store: &MemoryStore, records: usize) {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for _ in 0..records {
            let owner = Owner::random();
            let mut bytes = [0; 32];
            bytes[..16].copy_from_slice(&owner.to_bytes());
            let key = Key::from_bytes(bytes);
            let claim = store.claim(&key, owner, LEASE, KEEP).await.unwrap();
            let Claim::Acquired { fence, .. } = claim else { panic!("{claim:?}") };
            store.complete(&key, owner, fence, KEEP).await.unwrap();
        }
    });
    assert_eq!(store.len(), records);
}
