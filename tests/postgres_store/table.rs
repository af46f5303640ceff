//! The table: created, shared, or foreign.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_migration_can_run_concurrently_and_twice() {
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
                    // With so many stores, connecting may take longer than a question waits.
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
async fn a_dropped_table_is_created_again() {
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
async fn a_role_that_cannot_create_tables_can_use_an_existing_one() {
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
async fn a_record_of_an_unknown_version_is_in_progress_and_not_overwritten() {
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
        // Another claim in the same batch must not be affected.
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
async fn a_foreign_table_is_an_error_and_is_left_unchanged() {
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
