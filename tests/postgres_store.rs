//! What the PostgreSQL store promises over the contract, against a server of its own that is killed, frozen,
//! slow and full.

#![cfg(feature = "postgres")]

mod ports;
mod sql;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use scrapest_webhook::store::{
    AnyStore, Claim, DeliveryStore, Fence, Key, MemoryStore, Owner, PostgresStore, Settled,
    store_from_url,
};
use sql::folder::Folder;
use sql::logged::log;
use sql::postgres::{PASSWORD, Postgres};
use sql::proxy::Proxy;
use sql::receiver::{self, Receiver};
use sql::{KEEP, LEASE, acquire, claim, oracle, random_key, recovers};
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Executor};
use tokio::time::sleep;

/// How long after the server a store may need to be back.
const RECOVERY: Duration = Duration::from_secs(2);

/// All clauses at once against one server, each with connections of its own.
mod contract {
    scrapest_webhook::store_contract_tests!(super::contract_store("").await);
}

/// The same where the application's pool, or the database, wants every transaction serializable.
mod contract_at_serializable {
    const SETTING: &str = "&options=-cdefault_transaction_isolation%3Dserializable";

    scrapest_webhook::store_contract_tests!(super::contract_store(SETTING).await);
}

async fn contract_store(parameters: &str) -> AnyStore {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    // Each of 72 tests at once may have 4 connections.
    let server = SERVER.get_or_init(|| Postgres::start(&["max_connections=400"]));
    match server {
        Some(server) => {
            let store = PostgresStore::new(&(server.url() + parameters)).unwrap();
            // So many at once may take longer to connect than a claim waits for.
            recovers(|| store.ready()).await;
            AnyStore::new(store)
        }
        // It was said that this is skipped.
        None => AnyStore::new(MemoryStore::new()),
    }
}

#[tokio::test]
async fn a_receiver_of_its_own() {
    receiver::serve_if_told().await;
}

/// A server, or an early end where there is none.
macro_rules! server {
    ($($setting:expr),*) => {
        match Postgres::start(&[$($setting),*]) {
            Some(server) => server,
            None => return,
        }
    };
}

/// Nothing is connected yet.
fn lazy_store(server: &Postgres) -> PostgresStore {
    PostgresStore::new(&server.url()).unwrap()
}

/// With a connection: to make one may take longer than a claim waits for, where many tests run at once.
async fn store(server: &Postgres) -> PostgresStore {
    let store = lazy_store(server);
    recovers(|| store.ready()).await;
    store
}

/// What is wrong, other than that it takes long.
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

// --- the server goes and comes back

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_before_the_claim_is_an_error_until_it_is_back() {
    let mut server = server!();
    let (store, key, owner) = (store(&server).await, random_key(), Owner::random());
    claim(&store, random_key()).await;
    server.kill();
    let since = Instant::now();
    let error = try_claim(&store, key, owner).await.unwrap_err();
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    assert!(error.contains(&format!("127.0.0.1:{}", server.port())), "{error}");
    assert!(error.to_lowercase().contains("refused"), "{error}");
    server.run();
    let (claimed, took) = recovers(|| try_claim(&store, key, owner)).await;
    assert!(matches!(claimed, Claim::Acquired { attempt: 1, .. }), "{claimed:?}");
    assert!(took < RECOVERY, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_between_claim_and_complete_forgets_neither() {
    let mut server = server!();
    let (store, done, held) = (store(&server).await, random_key(), random_key());
    let (owner, fence) = acquire(&store, done).await;
    acquire(&store, held).await;
    server.kill();
    assert!(store.complete(&done, owner, fence, KEEP).await.is_err());
    server.run();
    let (settled, took) = recovers(|| store.complete(&done, owner, fence, KEEP)).await;
    assert_eq!(settled, Settled::Done);
    assert!(took < RECOVERY, "{took:?}");
    assert_eq!(claim(&store, done).await, Claim::Completed);
    let found = claim(&store, held).await;
    assert!(matches!(found, Claim::InProgress { .. }), "its lease runs on: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_the_midst_of_completions_loses_none_that_it_answered() {
    // As wrong as a server may be set: what it answers may wait for 10 s until it is written.
    let mut server = server!("synchronous_commit=off", "wal_writer_delay=10s");
    let store = store(&server).await;
    for _ in 0..3 {
        let mut claimed = Vec::new();
        for _ in 0..64 {
            let key = random_key();
            claimed.push((key, acquire(&store, key).await));
        }
        let completing = claimed.iter().cloned().map(|(key, (owner, fence))| {
            let store = store.clone();
            tokio::spawn(async move {
                // As the layer does: until it is answered.
                recovers(|| store.complete(&key, owner, fence, KEEP)).await;
                key
            })
        });
        let completing: Vec<_> = completing.collect();
        let also = acquire(&store, random_key()).await;
        store.complete(&random_key(), also.0, also.1, KEEP).await.unwrap();
        server.kill();
        server.run();
        for key in join_all(completing).await {
            assert_eq!(claim_soon(&store, key.unwrap()).await, Claim::Completed);
        }
    }
}

async fn claim_soon(store: &PostgresStore, key: Key) -> Claim {
    recovers(|| try_claim(store, key, Owner::random())).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_outlives_a_crash_whatever_synchronous_commit_says() {
    let mut server = server!("synchronous_commit=off", "wal_writer_delay=10s");
    let pool = PgPool::connect(&server.url()).await.unwrap();
    for store in [store(&server).await, PostgresStore::from_pool(pool)] {
        recovers(|| store.ready()).await;
        let mut answered = Vec::new();
        for _ in 0..3 {
            let (done, held) = (random_key(), random_key());
            let (owner, fence) = acquire(&store, done).await;
            store.complete(&done, owner, fence, KEEP).await.unwrap();
            let (owner, _) = acquire(&store, held).await;
            answered.push((done, held, owner));
        }
        let (_, held, owner) = answered[2];
        store.renew(&held, owner, LEASE * 10).await.unwrap();
        server.kill();
        server.run();
        recovers(|| store.ready()).await;
        for (done, held, _) in answered {
            assert_eq!(claim(&store, done).await, Claim::Completed);
            assert!(matches!(claim(&store, held).await, Claim::InProgress { .. }));
        }
        match claim(&store, held).await {
            Claim::InProgress { retry_after } => assert!(retry_after > LEASE, "{retry_after:?}"),
            other => panic!("it was renewed, but a claim found {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_at_the_start_is_logged_once_and_used_once_it_is_there() {
    let log = log();
    let Some(mut server) = Postgres::stopped(&[]) else { return };
    let store = lazy_store(&server);
    let any = AnyStore::new(store.clone());
    let place = format!("127.0.0.1:{}", server.port());
    for _ in 0..4 {
        assert!(store.ready().await.is_err());
        assert!(any.claim(&random_key(), Owner::random(), LEASE, KEEP).await.is_err());
    }
    server.run();
    let (_, took) = recovers(|| store.ready()).await;
    assert!(took < RECOVERY, "{took:?}");
    // It counts as back once it has answered for a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    any.claim(&random_key(), Owner::random(), LEASE, KEEP).await.unwrap();
    assert_eq!(log.count(&["WARN", "delivery store fails", &place]), 1);
    assert_eq!(log.count(&["INFO", "answers again", &place]), 1);
    assert!(!log.text().contains(PASSWORD), "the password was logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_frozen_is_given_up_and_nothing_runs_twice() {
    let server = server!();
    let (store, key, owner) = (store(&server).await, random_key(), Owner::random());
    claim(&store, random_key()).await;
    server.freeze();
    for _ in 0..2 {
        let since = Instant::now();
        assert!(try_claim(&store, key, owner).await.is_err());
        assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    }
    server.thaw();
    let (claimed, took) = recovers(|| try_claim(&store, key, owner)).await;
    assert!(matches!(claimed, Claim::Acquired { attempt: 1, .. }), "{claimed:?}");
    assert!(took < RECOVERY, "{took:?}");
    let found = claim(&store, key).await;
    assert!(matches!(found, Claim::InProgress { .. }), "{found:?}");
}

// --- the network

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_take_600_ms_are_slow_and_nothing_else() {
    let server = server!();
    let proxy = Proxy::start(server.port()).await;
    proxy.delay_replies(Duration::from_millis(600));
    let store = PostgresStore::new(&server.url_through(proxy.port)).unwrap();
    // Connecting takes several answers.
    recovers(|| store.ready()).await;
    for _ in 0..2 {
        let (key, owner) = (random_key(), Owner::random());
        let (claimed, took) = recovers(|| try_claim(&store, key, owner)).await;
        let Claim::Acquired { fence, attempt: 1 } = claimed else { panic!("{claimed:?}") };
        assert!(took < Duration::from_secs(4), "{took:?}");
        let (settled, took) = recovers(|| store.complete(&key, owner, fence, KEEP)).await;
        assert_eq!(settled, Settled::Done);
        assert!(took < Duration::from_secs(4), "{took:?}");
        let (found, _) = recovers(|| try_claim(&store, key, Owner::random())).await;
        assert_eq!(found, Claim::Completed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_reset_are_replaced() {
    let server = server!();
    let proxy = Proxy::start(server.port()).await;
    let store = PostgresStore::new(&server.url_through(proxy.port)).unwrap();
    // As many connections as there may be.
    let keys: Vec<_> = (0..8).map(|_| random_key()).collect();
    join_all(keys.iter().map(|key| store.release(key, Owner::random()))).await;
    for _ in 0..10 {
        proxy.reset();
        let (owner, fence) = acquire(&store, random_key()).await;
        proxy.reset();
        store.complete(&random_key(), owner, fence, KEEP).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_never_come_do_not_use_up_the_connections() {
    let server = server!();
    let proxy = Proxy::start(server.port()).await;
    let store = PostgresStore::new(&server.url_through(proxy.port)).unwrap();
    let (key, owner) = (random_key(), Owner::random());
    // As many connections as there may be.
    let keys: Vec<_> = (0..8).map(|_| random_key()).collect();
    join_all(keys.iter().map(|key| store.release(key, owner))).await;
    proxy.swallow_replies(true);
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(6) {
        let gives_up = Duration::from_millis(700);
        let _ = tokio::time::timeout(gives_up, try_claim(&store, key, owner)).await;
        let _ = tokio::time::timeout(gives_up, store.renew(&key, owner, LEASE)).await;
    }
    proxy.swallow_replies(false);
    let (claimed, took) = recovers(|| try_claim(&store, key, owner)).await;
    assert!(matches!(claimed, Claim::Acquired { attempt: 1, .. }), "{claimed:?}");
    assert!(took < RECOVERY + Duration::from_secs(1), "{took:?}");
}

// --- the server has other things to do

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_connections_are_all_taken_is_named_and_waited_for() {
    let server = server!("max_connections=6", "max_wal_senders=0");
    let store = lazy_store(&server);
    let mut others = Vec::new();
    while let Ok(other) = PgConnection::connect(&server.url()).await {
        others.push(other);
    }
    let error = wrong(&store).await;
    assert!(error.contains("too many clients"), "{error}");
    for other in others.drain(..) {
        other.close().await.unwrap();
    }
    let (_, took) = recovers(|| store.ready()).await;
    assert!(took < RECOVERY, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_whose_connections_are_all_taken_is_an_error() {
    let server = server!();
    let pool = PgPoolOptions::new().max_connections(1).connect(&server.url()).await.unwrap();
    let store = PostgresStore::from_pool(pool.clone());
    let taken = pool.acquire().await.unwrap();
    let error = store.ready().await.unwrap_err().to_string();
    assert!(error.contains("pool timed out"), "{error}");
    drop(taken);
    recovers(|| store.ready()).await;
    let (owner, fence) = acquire(&store, random_key()).await;
    store.complete(&random_key(), owner, fence, KEEP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_runs_in_full_from_when_a_lock_was_waited_for() {
    let server = server!();
    let (store, key) = (store(&server).await, random_key());
    let (owner, _) = acquire(&store, key).await;
    store.release(&key, owner).await.unwrap();
    let mut other = connection(&server).await;
    let mut transaction = other.begin().await.unwrap();
    transaction.execute("SELECT * FROM scrapest_webhook_deliveries FOR UPDATE").await.unwrap();

    let lease = Duration::from_millis(1_000);
    let owner = Owner::random();
    let (claimed, ()) = tokio::join!(store.claim(&key, owner, lease, KEEP), async {
        sleep(Duration::from_millis(700)).await;
        transaction.commit().await.unwrap();
    });
    assert!(matches!(claimed.unwrap(), Claim::Acquired { attempt: 2, .. }));
    match claim(&store, key).await {
        Claim::InProgress { retry_after } => {
            assert!(retry_after > Duration::from_millis(600), "{retry_after:?}");
        }
        other => panic!("it is held, but a claim found {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_stays_locked_is_an_error_in_time() {
    let server = server!();
    let (store, key) = (store(&server).await, random_key());
    let (owner, fence) = acquire(&store, key).await;
    let mut other = connection(&server).await;
    let mut transaction = other.begin().await.unwrap();
    transaction.execute("SELECT * FROM scrapest_webhook_deliveries FOR UPDATE").await.unwrap();
    let since = Instant::now();
    assert!(store.complete(&key, owner, fence, KEEP).await.is_err());
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    transaction.rollback().await.unwrap();
    assert_eq!(store.complete(&key, owner, fence, KEEP).await.unwrap(), Settled::Done);
}

// --- many at once

#[tokio::test(flavor = "multi_thread")]
async fn what_piles_up_shares_a_statement() {
    let server = server!();
    let (store, mut other) = (store(&server).await, connection(&server).await);
    let mut transactions = async || -> i64 {
        let count = "SELECT count(DISTINCT xmin::text) FROM scrapest_webhook_deliveries";
        sqlx::query_scalar(count).fetch_one(&mut other).await.unwrap()
    };
    let keys: Vec<_> = (0..200).map(|_| random_key()).collect();
    let held = join_all(keys.iter().map(|key| acquire(&store, *key))).await;
    let count = transactions().await;
    assert!(count <= 20, "200 claims in {count} transactions");
    let completions = keys.iter().zip(&held);
    let completions =
        completions.map(|(key, (owner, fence))| store.complete(key, *owner, *fence, KEEP));
    for settled in join_all(completions).await {
        assert_eq!(settled.unwrap(), Settled::Done);
    }
    let count = transactions().await;
    assert!(count <= 20, "200 completions in {count} transactions");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_several_times_in_a_statement_has_one_winner() {
    let server = server!();
    let store = store(&server).await;
    for _ in 0..20 {
        let (key, owner, other) = (random_key(), Owner::random(), random_key());
        // The first leads, and the others make up the next statement.
        let first = store.claim(&other, owner, LEASE, KEEP);
        let owners: Vec<_> = (0..30).map(|_| Owner::random()).collect();
        let claims = owners.iter().flat_map(|owner| [*owner, *owner]);
        let asks = &store;
        let claims =
            claims.map(|owner| async move { (owner, asks.claim(&key, owner, LEASE, KEEP).await) });
        let claims = claims.collect::<Vec<_>>();
        let (_, claims) = tokio::join!(first, join_all(claims));
        let mut winners: Vec<_> = claims
            .into_iter()
            .filter_map(|(owner, claim)| match claim.unwrap() {
                Claim::Acquired { fence, attempt: 1 } => Some((owner.to_bytes(), fence)),
                Claim::InProgress { .. } => None,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(winners.len(), 2, "the winner asked twice and was told twice");
        winners.dedup();
        let [(winner, fence)] = winners[..] else { panic!("{winners:?}") };

        let first = store.complete(&other, owner, fence, KEEP);
        let completions = owners.iter().map(|owner| store.complete(&key, *owner, fence, KEEP));
        let (_, settled) = tokio::join!(first, join_all(completions));
        for (owner, settled) in owners.iter().zip(settled) {
            let held = owner.to_bytes() == winner;
            assert_eq!(settled.unwrap(), if held { Settled::Done } else { Settled::Lost });
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn statements_that_want_the_same_keys_do_not_lock_each_other_out() {
    let server = server!();
    let stores = [store(&server).await, store(&server).await, store(&server).await];
    let keys: Vec<_> = (0..100).map(|_| random_key()).collect();
    for round in 0..10 {
        let lease = Duration::from_millis(1);
        let orders = stores.iter().enumerate().map(|(number, store)| {
            let mut keys = keys.clone();
            keys.rotate_left(number * 33 + round);
            if number == 1 {
                keys.reverse();
            }
            async move {
                let claims = keys.iter().map(|key| store.claim(key, Owner::random(), lease, KEEP));
                for claim in join_all(claims).await {
                    claim.unwrap();
                }
            }
        });
        join_all(orders).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_records_leave() {
    let server = server!();
    let (store, mut other) = (store(&server).await, connection(&server).await);
    let expired = "INSERT INTO scrapest_webhook_deliveries
        SELECT sha256(n::text::bytea), 1, 1, NULL, 1, 'epoch', now() - interval '1 s', 1
        FROM generate_series(1, 2500) AS n";
    other.execute(expired).await.unwrap();
    let kept = random_key();
    store.complete(&kept, Owner::random(), Fence::new(1), KEEP).await.unwrap();
    let mut claims = 0;
    let since = Instant::now();
    loop {
        join_all((0..100).map(|_| claim(&store, random_key()))).await;
        claims += 100;
        let count = "SELECT count(*) FROM scrapest_webhook_deliveries WHERE keep_until < now()";
        let expired: i64 = sqlx::query_scalar(count).fetch_one(&mut other).await.unwrap();
        if expired == 0 {
            break;
        }
        assert!(
            expired <= 2_500 && since.elapsed() < Duration::from_secs(20),
            "{expired} are left"
        );
    }
    assert!(claims >= 1_500, "1,000 at a time, once in 500 claims");
    assert_eq!(claim(&store, kept).await, Claim::Completed);
}

// --- the table

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_migration_is_safe_at_once_and_twice() {
    let server = server!();
    for _ in 0..5 {
        connection(&server)
            .await
            .execute("DROP TABLE IF EXISTS scrapest_webhook_deliveries")
            .await
            .unwrap();
        let stores: Vec<_> = (0..20).map(|_| lazy_store(&server)).collect();
        let ready = stores.iter().map(|store| {
            recovers(move || async move {
                let ready = store.ready().await;
                if let Err(error) = &ready {
                    // So many at once may take longer to connect than a question waits for.
                    let error = error.to_string();
                    assert!(!error.contains("exist") && !error.contains("duplicate"), "{error}");
                }
                ready
            })
        });
        join_all(ready).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_dropped_is_made_again() {
    let server = server!();
    let store = store(&server).await;
    let (owner, fence) = acquire(&store, random_key()).await;
    for _ in 0..2 {
        connection(&server).await.execute("DROP TABLE scrapest_webhook_deliveries").await.unwrap();
        let key = random_key();
        assert_eq!(store.complete(&key, owner, fence, KEEP).await.unwrap(), Settled::Lost);
        assert_eq!(claim(&store, key).await, Claim::Completed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_create_tables_may_use_one_that_is_there() {
    let server = server!();
    let mut other = connection(&server).await;
    let role = format!(
        "CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'; REVOKE CREATE ON SCHEMA public FROM public"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(role)).execute(&mut other).await.unwrap();
    let guest = PostgresStore::new(&server.url().replace("app:", "guest:")).unwrap();
    let error = wrong(&guest).await;
    assert!(error.contains("permission denied"), "{error}");
    store(&server).await;
    other
        .execute("GRANT SELECT, INSERT, UPDATE, DELETE ON scrapest_webhook_deliveries TO guest")
        .await
        .unwrap();
    recovers(|| guest.ready()).await;
    let (owner, fence) = acquire(&guest, random_key()).await;
    guest.complete(&random_key(), owner, fence, KEEP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_an_unknown_version_is_in_progress_and_never_written_over() {
    let server = server!();
    let (store, mut other) = (store(&server).await, connection(&server).await);
    for values in [
        "2, 1, NULL, 7, 'epoch', 'epoch', 1",
        "2, 0, 'me', 7, 'epoch', 'epoch', 1",
        "1, 9, NULL, 7, 'epoch', 'epoch', 1",
    ] {
        let key = random_key();
        let insert =
            format!(r"INSERT INTO scrapest_webhook_deliveries VALUES ('\x{key}', {values})");
        sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(&mut other).await.unwrap();
        let select =
            format!(r"SELECT d::text FROM scrapest_webhook_deliveries d WHERE key = '\x{key}'");
        let before: String = sqlx::query_scalar(sqlx::AssertSqlSafe(select.clone()))
            .fetch_one(&mut other)
            .await
            .unwrap();

        let owner = Owner::random();
        // Together with others, which it does not spoil.
        let (found, good) = tokio::join!(claim(&store, key), claim(&store, random_key()));
        assert!(matches!(found, Claim::InProgress { .. }), "{values}: {found:?}");
        assert!(matches!(good, Claim::Acquired { .. }), "{good:?}");
        assert_eq!(store.renew(&key, owner, LEASE).await.unwrap(), Settled::Lost);
        assert_eq!(store.release(&key, owner).await.unwrap(), Settled::Lost);
        let error = store.complete(&key, owner, Fence::new(1), KEEP).await.unwrap_err();
        assert!(error.to_string().contains("unknown version"), "{error}");
        join_all((0..600).map(|_| claim(&store, random_key()))).await;
        sleep(Duration::from_millis(100)).await;
        let after: String =
            sqlx::query_scalar(sqlx::AssertSqlSafe(select)).fetch_one(&mut other).await.unwrap();
        assert_eq!(before, after);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_somebody_else_is_an_error_and_stays_as_it_is() {
    let server = server!();
    let mut other = connection(&server).await;
    other.execute("CREATE TABLE scrapest_webhook_deliveries (id int, name text)").await.unwrap();
    let store = lazy_store(&server);
    let error = wrong(&store).await;
    assert!(error.contains("does not exist"), "{error}");
    assert!(try_claim(&store, random_key(), Owner::random()).await.is_err());
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM scrapest_webhook_deliveries WHERE name IS NULL")
            .fetch_one(&mut other)
            .await
            .unwrap();
    assert_eq!(rows, 0);
}

// --- edges

#[tokio::test(flavor = "multi_thread")]
async fn durations_without_end_do_not_overflow() {
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
async fn the_holder_is_told_so_again_when_it_repeats_its_completion() {
    let server = server!();
    let (store, key, absent) = (store(&server).await, random_key(), random_key());
    let (owner, fence) = acquire(&store, key).await;
    for _ in 0..2 {
        assert_eq!(store.complete(&key, owner, fence, KEEP).await.unwrap(), Settled::Done);
        assert_eq!(store.complete(&absent, owner, fence, KEEP).await.unwrap(), Settled::Lost);
    }
}

#[test]
fn a_url_of_something_else_is_refused_and_no_password_is_shown() {
    for url in [
        "",
        "localhost",
        "mysql://app:canary_4f1d09b7@localhost/app",
        "postgres:canary_4f1d09b7",
        "postgres://app:canary_4f1d09b7@localhost:port/app",
        "postgres://app:canary_4f1d09b7@localhost/app?sslmode=canary",
        "postgres://app@localhost/app?passwrod=canary_4f1d09b7",
        "postgres://app:wh?canary_4f1d09b7@localhost/app",
    ] {
        for error in [PostgresStore::new(url).unwrap_err(), store_from_url(url).unwrap_err()] {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(PASSWORD), "{shown}");
        }
    }
    // Without a runtime, which a program may start later.
    let store = store_from_url(&format!("postgresql://app:{PASSWORD}@db:5433/hooks")).unwrap();
    assert_eq!(format!("{store:?}"), "PostgresStore(postgres at db:5433, database hooks)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_and_not_shown() {
    let server = server!();
    let store = PostgresStore::new(&server.url().replace(PASSWORD, "canary_wrong")).unwrap();
    wrong(&store).await;
    let error = store.ready().await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("password authentication failed"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
}

// --- receivers that are processes of their own

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_receiver_whose_server_is_down_at_the_start_answers_503_until_it_is_there() {
    let Some(mut server) = Postgres::stopped(&[]) else { return };
    let folder = Folder::new();
    let effects = folder.file("effects");
    let receiver = Receiver::start(&server.url(), &effects, Duration::ZERO);
    let delivery = receiver::delivery();
    assert_eq!(receiver::attempt(receiver.address, &delivery).await, Some(503));
    server.run();
    receiver::deliver(&[receiver.address], &delivery).await;
    receiver::deliver(&[receiver.address], &delivery).await;
    let effects = oracle::read(&effects);
    assert!(
        effects.len() == 1 && effects.values().all(|effects| effects.begun == 1),
        "{effects:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_on_one_server_are_one_receiver() {
    let (server, folder) = (server!(), Folder::new());
    let effects = folder.file("effects");
    let receivers =
        [0, 1].map(|_| Receiver::start(&server.url(), &effects, Duration::from_millis(100)));
    let deliveries: Vec<_> = (0..30).map(|_| receiver::delivery()).collect();
    let sent = deliveries.iter().flat_map(|delivery| {
        [0, 1, 0, 1].map(|to| receiver::attempt(receivers[to].address, delivery))
    });
    for status in join_all(sent).await {
        assert!(matches!(status, Some(200 | 204 | 503)), "{status:?}");
    }
    let effects = oracle::read(&effects);
    assert_eq!(effects.len(), 30);
    assert!(effects.values().all(|effects| effects.begun == 1 && effects.done == 1), "{effects:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kill_9_of_receivers_and_of_the_server_in_mid_run_loses_nothing() {
    let (mut server, folder) = (server!(), Folder::new());
    let (url, effects) = (server.url(), folder.file("effects"));
    let runs_for = Duration::from_millis(50);
    let start = || Receiver::start(&url, &effects, runs_for);
    let mut receivers = [start(), start()];
    // A killed receiver comes back elsewhere: the sender asks a name, not a port.
    let addresses =
        std::sync::Arc::new(std::sync::Mutex::new(receivers.each_ref().map(|it| it.address)));
    let sending: Vec<_> = (0..60)
        .map(|number| {
            let addresses = std::sync::Arc::clone(&addresses);
            tokio::spawn(async move {
                sleep(Duration::from_millis(number * 60)).await;
                let delivery = receiver::delivery();
                let since = Instant::now();
                for turn in number as usize.. {
                    let to = addresses.lock().unwrap()[turn % 2];
                    if let Some(200..300) = receiver::attempt(to, &delivery).await {
                        break;
                    }
                    assert!(since.elapsed() < Duration::from_secs(60), "lost");
                    sleep(Duration::from_millis(200)).await;
                }
            })
        })
        .collect();
    let mut kills = 0;
    for turn in 0..6 {
        sleep(Duration::from_millis(500)).await;
        if turn == 3 {
            server.kill();
            server.run();
            continue;
        }
        receivers[turn % 2].kill();
        kills += 1;
        receivers[turn % 2] = start();
        addresses.lock().unwrap()[turn % 2] = receivers[turn % 2].address;
    }
    for sent in join_all(sending).await {
        sent.unwrap();
    }
    let effects = oracle::read(&effects);
    assert_eq!(effects.len(), 60, "each delivery had an effect");
    assert!(
        effects.values().all(|effects| effects.done >= 1 && effects.overlaps == 0),
        "{effects:?}"
    );
    let doubles: usize = effects.values().map(|effects| effects.done - 1).sum();
    // Those whose receiver was killed between the effect and the record: a handful at once at the most.
    assert!(doubles <= kills * 3, "{doubles} doubles of {kills} kills");
}
