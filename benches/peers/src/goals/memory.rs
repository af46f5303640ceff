//! The part of G5 with one thread: the memory store beside a small store with the same semantics, one map and
//! one queue under one lock. Both are full, so that each delivery evicts another.

use std::env::current_exe;
use std::num::NonZero;
use std::process::Command;
use std::time::Duration;

use futures_util::FutureExt;
use peers::cpu::{summary, thread_time};
use peers::floor::store::Store;
use peers::key_of_one_webhook;
use peers::server::resident;
use scrapest_webhook::store::{Claims, DeliveryStore, Fence, Key, MemoryStore, Owner, Settlement};

use super::row::Row;
use crate::beside;

const LEASE: Duration = Duration::from_secs(15);
const KEEP: Duration = Duration::from_secs(4_200);
/// Deliveries per store and round.
const DELIVERIES: usize = 2_000;

type Keys = [[u8; 32]; 2];

pub fn deliveries(rounds: usize) {
    for (records, of) in [(100_000, "100,000"), (1_000_000, "1,000,000")] {
        let capacity = records / 2;
        let ours = MemoryStore::with_capacity(NonZero::new(capacity).unwrap());
        let small = Store::new(records);
        let longest = fill(&ours, capacity);
        fresh(capacity).into_iter().for_each(|keys| by_hand(&small, keys));
        let (mut of_ours, mut of_small) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            of_ours.push(time(|keys| deliver(&ours, keys)));
            of_small.push(time(|keys| by_hand(&small, keys)));
        }
        let (ours, small) = (summary(of_ours), summary(of_small));
        let what = format!("claim and complete two keys, {of} records");
        Row::ratio("G5", what, ("≤ 1.1 × a map and a queue", 1.1), |of| of(&ours) / of(&small))
            .with(&format!(", {:.0} ns", ours.median))
            .print();
        if records == 1_000_000 {
            Row {
                goal: "G5",
                what: format!("the longest delivery while {of} records are filled"),
                asked: "≤ 1 ms".into(),
                measured: format!("{:.2} ms of CPU", longest.as_secs_f64() * 1e3),
                met: Some(longest <= Duration::from_millis(1)),
            }
            .print();
        }
    }
}

/// Runs in a separate process, so that its memory is that of the store.
pub fn bytes(_: usize) {
    let output = beside::output(Command::new(current_exe().unwrap()).arg("--record-bytes"));
    let bytes: f64 = output.unwrap_or_else(|why| panic!("{why}")).trim().parse().unwrap();
    Row {
        goal: "G5",
        what: "memory of a completed record, of 1,000,000".into(),
        asked: "≤ 48 B".into(),
        measured: format!("{bytes:.1} B"),
        met: Some(bytes <= 48.),
    }
    .print();
}

/// Measures this process.
pub fn record_bytes() -> f64 {
    const DELIVERIES: usize = 500_000;
    let store = MemoryStore::with_capacity(NonZero::new(DELIVERIES).unwrap());
    let before = resident(std::process::id());
    for _ in 0..DELIVERIES {
        deliver(&store, [key_of_one_webhook(), key_of_one_webhook()]);
    }
    (resident(std::process::id()) - before) as f64 / store.len() as f64
}

fn fill(store: &MemoryStore, deliveries: usize) -> Duration {
    let took = fresh(deliveries).into_iter().map(|keys| {
        let began = thread_time();
        deliver(store, keys);
        thread_time() - began
    });
    took.max().unwrap_or_default()
}

/// In nanoseconds of CPU per delivery.
fn time(deliver: impl Fn(Keys)) -> f64 {
    let keys = fresh(DELIVERIES);
    let began = thread_time();
    keys.into_iter().for_each(deliver);
    (thread_time() - began).as_nanos() as f64 / DELIVERIES as f64
}

fn fresh(deliveries: usize) -> Vec<Keys> {
    (0..deliveries).map(|_| [key_of_one_webhook(), key_of_one_webhook()]).collect()
}

fn deliver(store: &MemoryStore, keys: Keys) {
    let mut keys = keys.map(|key| (Key::from_bytes(key), Fence::new(0)));
    let owner = Owner::random();
    let claims = store.claim_all(&mut keys, owner, LEASE, KEEP).now_or_never().unwrap().unwrap();
    assert!(matches!(claims, Claims::Acquired { .. }), "{claims:?}");
    let how = Settlement::Complete { keep: KEEP };
    store.settle_all(&keys, owner, how).now_or_never().unwrap().unwrap();
}

fn by_hand(store: &Store, keys: Keys) {
    let claimed = store.claim(keys).unwrap_or_else(|status| panic!("{status}"));
    store.complete(&claimed);
}
