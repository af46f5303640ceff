//! What a whole delivery costs in each lasting store, and what it costs the server: medians of rounds in turns, so that
//! what else the machine does counts for all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use scrapest_webhook::store::{DeliveryStore, MemoryStore, PostgresStore, RedisStore, SqliteStore};
use support::Folder;
use support::servers::postgres::Postgres;
use support::servers::redis::{FORGETFUL, RedisServer};

use super::{Job, deliver, key, set, signed};

const ROUNDS: usize = 15;
const A_ROUND: usize = 4_000;
const AT_ONCE: usize = 64;

pub async fn print() {
    if let Some(server) = RedisServer::start(FORGETFUL) {
        redis(&server).await;
    }
    if let Some(server) = Postgres::start(&["fsync=on"]) {
        let store = PostgresStore::new(&server.url()).unwrap();
        lasting("PostgreSQL", store, || server.cpu_time()).await;
    }
    let folder = Folder::new();
    lasting("SQLite", SqliteStore::new(&folder.file("store.db")).unwrap(), || Duration::ZERO).await;
}

/// In bare commands, too.
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
        cpu.push((server.cpu_time() - cpu_time).as_secs_f64() / A_ROUND as f64 * 1e6);
        bytes.push((used_memory(server) - used) / A_ROUND as f64);
        together.push(in_redis / bare);
    }
    println!("Redis, alone: a delivery adds {:.2} x a bare SET NX PX (p50)", median(alone));
    println!(
        "Redis, {AT_ONCE} in flight: {:.2} x as many per second as bare commands, {:.1} us of the server's CPU and {:.0} B each",
        median(together),
        median(cpu),
        median(bytes),
    );
}

fn used_memory(server: &RedisServer) -> f64 {
    let info: String = redis::from_redis_value(server.ask(&["INFO", "memory"]).unwrap()).unwrap();
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    used.trim().parse().unwrap()
}

async fn lasting(name: &str, store: impl DeliveryStore, cpu_time: impl Fn() -> Duration) {
    let delivery = Arc::new(deliver(store));
    let (mut alone, mut rates, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(median(latencies(&*delivery, signed).await) * 1e6);
        let before = cpu_time();
        rates.push(rate(&delivery, signed).await);
        cpu.push((cpu_time() - before).as_secs_f64() / A_ROUND as f64 * 1e6);
    }
    println!("{name}, alone: {:.0} us a delivery (p50)", median(alone));
    println!(
        "{name}, {AT_ONCE} in flight: {:.0} deliveries per second, {:.1} us of the server's CPU each",
        median(rates),
        median(cpu),
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One after the other, in seconds.
async fn latencies<T>(job: &(impl Fn(T) -> Job + Sync), prepare: fn() -> T) -> Vec<f64> {
    let mut latencies = Vec::new();
    for prepared in Vec::from_iter((0..A_ROUND / 8).map(|_| prepare())) {
        let began = Instant::now();
        job(prepared).await;
        latencies.push(began.elapsed().as_secs_f64());
    }
    latencies
}

/// How many per second, so many in flight.
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
