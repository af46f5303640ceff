//! Late answers and busy servers.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_take_600_ms_only_cause_a_delay() {
    let server = server!();
    let proxy = Proxy::start(server.port()).await;
    proxy.delay_replies(Duration::from_millis(600));
    let store = PostgresStore::new(&server.url_through(proxy.port)).unwrap();
    // Connecting takes several answers, so it may time out at first.
    recovers(|| store.ready()).await;
    for _ in 0..2 {
        let (key, owner) = (random_key(), Owner::random());
        let (claimed, took) = recovers(|| try_claim(&store, key, owner)).await;
        let Claim::Acquired { fence, attempt: 1 } = claimed else { panic!("{claimed:?}") };
        assert!(took < RECOVERY, "{took:?}");
        let (settled, took) = recovers(|| store.complete(&key, owner, fence, KEEP)).await;
        assert_eq!(settled, Settled::Done);
        assert!(took < RECOVERY, "{took:?}");
        let (found, _) = recovers(|| try_claim(&store, key, Owner::random())).await;
        assert_eq!(found, Claim::Completed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_connections_are_replaced() {
    let server = server!();
    let proxy = Proxy::start(server.port()).await;
    let store = PostgresStore::new(&server.url_through(proxy.port)).unwrap();
    // Opens the store's connection for releases.
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
async fn missing_answers_do_not_use_up_the_connections() {
    let server = server!();
    let proxy = Proxy::start(server.port()).await;
    let store = PostgresStore::new(&server.url_through(proxy.port)).unwrap();
    let (key, owner) = (random_key(), Owner::random());
    // Opens the store's connection for releases.
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

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_free_connections_is_reported_and_waited_for() {
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
async fn an_exhausted_application_pool_does_not_delay_the_store() {
    let server = server!();
    let pool = PgPoolOptions::new().max_connections(1).connect(&server.url()).await.unwrap();
    let store = PostgresStore::from_pool(pool.clone());
    let _taken = pool.acquire().await.unwrap();
    recovers(|| store.ready()).await;
    let key = random_key();
    let (owner, fence) = acquire(&store, key).await;
    assert_eq!(store.complete(&key, owner, fence, KEEP).await.unwrap(), Settled::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_stays_locked_is_an_error_in_bounded_time() {
    let server = server!();
    let (store, key) = (store(&server).await, random_key());
    let (owner, fence) = acquire(&store, key).await;
    let mut other = connection(&server).await;
    let mut transaction = other.begin().await.unwrap();
    transaction.execute("SELECT * FROM scrapest_webhook_deliveries FOR UPDATE").await.unwrap();
    let since = Instant::now();
    assert!(store.complete(&key, owner, fence, KEEP).await.is_err());
    assert!(since.elapsed() < RECOVERY, "{:?}", since.elapsed());
    transaction.rollback().await.unwrap();
    assert_eq!(store.complete(&key, owner, fence, KEEP).await.unwrap(), Settled::Done);
}
