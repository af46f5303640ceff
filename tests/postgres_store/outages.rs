//! Servers that fail and recover.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_before_the_claim_is_an_error_until_it_is_back() {
    let mut server = server!();
    let (store, key, owner) = (store(&server).await, random_key(), Owner::random());
    claim(&store, random_key()).await;
    server.kill();
    let since = Instant::now();
    let error = try_claim(&store, key, owner).await.unwrap_err();
    assert!(since.elapsed() < RECOVERY, "{:?}", since.elapsed());
    assert!(error.contains(&format!("127.0.0.1:{}", server.port())), "{error}");
    assert!(error.to_lowercase().contains("refused"), "{error}");
    server.run();
    let (claimed, took) = recovers(|| try_claim(&store, key, owner)).await;
    assert!(matches!(claimed, Claim::Acquired { attempt: 1, .. }), "{claimed:?}");
    assert!(took < RECOVERY, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_between_claim_and_complete_keeps_both() {
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
    assert!(matches!(found, Claim::InProgress { .. }), "its lease has not ended: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_during_completions_loses_none_it_confirmed() {
    // The worst settings: without the store's own, an answered commit may not be written for 10 s.
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
                // Repeats it until it is answered, like the layer.
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
async fn confirmed_records_survive_a_crash_with_any_synchronous_commit() {
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
async fn a_server_down_at_the_start_is_logged_once_and_used_later() {
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
    // The outage ends once the server has answered for a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    any.claim(&random_key(), Owner::random(), LEASE, KEEP).await.unwrap();
    assert_eq!(log.count(&["WARN", "delivery store fails", &place]), 1);
    assert_eq!(log.count(&["INFO", "answers again", &place]), 1);
    assert!(!log.text().contains(PASSWORD), "the password was logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_to_a_frozen_server_time_out_and_nothing_runs_twice() {
    let server = server!();
    let (store, key, owner) = (store(&server).await, random_key(), Owner::random());
    claim(&store, random_key()).await;
    server.freeze();
    for _ in 0..2 {
        let since = Instant::now();
        assert!(try_claim(&store, key, owner).await.is_err());
        assert!(since.elapsed() < RECOVERY, "{:?}", since.elapsed());
    }
    server.thaw();
    let (claimed, took) = recovers(|| try_claim(&store, key, owner)).await;
    assert!(matches!(claimed, Claim::Acquired { attempt: 1, .. }), "{claimed:?}");
    assert!(took < RECOVERY, "{took:?}");
    let found = claim(&store, key).await;
    assert!(matches!(found, Claim::InProgress { .. }), "{found:?}");
}
