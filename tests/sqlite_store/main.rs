//! Tests what the SQLite store promises beyond the contract: durability, sharing, and clear errors.

use std::time::Duration;

use scrapest_webhook::store::{
    AnyStore, Claim, DeliveryStore, Fence, Owner, Settled, SqliteStore, store_from_url,
};
use sqlx::{Connection, Row, SqliteConnection};
use support::claims::{KEEP, LEASE, acquire, claim, random_key, recovers};
use support::log::log;
use support::process::{self, Process};
use support::{Folder, SmallDisk, effects, workers};
use tokio::time::sleep;

mod batches;
mod file;
mod processes;
mod round_trips;

/// Each clause has its own file: on a slow disk, a clause with many writes could delay another until it times out.
/// Other tests have two receivers on one file.
mod contract {
    use std::sync::atomic::{AtomicU32, Ordering};

    use scrapest_webhook::store::SqliteStore;

    fn store() -> SqliteStore {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Each run uses the same names. The test's name makes them unique if each test is a separate process.
        let folder = env!("CARGO_TARGET_TMPDIR");
        let test = std::thread::current().name().unwrap_or_default().replace("::", "-");
        SqliteStore::new(&format!("{folder}/{test}-{number}.db")).unwrap()
    }

    scrapest_webhook::store_contract_tests!(store());
}

#[tokio::test]
async fn receiver_process_for_other_tests() {
    process::serve_if_told().await;
}

#[test]
fn a_blocked_worker_does_not_delay_others() {
    let folder = Folder::new();
    workers::a_blocked_worker_does_not_delay_others(AnyStore::new(store(&folder)));
}

/// `RUNS=6000` is the number of runs that a service may cause if it hangs.
#[tokio::test(flavor = "multi_thread")]
async fn handlers_that_run_longer_than_a_lease_keep_it() {
    let folder = Folder::new();
    let stores = [store(&folder), store(&folder)].map(AnyStore::new);
    let runs = std::env::var("RUNS").map_or(200, |runs| runs.parse().unwrap());
    workers::long_runs_keep_their_leases(stores, runs).await;
}

fn store(folder: &Folder) -> SqliteStore {
    SqliteStore::new(&folder.file("deliveries.db")).unwrap()
}

/// Another connection to the file.
async fn other(folder: &Folder) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite:{}", folder.file("deliveries.db"))).await.unwrap()
}

#[tokio::test]
async fn a_completion_survives_reopening_the_store() {
    let folder = Folder::new();
    let (done, failed, first) = (random_key(), random_key(), store(&folder));
    let (owner, fence) = acquire(&first, done).await;
    first.complete(&done, owner, fence, KEEP).await.unwrap();
    let (owner, before) = acquire(&first, failed).await;
    first.release(&failed, owner).await.unwrap();
    drop(first);

    let second = store(&folder);
    assert_eq!(claim(&second, done).await, Claim::Completed);
    match claim(&second, failed).await {
        Claim::Acquired { fence, attempt: 2 } => assert!(fence > before),
        other => panic!("expected the second attempt, found {other:?}"),
    }
}

#[tokio::test]
async fn the_file_is_in_wal_mode() {
    let folder = Folder::new();
    store(&folder).ready().await.unwrap();
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut other(&folder).await)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn concurrent_claims_share_a_commit() {
    let folder = Folder::new();
    let store = store(&folder);
    store.ready().await.unwrap();
    let claims = (0..64).map(|_| claim(&store, random_key()));
    let claims = futures_util::future::join_all(claims).await;
    assert!(claims.iter().all(|claim| matches!(claim, Claim::Acquired { .. })));
    let duplicates = vec![random_key(); 64];
    let claims = duplicates.into_iter().map(|key| claim(&store, key));
    let claims = futures_util::future::join_all(claims).await;
    let won = claims.iter().filter(|claim| matches!(claim, Claim::Acquired { .. })).count();
    assert_eq!(won, 1, "exactly one of the duplicates in a batch must win");
}

#[tokio::test]
async fn each_claim_removes_a_few_expired_records() {
    let folder = Folder::new();
    let store = store(&folder);
    for _ in 0..20 {
        let moment = Duration::from_millis(1);
        store.complete(&random_key(), Owner::random(), Fence::new(1), moment).await.unwrap();
    }
    let kept = random_key();
    store.complete(&kept, Owner::random(), Fence::new(1), KEEP).await.unwrap();
    sleep(Duration::from_millis(10)).await;
    for _ in 0..5 {
        claim(&store, random_key()).await;
    }
    let records: i64 = sqlx::query_scalar("SELECT count(*) FROM scrapest_webhook_deliveries")
        .fetch_one(&mut other(&folder).await)
        .await
        .unwrap();
    assert_eq!(records, 6, "the five claims and the completion that has not expired");
    assert_eq!(claim(&store, kept).await, Claim::Completed);
}

#[tokio::test]
async fn unlimited_durations_do_not_overflow() {
    let folder = Folder::new();
    let (store, key, owner) = (store(&folder), random_key(), Owner::random());
    let forever = Duration::MAX;
    store.claim(&key, owner, forever, forever).await.unwrap();
    assert!(matches!(claim(&store, key).await, Claim::InProgress { .. }));
    store.complete(&key, owner, Fence::new(u64::MAX), Duration::ZERO).await.unwrap();
    match claim(&store, key).await {
        Claim::Acquired { fence, attempt: 1 } => assert_eq!(fence.get(), i64::MAX as u64),
        other => panic!("the record has expired, but a claim found {other:?}"),
    }
}

#[tokio::test]
async fn a_repeated_completion_by_the_holder_is_done_again() {
    let folder = Folder::new();
    let (store, key) = (store(&folder), random_key());
    let (owner, fence) = acquire(&store, key).await;
    for _ in 0..2 {
        let settled = store.complete(&key, owner, fence, KEEP).await.unwrap();
        assert_eq!(settled, Settled::Done);
    }
    let stranger = store.complete(&key, Owner::random(), fence, KEEP).await.unwrap();
    assert_eq!(stranger, Settled::Lost);
}

#[tokio::test]
async fn a_record_of_an_unknown_version_is_in_progress_and_not_overwritten() {
    let folder = Folder::new();
    let store = store(&folder);
    let mut other = { (store.ready().await.unwrap(), other(&folder).await).1 };
    let values = [
        "2, 1, NULL, 7, 0, 0, 1",
        "2, 0, x'00', 7, 0, 0, 1",
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        "'one', 'done', 'me', 'x', 'y', 'z', 'w'",
        "1, 9, NULL, 7, 0, 0, 1",
    ];
    for values in values {
        let key = random_key();
        let insert = format!("INSERT INTO scrapest_webhook_deliveries VALUES (x'{key}', {values})");
        // Values that the schema refuses cannot be in the file.
        if sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(&mut other).await.is_err() {
            continue;
        }
        let select = format!("SELECT * FROM scrapest_webhook_deliveries WHERE key = x'{key}'");
        let select = || sqlx::raw_sql(sqlx::AssertSqlSafe(select.clone()));
        let dump = |row: sqlx::sqlite::SqliteRow| {
            (0..row.len()).map(|column| row.get_unchecked::<Vec<u8>, _>(column)).collect::<Vec<_>>()
        };
        let before = dump(select().fetch_one(&mut other).await.unwrap());

        let found = claim(&store, key).await;
        assert!(matches!(found, Claim::InProgress { .. }), "{values}: {found:?}");
        let owner = Owner::random();
        assert_eq!(store.renew(&key, owner, LEASE).await.unwrap(), Settled::Lost, "{values}");
        assert_eq!(store.release(&key, owner).await.unwrap(), Settled::Lost, "{values}");
        let error = store.complete(&key, owner, Fence::new(1), KEEP).await.unwrap_err();
        assert!(error.to_string().contains("unknown version"), "{error}");
        let after = dump(select().fetch_one(&mut other).await.unwrap());
        assert_eq!(before, after, "{values}");
    }
    // Records that cannot be read must not affect other keys.
    assert!(matches!(claim(&store, random_key()).await, Claim::Acquired { .. }));
}
