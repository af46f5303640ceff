//! Measures claiming and completing the two keys of a delivery. The baseline in the same run is the insertion
//! of one row.
//!
//! `cargo bench --bench sql_stores`; put the folder for temporary files on the disk to measure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scrapest_webhook::store::{
    AnyStore, Claims, DeliveryStore, Fence, Owner, PostgresStore, Settlement, SqliteStore,
};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use support::Folder;
use support::claims::{KEEP, LEASE, random_key};
use support::servers::postgres::Postgres;
use tokio::runtime::Runtime;

const ROW: &str = "INSERT INTO row VALUES ($1)";
const TABLE: &str = "CREATE TABLE IF NOT EXISTS row (key BLOB PRIMARY KEY)";

/// Runs `work` `times` times, with `at_once` in flight.
async fn in_flight<F, W>(at_once: usize, times: u64, work: W) -> Duration
where
    F: Future<Output = ()> + Send,
    W: Fn(usize) -> F + Clone + Send + 'static,
{
    let left = Arc::new(AtomicUsize::new(times.try_into().unwrap()));
    let since = Instant::now();
    let clients: Vec<_> = (0..at_once)
        .map(|client| {
            let (left, work) = (Arc::clone(&left), work.clone());
            let take = move || {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            };
            tokio::spawn(async move {
                while take().is_ok() {
                    work(client).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    since.elapsed()
}

/// Each client uses `stores[client % stores.len()]`.
fn deliveries(
    c: &mut Criterion,
    runtime: &Runtime,
    name: &str,
    stores: Vec<AnyStore>,
    most: &[usize],
) {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(1)).sample_size(10);
    for &at_once in most {
        let stores = stores.clone();
        group.bench_function(format!("{at_once} in flight"), |bencher| {
            bencher.iter_custom(|times| {
                let stores = stores.clone();
                runtime.block_on(in_flight(at_once, times, move |client| {
                    let store = stores[client % stores.len()].clone();
                    async move { deliver(&store).await }
                }))
            });
        });
    }
}

async fn deliver(store: &AnyStore) {
    let mut keys = [random_key(), random_key()].map(|key| (key, Fence::new(0)));
    let owner = Owner::random();
    let claims = store.claim_all(&mut keys, owner, LEASE, KEEP).await.unwrap();
    assert!(matches!(claims, Claims::Acquired { .. }), "{claims:?}");
    store.settle_all(&keys, owner, Settlement::Complete { keep: KEEP }).await.unwrap();
}

macro_rules! raw_inserts {
    ($c:expr, $runtime:expr, $name:expr, $pool:expr) => {
        let mut group = $c.benchmark_group($name);
        group.throughput(Throughput::Elements(1)).sample_size(10);
        for at_once in [1, 64] {
            let pool = $pool.clone();
            group.bench_function(format!("{at_once} in flight"), |bencher| {
                bencher.iter_custom(|times| {
                    let pool = pool.clone();
                    $runtime.block_on(in_flight(at_once, times, move |_| {
                        let pool = pool.clone();
                        async move {
                            let key = random_key().as_bytes().to_vec();
                            sqlx::query(ROW).bind(key).execute(&pool).await.unwrap();
                        }
                    }))
                });
            });
        }
        group.finish();
    };
}

fn sqlite(c: &mut Criterion) {
    let (runtime, folder) = (Runtime::new().unwrap(), Folder::new());
    let options = SqliteConnectOptions::new()
        .filename(folder.file("raw.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options);
    let pool = runtime.block_on(pool).unwrap();
    runtime.block_on(sqlx::query(TABLE).execute(&pool)).unwrap();
    raw_inserts!(c, runtime, "sqlite, raw insert", pool);
    let store = AnyStore::new(SqliteStore::new(&folder.file("store.db")).unwrap());
    deliveries(c, &runtime, "sqlite, claim and complete", vec![store], &[1, 64]);
}

fn postgres(c: &mut Criterion) {
    let Some(server) = Postgres::start(&["fsync=on", "max_connections=300"]) else { return };
    let runtime = Runtime::new().unwrap();
    let pool = |most| {
        let pool =
            PgPoolOptions::new().max_connections(most).acquire_timeout(Duration::from_secs(60));
        runtime.block_on(pool.connect(&server.url())).unwrap()
    };
    let raw = pool(64);
    let table = TABLE.replace("BLOB", "bytea");
    runtime.block_on(sqlx::query(sqlx::AssertSqlSafe(table)).execute(&raw)).unwrap();
    raw_inserts!(c, runtime, "postgres, raw insert", raw);

    let store = AnyStore::new(PostgresStore::new(&server.url()).unwrap());
    deliveries(c, &runtime, "postgres, claim and complete", vec![store], &[1, 64]);
    // One store per client, so that no two can share a statement.
    for connections in [4, 64] {
        let pool = pool(connections);
        let alone = || AnyStore::new(PostgresStore::from_pool(pool.clone()));
        let name = format!("postgres, each alone on {connections} connections");
        deliveries(c, &runtime, &name, (0..64).map(|_| alone()).collect(), &[64]);
    }
}

criterion_group!(benches, sqlite, postgres);
criterion_main!(benches);
