//! What a delivery costs in each store: a claim and a completion of a fresh key, alone and with 64 in
//! flight; beside them the raw driver's `SET NX PX`, which is the least that any claim could cost.
//!
//! ```sh
//! cargo bench --bench stores
//! ```
//!
//! One store more is one line in `stores` below.

#![allow(missing_docs, reason = "a benchmark is nobody's library")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use scrapest_webhook::store::{
    AnyStore, Claim, DeliveryStore, Key, MemoryStore, Owner, RedisStore,
};
use server::{FORGETFUL, RedisServer};
use tokio::runtime::Runtime;

#[allow(dead_code, unreachable_pub, reason = "the tests use the rest")]
#[path = "../tests/redis_store/server.rs"]
mod server;

const LEASE: Duration = Duration::from_secs(15);
const KEEP: Duration = Duration::from_secs(4_200);
const IN_FLIGHT: [usize; 2] = [1, 64];

fn stores(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let redis = RedisServer::start(FORGETFUL);

    store(criterion, &runtime, "memory", MemoryStore::new());
    if let Some(redis) = &redis {
        store(criterion, &runtime, "redis", RedisStore::new(&redis.url()).unwrap());
        raw_redis(criterion, &runtime, &redis.url());
    }
}

fn store(criterion: &mut Criterion, runtime: &Runtime, name: &str, store: impl DeliveryStore) {
    let store = AnyStore::new(store);
    bench(criterion, runtime, &format!("{name}/claim+complete"), move || {
        let store = store.clone();
        async move {
            let (key, owner) = (Key::from_bytes(rand::random()), Owner::random());
            let claim = store.claim(&key, owner, LEASE, KEEP).await.unwrap();
            let Claim::Acquired { fence, .. } = claim else { panic!("{claim:?}") };
            black_box(store.complete(&key, owner, fence, KEEP).await.unwrap());
        }
    });
}

fn raw_redis(criterion: &mut Criterion, runtime: &Runtime, url: &str) {
    let client = redis::Client::open(url).unwrap();
    let connection = runtime.block_on(client.get_multiplexed_async_connection()).unwrap();
    bench(criterion, runtime, "redis/raw SET NX PX", move || {
        let mut connection = connection.clone();
        async move {
            let key = Key::from_bytes(rand::random()).to_string();
            let mut set = redis::cmd("SET");
            set.arg(key).arg("1").arg("NX").arg("PX").arg(4_200_000);
            set.exec_async(&mut connection).await.unwrap();
        }
    });
}

/// `job` over and over, by as many tasks as are to be in flight.
fn bench<F: Future<Output = ()> + Send + 'static>(
    criterion: &mut Criterion,
    runtime: &Runtime,
    name: &str,
    job: impl Fn() -> F + Send + Sync + 'static,
) {
    let job = Arc::new(job);
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(1));
    for in_flight in IN_FLIGHT {
        group.bench_function(BenchmarkId::from_parameter(in_flight), |bencher| {
            bencher.to_async(runtime).iter_custom(|iterations| {
                let job = Arc::clone(&job);
                async move {
                    let began = Instant::now();
                    let tasks = (0..in_flight as u64).map(|task| {
                        let job = Arc::clone(&job);
                        let jobs = (task..iterations).step_by(in_flight).count();
                        tokio::spawn(async move {
                            for _ in 0..jobs {
                                job().await;
                            }
                        })
                    });
                    for done in join_all(tasks).await {
                        done.unwrap();
                    }
                    began.elapsed()
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, stores);
criterion_main!(benches);
