//! Runs every interleaving of a few threads at the memory store, with loom:
//! `cd tests/interleavings && cargo test`.
//!
//! `memory_store_model` and `claim_search` test what each verb does. These tests show that each verb is atomic
//! whichever thread runs in between, and that no thread waits forever for another.
#![cfg(test)]

use std::sync::atomic::Ordering::SeqCst;
// Not loom's types: they only record results and must not add interleavings.
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use futures_util::FutureExt;
use loom::sync::Arc;
use loom::thread;
use scrapest_webhook::store::{
    Claim, DeliveryStore, Fence, Key, MemoryStore, Owner, Settled, StoreError,
};

/// No lease and no record expires in these tests.
const LONG: Duration = Duration::from_secs(4_200);

fn key(number: u8) -> Key {
    Key::from_bytes([number; 32])
}

fn owner(number: u8) -> Owner {
    Owner::from_bytes([number; 16])
}

/// The memory store answers at once.
fn now<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    answer.now_or_never().expect("an answer at once")
}

fn claim(store: &MemoryStore, key: &Key, owner: Owner) -> Result<Claim, StoreError> {
    now(store.claim(key, owner, LONG, LONG))
}

fn acquired(claim: Result<Claim, StoreError>) -> Option<Fence> {
    match claim {
        Ok(Claim::Acquired { fence, .. }) => Some(fence),
        _ => None,
    }
}

/// Runs the threads in every possible order, and then checks the result.
fn in_every_order<const N: usize>(
    store: impl Fn() -> MemoryStore + Send + Sync + 'static,
    threads: [fn(MemoryStore, &Seen); N],
    after: fn(MemoryStore, &Seen),
) {
    loom::model(move || {
        let (store, seen) = (store(), Arc::new(Seen::default()));
        let [first, others @ ..] = &threads[..] else { panic!("no threads") };
        let running: Vec<_> = others
            .iter()
            .map(|&act| {
                let (store, seen) = (store.clone(), Arc::clone(&seen));
                thread::spawn(move || act(store, &seen))
            })
            .collect();
        first(store.clone(), &seen);
        running.into_iter().for_each(|thread| thread.join().expect("no panic"));
        after(store, &seen);
    });
}

#[derive(Default)]
struct Seen {
    running: AtomicBool,
    runs: AtomicUsize,
    successes: AtomicUsize,
}

impl Seen {
    /// Records a run, which must not overlap another.
    fn run(&self) {
        assert!(!self.running.swap(true, SeqCst), "two at a time");
        self.runs.fetch_add(1, SeqCst);
        thread::yield_now();
        self.running.store(false, SeqCst);
    }
}

fn succeed(store: MemoryStore, seen: &Seen, by: u8) {
    if let Some(fence) = acquired(claim(&store, &key(0), owner(by))) {
        seen.run();
        seen.successes.fetch_add(1, SeqCst);
        let settled = now(store.complete(&key(0), owner(by), fence, LONG));
        assert_eq!(settled.unwrap(), Settled::Done);
    }
}

fn fail(store: MemoryStore, seen: &Seen, by: u8) {
    if acquired(claim(&store, &key(0), owner(by))).is_some() {
        seen.run();
        assert_eq!(now(store.release(&key(0), owner(by))).unwrap(), Settled::Done);
    }
}

#[test]
fn exactly_one_of_three_concurrent_attempts_runs() {
    in_every_order(
        MemoryStore::new,
        [
            |store, seen| succeed(store, seen, 1),
            |store, seen| succeed(store, seen, 2),
            |store, seen| succeed(store, seen, 3),
        ],
        |store, seen| {
            assert_eq!((seen.runs.load(SeqCst), store.len()), (1, 1));
            assert_eq!(claim(&store, &key(0), owner(9)).unwrap(), Claim::Completed);
        },
    );
}

#[test]
fn a_failure_beside_successes_neither_loses_nor_duplicates() {
    in_every_order(
        MemoryStore::new,
        [
            |store, seen| fail(store, seen, 1),
            |store, seen| succeed(store, seen, 2),
            |store, seen| succeed(store, seen, 3),
        ],
        |store, seen| {
            let successes = seen.successes.load(SeqCst);
            let found = claim(&store, &key(0), owner(9)).unwrap();
            assert!(successes <= 1);
            assert_eq!(found == Claim::Completed, successes == 1, "{found:?}");
        },
    );
}

/// A late success counts and a late failure does not, wherever they fall between another attempt's claim and
/// end.
#[test]
fn a_late_success_counts_and_a_late_failure_does_not() {
    in_every_order(
        MemoryStore::new,
        [
            |store, _| _ = now(store.complete(&key(0), owner(1), Fence::new(1), LONG)).unwrap(),
            |store, _| {
                let settled = now(store.release(&key(0), owner(2))).unwrap();
                assert_eq!(settled, Settled::Lost);
            },
            |store, _| {
                if acquired(claim(&store, &key(0), owner(3))).is_some() {
                    now(store.release(&key(0), owner(3))).unwrap();
                }
            },
        ],
        |store, _| {
            assert_eq!(claim(&store, &key(0), owner(9)).unwrap(), Claim::Completed);
        },
    );
}

/// There is room for two records. A record in progress is never evicted, and a request without room gets an
/// error.
#[test]
fn a_full_store_never_evicts_a_running_delivery() {
    fn hold(store: MemoryStore, seen: &Seen, number: u8) {
        match claim(&store, &key(number), owner(number)) {
            Ok(_) => {
                let renewed = now(store.renew(&key(number), owner(number), LONG)).unwrap();
                assert_eq!(renewed, Settled::Done);
                seen.runs.fetch_add(1, SeqCst);
            }
            Err(error) => assert!(error.to_string().contains("with_capacity"), "{error}"),
        }
    }
    in_every_order(
        || MemoryStore::with_capacity(1.try_into().expect("not zero")),
        [
            |store, seen| hold(store, seen, 1),
            |store, seen| hold(store, seen, 2),
            |store, seen| hold(store, seen, 3),
        ],
        |store, seen| {
            assert_eq!((seen.runs.load(SeqCst), store.len(), store.evicted()), (2, 2, 0));
        },
    );
}

#[test]
fn read_only_calls_do_not_disturb_a_claim() {
    in_every_order(
        MemoryStore::new,
        [
            |store, seen| succeed(store, seen, 1),
            |store, _| {
                assert!(store.len() <= 1 && store.evicted() == 0);
                assert!(format!("{store:?}").contains("records"));
            },
        ],
        |store, seen| assert_eq!((seen.runs.load(SeqCst), store.is_empty()), (1, false)),
    );
}

/// Otherwise the tests above might pass because no thread ever runs in between.
#[test]
#[should_panic(expected = "two at a time")]
fn the_search_finds_a_check_then_act_defect() {
    fn act(store: MemoryStore, seen: &Seen, by: u8) {
        if store.is_empty() {
            seen.run();
            _ = claim(&store, &key(0), owner(by));
        }
    }
    in_every_order(
        MemoryStore::new,
        [|store, seen| act(store, seen, 1), |store, seen| act(store, seen, 2)],
        |_, _| {},
    );
}
