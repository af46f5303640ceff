//! Measures what a whole delivery costs in each persistent store, and what it costs the server. The rounds take
//! turns, so that other load on the machine affects all of them. Writes one line per figure, separated by tabs:
//! its name, the median of the rounds, and the least. `peers goals` reads these lines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use scrapest_webhook::store::{MemoryStore, PostgresStore, RedisStore, SqliteStore};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use support::Folder;
use support::servers::postgres::Postgres;
use support::servers::redis::{FORGETFUL, RedisServer};
use tokio::sync::Mutex;

use super::{Job, deliver, key, set, signed};

const ROUNDS: usize = 20;
const A_ROUND: usize = 4_000;
const AT_ONCE: usize = 64;

pub async fn print() {
    if let Some(server) = RedisServer::start(FORGETFUL) {
        redis(&server).await;
    }
    if let Some(server) = Postgres::start(&["fsync=on"]) {
        postgres(&server).await;
    }
    let folder = Folder::new();
    sqlite(&folder.file("store.db")).await;
}

/// The bare commands are measured too.
async fn redis(server: &RedisServer) {
    let set = Arc::new(set(&server.url()).await);
    let memory = Arc::new(deliver(MemoryStore::new()));
    let redis = Arc::new(deliver(RedisStore::new(&server.url()).unwrap()));
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    let (mut cpu, mut bytes) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let bare = median(latencies(&*set, key).await);
        let in_memory = median(latencies(&*memory, signed).await);
        let in_redis = median(latencies(&*redis, signed).await);
        alone.push((in_redis - in_memory) / bare);
        let bare = rate(&set, key).await;
        let (used, cpu_time) = (used_memory(server), server.cpu_time());
        let in_redis = rate(&redis, signed).await;
        cpu.push(each(server.cpu_time() - cpu_time));
        bytes.push((used_memory(server) - used) / A_ROUND as f64);
        together.push(in_redis / bare);
    }
    figure("Redis: added p50 / bare SET NX PX", alone);
    figure("Redis: µs of server CPU", cpu);
    figure("Redis: bytes", bytes);
    figure("Redis: deliveries per second, 64 in flight / bare SET NX PX", together);
}

fn used_memory(server: &RedisServer) -> f64 {
    let info: String = redis::from_redis_value(server.ask(&["INFO", "memory"]).unwrap()).unwrap();
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    used.trim().parse().unwrap()
}

async fn postgres(server: &Postgres) {
    let delivery = Arc::new(deliver(PostgresStore::new(&server.url()).unwrap()));
    let (mut alone, mut rates, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(median(latencies(&*delivery, signed).await) * 1e6);
        let cpu_time = server.cpu_time();
        rates.push(rate(&delivery, signed).await);
        cpu.push(each(server.cpu_time() - cpu_time));
    }
    figure("PostgreSQL: deliveries per second, 64 in flight", rates);
    figure("PostgreSQL: µs of server CPU", cpu);
    figure("PostgreSQL: p50 alone, µs", alone);
}

/// The baseline is four bare commits to the same file: a delivery has four operations if none are combined.
async fn sqlite(file: &str) {
    let delivery = Arc::new(deliver(SqliteStore::new(file).unwrap()));
    // The store creates the file.
    latencies(&*delivery, signed).await;
    let commits = commits(file).await;
    let (mut alone, mut ratios, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let bare = median(latencies(&commits, key).await);
        let in_sqlite = median(latencies(&*delivery, signed).await);
        alone.push(in_sqlite * 1e6);
        ratios.push(bare / in_sqlite);
        rates.push(rate(&delivery, signed).await);
    }
    figure("SQLite: p50 of four bare commits / p50 alone", ratios);
    figure("SQLite: p50 alone, µs", alone);
    figure("SQLite: deliveries per second, 64 in flight", rates);
}

/// Four rows, each in its own commit.
async fn commits(file: &str) -> impl Fn(String) -> Job + Sync + use<> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let table = "CREATE TABLE row (key TEXT, number INTEGER, PRIMARY KEY (key, number))";
    sqlx::query(table).execute(&mut connection).await.unwrap();
    let connection = Arc::new(Mutex::new(connection));
    move |key| {
        let connection = Arc::clone(&connection);
        Box::pin(async move {
            let mut connection = connection.lock().await;
            for number in 0..4 {
                let insert = sqlx::query("INSERT INTO row VALUES ($1, $2)").bind(&key).bind(number);
                insert.execute(&mut *connection).await.unwrap();
            }
        })
    }
}

fn figure(name: &str, values: Vec<f64>) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    println!("{name}\t{:.2}\t{least:.2}", median(values));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs one job after the other. Times are in seconds.
async fn latencies<T>(job: &(impl Fn(T) -> Job + Sync), prepare: fn() -> T) -> Vec<f64> {
    let mut latencies = Vec::new();
    for prepared in Vec::from_iter((0..A_ROUND / 16).map(|_| prepare())) {
        let began = Instant::now();
        job(prepared).await;
        latencies.push(began.elapsed().as_secs_f64());
    }
    latencies
}

/// Jobs per second with a fixed number in flight.
async fn rate<T: Send + 'static>(
    job: &Arc<impl Fn(T) -> Job + Send + Sync + 'static>,
    prepare: fn() -> T,
) -> f64 {
    let mut prepared = Vec::from_iter((0..AT_ONCE).map(|_| Vec::new()));
    for place in 0..A_ROUND {
        prepared[place % AT_ONCE].push(prepare());
    }
    let began = Instant::now();
    let tasks = prepared.into_iter().map(|prepared| {
        let job = Arc::clone(job);
        tokio::spawn(async move {
            for prepared in prepared {
                job(prepared).await;
            }
        })
    });
    for done in join_all(tasks).await {
        done.unwrap();
    }
    A_ROUND as f64 / began.elapsed().as_secs_f64()
}

/// Microseconds per delivery of a round.
fn each(took: Duration) -> f64 {
    took.as_secs_f64() / A_ROUND as f64 * 1e6
}
