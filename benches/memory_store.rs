//! Measures the memory store when it is full, so that each new record evicts one: a claim and a completion of a
//! fresh key, by number of threads and of live records. The baseline in the same run is the minimum that can
//! remember a key: a bare `LruCache` behind a mutex, locked once to check and once to update.
//!
//! ```sh
//! cargo bench --bench memory_store
//! ```
//!
//! `tests/memory_store_size.rs` tests how much memory a record takes.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt;
use lru::LruCache;
use scrapest_webhook::store::{Claim, DeliveryStore, Key, MemoryStore, Owner};

const LEASE: Duration = Duration::from_secs(15);
const KEEP: Duration = Duration::from_secs(4_200);
const THREADS: [usize; 3] = [1, 2, 8];
const LIVE: [usize; 3] = [1_000, 100_000, 1_000_000];

fn memory_store(criterion: &mut Criterion) {
    for live in LIVE {
        // Each delivery has two records.
        let store = MemoryStore::with_capacity(NonZeroUsize::new(live / 2).unwrap());
        bench(criterion, "claim+complete", live, move |key| {
            let owner = Owner::random();
            let claim = store.claim(key, owner, LEASE, KEEP).now_or_never().unwrap().unwrap();
            let Claim::Acquired { fence, .. } = claim else { panic!("{claim:?}") };
            store.complete(key, owner, fence, KEEP).now_or_never().unwrap().unwrap();
        });
        let cache = Mutex::new(LruCache::new(NonZeroUsize::new(live).unwrap()));
        bench(criterion, "bare LruCache", live, move |key| {
            assert!(!*cache.lock().unwrap().get_or_insert(*key, || false));
            // The other threads may have evicted the key in between.
            if let Some(done) = cache.lock().unwrap().get_mut(key) {
                *done = true;
            }
        });
    }
}

/// Measures `work` on fresh keys after it has run on `live` keys.
fn bench(
    criterion: &mut Criterion,
    name: &str,
    live: usize,
    work: impl Fn(&Key) + Send + Sync + 'static,
) {
    let work = Arc::new(work);
    fresh(live).iter().for_each(&*work);
    let mut group = criterion.benchmark_group(format!("{name}, {live} live"));
    group.sample_size(10).throughput(Throughput::Elements(1));
    for threads in THREADS {
        group.bench_function(BenchmarkId::new("threads", threads), |bencher| {
            bencher.iter_custom(|times| {
                let times = usize::try_from(times).unwrap();
                let shares = (0..threads).map(|_| fresh(times.div_ceil(threads)));
                let shares = Vec::from_iter(shares);
                let began = Instant::now();
                let threads = shares.into_iter().map(|keys| {
                    let work = Arc::clone(&work);
                    thread::spawn(move || keys.iter().for_each(&*work))
                });
                for thread in Vec::from_iter(threads) {
                    thread.join().unwrap();
                }
                began.elapsed()
            });
        });
    }
    group.finish();
}

/// Random keys of one webhook, which the last 8 bytes identify.
fn fresh(keys: usize) -> Vec<Key> {
    let key = || std::array::from_fn(|at| if at < 24 { rand::random() } else { 0 });
    (0..keys).map(|_| Key::from_bytes(key())).collect()
}

criterion_group!(benches, memory_store);
criterion_main!(benches);
