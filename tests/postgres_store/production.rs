//! Conditions of production servers: a failover behind one address, locks, a lost standby, a pooler.

use std::sync::{Arc, Mutex};

use scrapest_webhook::store::{Claims, Settlement};
use support::servers::pgbouncer::PgBouncer;
use support::{Axum, Framework, Handler, eventually, genuine, layer};

use super::*;

mod through_a_pooler {
    //! All clauses concurrently, over two connections to the server.

    use std::sync::OnceLock;

    use super::*;

    scrapest_webhook::store_contract_tests!(pooled_store().await);

    async fn pooled_store() -> AnyStore {
        static SERVERS: OnceLock<Option<(Postgres, PgBouncer)>> = OnceLock::new();
        let start = || {
            let server = Postgres::start(&[])?;
            let pooler = PgBouncer::start(server.port(), "transaction", 2)?;
            Some((server, pooler))
        };
        match SERVERS.get_or_init(start) {
            Some((server, pooler)) => {
                let store = PostgresStore::new(&server.url_through(pooler.port)).unwrap();
                recovers(|| store.ready()).await;
                AnyStore::new(store)
            }
            // `start` has reported that the test is skipped.
            None => AnyStore::new(MemoryStore::new()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_in_statement_mode_also_works() {
    let server = server!();
    let Some(pooler) = PgBouncer::start(server.port(), "statement", 2) else { return };
    let store = PostgresStore::new(&server.url_through(pooler.port)).unwrap();
    recovers(|| store.ready()).await;
    let key = random_key();
    let (owner, fence) = acquire(&store, key).await;
    assert_eq!(store.renew(&key, owner, LEASE).await.unwrap(), Settled::Done);
    assert_eq!(store.complete(&key, owner, fence, KEEP).await.unwrap(), Settled::Done);
    assert_eq!(claim(&store, key).await, Claim::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_a_standby_works_once_it_points_to_the_primary() {
    let server = server!();
    store(&server).await;
    let standby = server.standby(&[]);
    let proxy = Proxy::start(standby.port()).await;
    let url = server.url_through(proxy.port);
    let pool = PgPoolOptions::new().connect_lazy(&url).unwrap();
    let stores = [PostgresStore::new(&url).unwrap(), PostgresStore::from_pool(pool)];
    for store in &stores {
        let error = wrong(store).await;
        assert!(error.contains("read-only (is it a standby?)"), "{error}");
        // Opens the connections of all verbs, which lead to the standby.
        assert!(try_claim(store, random_key(), Owner::random()).await.is_err());
        let owner = Owner::random();
        assert!(store.renew(&random_key(), owner, LEASE).await.is_err());
        assert!(store.complete(&random_key(), owner, Fence::new(1), KEEP).await.is_err());
    }
    // The connections to the standby stay open: the store must close them.
    proxy.lead_to(server.port());
    for store in &stores {
        // The first question must reach the primary. On a busy machine it may time out, and is repeated.
        let ready = || async {
            let ready = store.ready().await;
            if let Err(error) = &ready {
                assert!(!error.to_string().contains("standby"), "{error}");
            }
            ready
        };
        recovers(ready).await;
        let key = random_key();
        let (owner, fence) = acquire(store, key).await;
        assert_eq!(store.renew(&key, owner, LEASE).await.unwrap(), Settled::Done);
        assert_eq!(store.complete(&key, owner, fence, KEEP).await.unwrap(), Settled::Done);
    }
}

/// Counts the stores' connections to the server.
async fn backends(other: &mut PgConnection) -> i64 {
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scrapest-webhook'";
    sqlx::query_scalar(count).fetch_one(other).await.unwrap()
}

/// Runs all operations with callers that give up early, for as long as three questions may take. Returns the largest
/// number of connections.
async fn ask_in_vain(store: &PostgresStore, other: &mut PgConnection) -> i64 {
    let mut most = 0;
    let until = Instant::now() + Duration::from_secs(6);
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let gives_up = Duration::from_millis(300);
                while Instant::now() < until {
                    let (key, owner) = (random_key(), Owner::random());
                    _ = tokio::time::timeout(gives_up, try_claim(&store, key, owner)).await;
                    _ = tokio::time::timeout(gives_up, store.renew(&key, owner, LEASE)).await;
                    let completion = store.complete(&key, owner, Fence::new(1), KEEP);
                    _ = tokio::time::timeout(gives_up, completion).await;
                }
            })
        })
        .collect();
    while Instant::now() < until {
        most = most.max(backends(other).await);
        sleep(Duration::from_millis(20)).await;
    }
    for asking in asking {
        asking.await.unwrap();
    }
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_does_not_use_up_the_connections() {
    let server = server!();
    let (store, mut other) = (store(&server).await, connection(&server).await);
    let mut locker = connection(&server).await;
    let mut lock = locker.begin().await.unwrap();
    lock.execute("LOCK TABLE scrapest_webhook_deliveries").await.unwrap();
    let error = wrong(&store).await;
    assert!(error.contains("does another session lock the table?"), "{error}");
    let most = ask_in_vain(&store, &mut other).await;
    assert!(most <= 3, "{most} connections");
    lock.rollback().await.unwrap();
    recovers(|| store.ready()).await;
    acquire(&store, random_key()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_waiting_for_a_lost_standby_do_not_use_up_the_connections() {
    let server = server!();
    let (store, mut other) = (store(&server).await, connection(&server).await);
    // No limit of the server ends such a wait.
    for text in ["ALTER SYSTEM SET synchronous_standby_names = 'lost'", "SELECT pg_reload_conf()"] {
        other.execute(text).await.unwrap();
    }
    let waits = || async {
        let name = "SELECT current_setting('synchronous_standby_names') = 'lost'";
        let waits: bool =
            sqlx::query_scalar(name).fetch_one(&mut connection(&server).await).await?;
        if waits { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
    };
    recovers(waits).await;
    let (key, owner) = (random_key(), Owner::random());
    assert!(try_claim(&store, key, owner).await.is_err(), "the claim is not known to be durable");
    let most = ask_in_vain(&store, &mut other).await;
    // Each connection may be doubled while the backend of the previous one is being ended.
    assert!(most <= 6, "{most} connections");
    for text in ["ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"] {
        other.execute(text).await.unwrap();
    }
    let (claimed, took) = recovers(|| try_claim(&store, key, owner)).await;
    assert!(matches!(claimed, Claim::Acquired { attempt: 1, .. }), "{claimed:?}");
    assert!(took < RECOVERY, "{took:?}");
    recovers(|| store.ready()).await;
    assert_eq!(backends(&mut other).await, 3, "the earlier backends must be gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_locked_by_another_transaction_is_in_progress_and_delays_nothing() {
    let server = server!();
    let (store, held) = (store(&server).await, random_key());
    let (owner, fence) = acquire(&store, held).await;
    let released = random_key();
    let (before, _) = acquire(&store, released).await;
    store.release(&released, before).await.unwrap();
    let mut other = connection(&server).await;
    let mut transaction = other.begin().await.unwrap();
    // Like a handler that completes its delivery in its own transaction, and then hangs.
    transaction.execute("UPDATE scrapest_webhook_deliveries SET attempt = attempt").await.unwrap();

    let held_keys = [(held, fence)];
    // Each locked key shares its statement with a free one: if the statement waited, both would get an error.
    for _ in 0..20 {
        let (first, free) = (random_key(), random_key());
        let (found, also, claimed) =
            tokio::join!(claim(&store, held), claim(&store, released), acquire(&store, free));
        assert!(matches!(found, Claim::InProgress { .. }), "{found:?}");
        assert!(matches!(also, Claim::InProgress { .. }), "{also:?}");
        let mut keys = [(first, Fence::new(0)), (held, Fence::new(0))];
        let several = store.claim_all(&mut keys, Owner::random(), LEASE, KEEP).await.unwrap();
        assert!(matches!(several, Claims::InProgress { place: 1, .. }), "{several:?}");
        let found = claim(&store, first).await;
        assert!(matches!(found, Claim::Acquired { attempt: 2, .. }), "not released: {found:?}");
        let (completed, held_up) = tokio::join!(
            store.complete(&free, claimed.0, claimed.1, KEEP),
            store.settle_all(&held_keys, owner, Settlement::Complete { keep: KEEP }),
        );
        assert_eq!(completed.unwrap(), Settled::Done);
        let error = held_up.unwrap_err().to_string();
        assert!(error.contains("locked by another transaction"), "{error}");
    }
    transaction.rollback().await.unwrap();
    assert_eq!(store.renew(&held, owner, LEASE).await.unwrap(), Settled::Done);
    assert!(matches!(claim(&store, released).await, Claim::Acquired { attempt: 2, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_blocked_by_a_handlers_transaction_is_not_an_outage() {
    let server = server!();
    let (log, store, key) = (log(), AnyStore::new(store(&server).await), random_key());
    let (owner, fence) = acquire(&store, key).await;
    let mut other = connection(&server).await;
    let mut transaction = other.begin().await.unwrap();
    transaction.execute("UPDATE scrapest_webhook_deliveries SET attempt = attempt").await.unwrap();
    for _ in 0..3 {
        let error = store.renew(&key, owner, LEASE).await.unwrap_err().to_string();
        assert!(error.contains("locked by another transaction"), "{error}");
        assert!(store.complete(&key, owner, fence, KEEP).await.is_err());
    }
    transaction.rollback().await.unwrap();
    store.renew(&key, owner, LEASE).await.unwrap();
    let place = format!("127.0.0.1:{}", server.port());
    assert_eq!(log.count(&["WARN", "delivery store fails", &place, "locked"]), 0);
}

/// The log line is the only sign of a transaction that was left open: the store itself works.
#[tokio::test(flavor = "multi_thread")]
async fn a_success_with_a_locked_record_is_logged_and_recorded_later() {
    let server = server!();
    let (log, url) = (log(), server.url());
    let left_open = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&left_open);
    let handler = Handler::new(move |_, _| {
        let (url, kept) = (url.clone(), Arc::clone(&kept));
        async move {
            let mut other = PgConnection::connect(&url).await.unwrap();
            let lock = "BEGIN; UPDATE scrapest_webhook_deliveries SET attempt = attempt";
            other.execute(lock).await.unwrap();
            *kept.lock().unwrap() = Some(other);
            200
        }
    });
    let receiver = Axum::serve(layer().with_store(store(&server).await), handler.clone()).await;
    let request = genuine().sign();
    assert_eq!(receiver.send(&request).await.status, 200);
    let line = ["WARN", "not recorded yet", "locked by another transaction"];
    eventually("the line", || log.count(&line) > 0).await;

    drop(left_open.lock().unwrap().take());
    // Like a restart: this receiver does not have the first one's memory.
    let next = Axum::serve(layer().with_store(store(&server).await), handler.clone()).await;
    assert_eq!(next.send(&request).await.status, 200);
    assert_eq!((handler.runs(), log.count(&line)), (1, 1));
}
