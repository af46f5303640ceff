//! Tests what the PostgreSQL store promises beyond the contract, with servers that are killed, frozen, slow and full.

/// Starts a server. The test ends early if PostgreSQL is not installed.
macro_rules! server {
    ($($setting:expr),*) => {
        match Postgres::start(&[$($setting),*]) {
            Some(server) => server,
            None => return,
        }
    };
}

mod batches;
mod misuse;
mod outages;
mod processes;
mod production;
mod round_trips;
mod slow;
mod table;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use scrapest_webhook::store::{
    AnyStore, Claim, DeliveryStore, Fence, Key, MemoryStore, Owner, PostgresStore, Settled,
    store_from_url,
};
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Executor};
use support::claims::{KEEP, LEASE, acquire, claim, random_key, recovers};
use support::log::log;
use support::process::{self, Process};
use support::servers::postgres::{PASSWORD, Postgres};
use support::{Folder, Proxy, effects, workers};
use tokio::time::sleep;

/// How long a store may take to recover after its server.
const RECOVERY: Duration = Duration::from_secs(15);

/// All clauses concurrently against one server, each with its own connections.
mod contract {
    scrapest_webhook::store_contract_tests!(super::contract_store("").await);
}

/// All clauses with `SERIALIZABLE` as the default isolation level, which a database or a URL may set.
mod contract_at_serializable {
    const SETTING: &str = "&options=-cdefault_transaction_isolation%3Dserializable";

    scrapest_webhook::store_contract_tests!(super::contract_store(SETTING).await);
}

async fn contract_store(parameters: &str) -> AnyStore {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    // All tests run concurrently, with 3 connections each.
    let server = SERVER.get_or_init(|| Postgres::start(&["max_connections=400"]));
    match server {
        Some(server) => {
            let store = PostgresStore::new(&(server.url() + parameters)).unwrap();
            // With so many tests, connecting may take longer than a claim waits.
            recovers(|| store.ready()).await;
            AnyStore::new(store)
        }
        // `Postgres::start` has reported that the test is skipped.
        None => AnyStore::new(MemoryStore::new()),
    }
}

#[test]
fn a_blocked_worker_does_not_delay_others() {
    let server = server!();
    workers::a_blocked_worker_does_not_delay_others(AnyStore::new(lazy_store(&server)));
}

/// `RUNS=6000` is the number of runs with which leases were once lost.
#[tokio::test(flavor = "multi_thread")]
async fn handlers_that_run_longer_than_a_lease_keep_it() {
    let server = server!();
    let stores = [store(&server).await, store(&server).await].map(AnyStore::new);
    let runs = std::env::var("RUNS").map_or(200, |runs| runs.parse().unwrap());
    workers::long_runs_keep_their_leases(stores, runs).await;
}

#[tokio::test]
async fn receiver_process_for_other_tests() {
    process::serve_if_told().await;
}

/// A store that has not connected yet.
fn lazy_store(server: &Postgres) -> PostgresStore {
    PostgresStore::new(&server.url()).unwrap()
}

/// A store that is connected: while many tests run, connecting may take longer than a claim waits.
async fn store(server: &Postgres) -> PostgresStore {
    let store = lazy_store(server);
    recovers(|| store.ready()).await;
    store
}

/// Returns the first error of `ready` that is not a timeout.
async fn wrong(store: &PostgresStore) -> String {
    loop {
        let error = store.ready().await.unwrap_err().to_string();
        if !error.contains("timed out") {
            return error;
        }
    }
}

async fn connection(server: &Postgres) -> PgConnection {
    PgConnection::connect(&server.url()).await.unwrap()
}

async fn try_claim(store: &PostgresStore, key: Key, owner: Owner) -> Result<Claim, String> {
    store.claim(&key, owner, LEASE, KEEP).await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn unlimited_durations_do_not_overflow() {
    let server = server!();
    let (store, key, owner) = (store(&server).await, random_key(), Owner::random());
    let forever = Duration::MAX;
    store.claim(&key, owner, forever, forever).await.unwrap();
    assert_eq!(store.renew(&key, owner, forever).await.unwrap(), Settled::Done);
    assert!(matches!(claim(&store, key).await, Claim::InProgress { .. }));
    store.complete(&key, owner, Fence::new(u64::MAX), Duration::ZERO).await.unwrap();
    match claim(&store, key).await {
        Claim::Acquired { fence, attempt: 1 } => assert_eq!(fence.get(), i64::MAX as u64),
        other => panic!("the record has expired, but a claim found {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_completion_by_the_holder_is_done_again() {
    let server = server!();
    let (store, key, absent) = (store(&server).await, random_key(), random_key());
    let (owner, fence) = acquire(&store, key).await;
    for _ in 0..2 {
        assert_eq!(store.complete(&key, owner, fence, KEEP).await.unwrap(), Settled::Done);
        assert_eq!(store.complete(&absent, owner, fence, KEEP).await.unwrap(), Settled::Lost);
    }
}

#[test]
fn an_invalid_url_is_refused_without_showing_its_password() {
    for url in [
        "",
        "localhost",
        "mysql://app:canary_4f1d09b7@localhost/app",
        "postgres:canary_4f1d09b7",
        "postgres://app:canary_4f1d09b7@localhost:port/app",
        "postgres://app:canary_4f1d09b7@localhost/app?sslmode=canary",
        "postgres://app@localhost/app?sslmode=canary_4f1d09b7",
        "postgres://app@localhost/app?passwrod=canary_4f1d09b7",
        "postgres://app:wh?canary_4f1d09b7@localhost/app",
    ] {
        for error in [PostgresStore::new(url).unwrap_err(), store_from_url(url).unwrap_err()] {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(PASSWORD), "{shown}");
        }
    }
    // No runtime is needed: a program may start it later.
    let store = store_from_url(&format!("postgresql://app:{PASSWORD}@db:5433/hooks")).unwrap();
    assert_eq!(format!("{store:?}"), "PostgresStore(postgres at db:5433, database hooks)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_reported_and_not_shown() {
    let server = server!();
    let store = PostgresStore::new(&server.url().replace(PASSWORD, "canary_wrong")).unwrap();
    wrong(&store).await;
    let error = store.ready().await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("password authentication failed"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
}
