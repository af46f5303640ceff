//! What a delivery costs in each store, alone and with 64 in flight: a claim and a completion of one fresh key,
//! and a whole delivery, which is both its keys, through the layer, from the request to the answer; beside them the raw
//! driver's `SET NX PX`, which is the least that any claim could cost.
//!
//! ```sh
//! cargo bench --bench stores
//! cargo bench --bench stores -- ratios
//! ```
//!
//! The second is the table of `ratios.rs`.
//!
//! One store more is one line in `stores` below.

mod ratios;

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{Request, Response};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use http_body_util::Full;
use hyper::body::Bytes;
use scrapest_webhook::service::VerifiedBody;
use scrapest_webhook::store::{
    AnyStore, Claim, DeliveryStore, Key, MemoryStore, Owner, PostgresStore, RedisStore, SqliteStore,
};
use scrapest_webhook::{ScrapestWebhookLayer, testing};
use support::Folder;
use support::servers::postgres::Postgres;
use support::servers::redis::{FORGETFUL, RedisServer};
use tokio::runtime::Runtime;
use tower::{Layer, ServiceExt, service_fn};

const SECRET: &str = "whsec_0123456789abcdef01234567";
const LEASE: Duration = Duration::from_secs(15);
const KEEP: Duration = Duration::from_secs(4_200);
const IN_FLIGHT: [usize; 2] = [1, 64];

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

fn stores(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    if std::env::args().any(|argument| argument == "ratios") {
        return runtime.block_on(ratios::print());
    }
    let redis = RedisServer::start(FORGETFUL);

    store(criterion, &runtime, "memory", MemoryStore::new());
    delivery(criterion, &runtime, "memory", MemoryStore::new());
    // What a claim costs in these two is in `benches/sql_stores.rs`.
    let folder = Folder::new();
    let sqlite = SqliteStore::new(&folder.file("store.db")).unwrap();
    delivery(criterion, &runtime, "sqlite", sqlite);
    if let Some(server) = Postgres::start(&["fsync=on"]) {
        delivery(criterion, &runtime, "postgres", PostgresStore::new(&server.url()).unwrap());
    }
    if let Some(redis) = &redis {
        let redis_store = RedisStore::new(&redis.url()).unwrap();
        store(criterion, &runtime, "redis", redis_store.clone());
        delivery(criterion, &runtime, "redis", redis_store);
        raw_redis(criterion, &runtime, &redis.url());
    }
}

fn store(criterion: &mut Criterion, runtime: &Runtime, name: &str, store: impl DeliveryStore) {
    let store = AnyStore::new(store);
    let fresh = || (Key::from_bytes(rand::random()), Owner::random());
    bench(criterion, runtime, &format!("{name}/claim+complete"), fresh, move |(key, owner)| {
        let store = store.clone();
        async move {
            let claim = store.claim(&key, owner, LEASE, KEEP).await.unwrap();
            let Claim::Acquired { fence, .. } = claim else { panic!("{claim:?}") };
            black_box(store.complete(&key, owner, fence, KEEP).await.unwrap());
        }
    });
}

/// Whole deliveries, signed beforehand.
fn delivery(
    criterion: &mut Criterion,
    runtime: &Runtime,
    name: &str,
    store: impl DeliveryStore + Clone,
) {
    bench(criterion, runtime, &format!("{name}/delivery"), signed, deliver(store));
}

fn signed() -> Request<Full<Bytes>> {
    testing::scrapest(SECRET).sign().into_http("/")
}

fn deliver(store: impl DeliveryStore) -> impl Fn(Request<Full<Bytes>>) -> Job + Send + Sync {
    let layer = ScrapestWebhookLayer::new(SECRET).with_store(store);
    let handler = service_fn(|_: Request<VerifiedBody>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = layer.layer(handler);
    move |request| {
        let service = service.clone();
        Box::pin(async move {
            let answer = service.oneshot(request).await.unwrap();
            assert_eq!(answer.status(), 200);
        })
    }
}

fn raw_redis(criterion: &mut Criterion, runtime: &Runtime, url: &str) {
    let set = runtime.block_on(set(url));
    bench(criterion, runtime, "redis/raw SET NX PX", key, set);
}

fn key() -> String {
    Key::from_bytes(rand::random()).to_string()
}

async fn set(url: &str) -> impl Fn(String) -> Job + Send + Sync + use<> {
    let client = redis::Client::open(url).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    move |key| {
        let mut connection = connection.clone();
        Box::pin(async move {
            let mut set = redis::cmd("SET");
            set.arg(key).arg("1").arg("NX").arg("PX").arg(4_200_000);
            set.exec_async(&mut connection).await.unwrap();
        })
    }
}

/// `job` over and over, by as many tasks as are to be in flight, on what was prepared for each.
fn bench<T: Send + 'static, F: Future<Output = ()> + Send + 'static>(
    criterion: &mut Criterion,
    runtime: &Runtime,
    name: &str,
    prepare: impl Fn() -> T,
    job: impl Fn(T) -> F + Send + Sync + 'static,
) {
    let job = Arc::new(job);
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(1));
    for in_flight in IN_FLIGHT {
        group.bench_function(BenchmarkId::from_parameter(in_flight), |bencher| {
            bencher.to_async(runtime).iter_custom(|iterations| {
                let mut prepared = Vec::from_iter((0..in_flight).map(|_| Vec::new()));
                for iteration in 0..iterations as usize {
                    prepared[iteration % in_flight].push(prepare());
                }
                let job = Arc::clone(&job);
                async move {
                    let began = Instant::now();
                    let tasks = prepared.into_iter().map(|prepared| {
                        let job = Arc::clone(&job);
                        tokio::spawn(async move {
                            for prepared in prepared {
                                job(prepared).await;
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
