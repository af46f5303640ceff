//! Concurrent operations that share statements.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn queued_calls_share_a_statement() {
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
async fn one_of_several_claims_of_a_key_in_a_statement_wins() {
    let server = server!();
    let store = store(&server).await;
    for _ in 0..20 {
        let (key, owner, other) = (random_key(), Owner::random(), random_key());
        // The first claim gets a statement of its own, and the others share the next one.
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
        assert_eq!(winners.len(), 2, "the winner asked twice and must get two answers");
        winners.dedup();
        let [(winner, fence)] = winners[..] else { panic!("{winners:?}") };

        let completions = owners.iter().map(|owner| store.complete(&key, *owner, fence, KEEP));
        for (owner, settled) in owners.iter().zip(join_all(completions).await) {
            // Even the holder gets `Lost` if another success was written before its own.
            let held = settled.unwrap() == Settled::Done;
            assert!(!held || owner.to_bytes() == winner, "an owner without the key got `Done`");
        }
        assert_eq!(claim(&store, key).await, Claim::Completed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn statements_with_the_same_keys_do_not_deadlock() {
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
async fn expired_records_are_removed() {
    let server = server!();
    let (store, mut other) = (store(&server).await, connection(&server).await);
    let expired = "INSERT INTO scrapest_webhook_deliveries
        SELECT sha256(n::text::bytea), 1, 1, NULL, 1, 'epoch', now() - interval '1 s', 1
        FROM generate_series(1, 2500) AS n";
    other.execute(expired).await.unwrap();
    let kept = random_key();
    store.complete(&kept, Owner::random(), Fence::new(1), KEEP).await.unwrap();
    // 1,000 are deleted at a time, once per 500 claims.
    for _ in 0..15 {
        join_all((0..100).map(|_| claim(&store, random_key()))).await;
    }
    let since = Instant::now();
    loop {
        let count = "SELECT count(*) FROM scrapest_webhook_deliveries WHERE keep_until < now()";
        let expired: i64 = sqlx::query_scalar(count).fetch_one(&mut other).await.unwrap();
        if expired == 0 {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "{expired} are left");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(claim(&store, kept).await, Claim::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_table_is_read_by_its_index() {
    let server = server!(
        "session_preload_libraries=auto_explain",
        "auto_explain.log_min_duration=0",
        "auto_explain.log_nested_statements=on"
    );
    let (store, mut other) = (store(&server).await, connection(&server).await);
    join_all((0..20).map(|_| claim(&store, random_key()))).await;
    // From now on the planner knows that the table has only one page.
    other.execute("ANALYZE scrapest_webhook_deliveries").await.unwrap();
    for _ in 0..3 {
        let keys: Vec<_> = (0..60).map(|_| random_key()).collect();
        let held = join_all(keys.iter().map(|key| acquire(&store, *key))).await;
        let held = || keys.iter().zip(&held);
        join_all(held().map(|(key, (owner, _))| store.renew(key, *owner, LEASE))).await;
        join_all(held().skip(30).map(|(key, (owner, _))| store.release(key, *owner))).await;
        join_all(held().map(|(key, (owner, fence))| store.complete(key, *owner, *fence, KEEP)))
            .await;
        join_all(keys.iter().map(|key| claim(&store, *key))).await;
    }
    let log = server.log();
    assert!(log.contains("Index Scan using scrapest_webhook_deliveries_pkey"), "{log}");
    assert!(!log.contains("Seq Scan on scrapest_webhook_deliveries"), "{log}");
}
