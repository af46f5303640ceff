//! What the SQLite store promises over the contract: it lasts, it is shared, and it says what is wrong.

use std::time::Duration;

use scrapest_webhook::store::{
    AnyStore, Claim, DeliveryStore, Fence, Owner, Settled, SqliteStore, store_from_url,
};
use sqlx::{Connection, Row, SqliteConnection};
use support::claims::{KEEP, LEASE, acquire, claim, random_key, recovers};
use support::log::log;
use support::process::{self, Process};
use support::{Folder, SmallDisk, effects};
use tokio::time::sleep;

/// A file for each clause: on a slow disk one that hammers its file may keep another waiting for longer than a
/// question may take. Two receivers on one file are the subject of tests of their own.
mod contract {
    use std::sync::atomic::{AtomicU32, Ordering};

    use scrapest_webhook::store::SqliteStore;

    fn store() -> SqliteStore {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // The same from run to run; for each test where each is a process of its own.
        let folder = env!("CARGO_TARGET_TMPDIR");
        let test = std::thread::current().name().unwrap_or_default().replace("::", "-");
        SqliteStore::new(&format!("{folder}/{test}-{number}.db")).unwrap()
    }

    scrapest_webhook::store_contract_tests!(store());
}

#[tokio::test]
async fn a_receiver_of_its_own() {
    process::serve_if_told().await;
}

fn store(folder: &Folder) -> SqliteStore {
    SqliteStore::new(&folder.file("deliveries.db")).unwrap()
}

/// Something else that has the file open.
async fn other(folder: &Folder) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite:{}", folder.file("deliveries.db"))).await.unwrap()
}

#[tokio::test]
async fn a_completion_outlives_the_store() {
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
        other => panic!("the second attempt, not {other:?}"),
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
async fn many_claims_at_once_share_a_commit() {
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
    assert_eq!(won, 1, "of duplicates in one batch one wins");
}

#[tokio::test]
async fn expired_records_leave_a_few_with_each_claim() {
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
    assert_eq!(records, 6, "five claims, and the one that has not expired");
    assert_eq!(claim(&store, kept).await, Claim::Completed);
}

#[tokio::test]
async fn durations_without_end_do_not_overflow() {
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
async fn the_holder_is_told_so_again_when_it_repeats_its_completion() {
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
async fn a_record_of_an_unknown_version_is_in_progress_and_never_written_over() {
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
        // Where the schema refuses it nobody can have written it.
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
    // One that cannot be read does not spoil what is asked at the same time.
    assert!(matches!(claim(&store, random_key()).await, Claim::Acquired { .. }));
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_in_the_error() {
    let folder = Folder::new();
    std::fs::write(folder.file("text.db"), "not a database, but long enough to be one".repeat(99))
        .unwrap();
    std::fs::create_dir(folder.file("folder.db")).unwrap();
    let mut wrong = vec![
        (folder.file("missing/deliveries.db"), "does its folder exist"),
        (folder.file("text.db"), "some other kind of file"),
        (folder.file("folder.db"), "cannot be opened"),
    ];
    // No file is read-only to root.
    let read_only = folder.file("read_only.db");
    SqliteStore::new(&read_only).unwrap().ready().await.unwrap();
    let mut permissions = std::fs::metadata(&read_only).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&read_only, permissions).unwrap();
    if std::fs::OpenOptions::new().write(true).open(&read_only).is_err() {
        wrong.push((read_only, "cannot be written to"));
    }
    for (path, what) in wrong {
        let error = SqliteStore::new(&path).unwrap().ready().await.unwrap_err().to_string();
        assert!(error.contains(&path) && error.contains(what), "{error}");
    }
}

#[test]
fn a_url_without_a_file_to_write_to_is_refused() {
    for (url, what) in [
        ("", "without a file"),
        ("sqlite:", "without a file"),
        ("sqlite://", "without a file"),
        (":memory:", "in memory"),
        ("sqlite::memory:", "in memory"),
        ("sqlite:a.db?mode=memory", "in memory"),
        ("sqlite:a.db?mode=ro", "read-only"),
        ("sqlite:a.db?immutable=1", "read-only"),
        ("sqlite:a.db?nonsense=1", "nonsense"),
    ] {
        let error = SqliteStore::new(url).unwrap_err().to_string();
        assert!(error.contains(what), "{url}: {error}");
    }
    let store = store_from_url("sqlite:///var/lib/app/deliveries.db").unwrap();
    assert_eq!(format!("{store:?}"), r#"SqliteStore { path: "/var/lib/app/deliveries.db" }"#);
}

#[tokio::test]
async fn an_outage_is_logged_once_and_its_end_once() {
    let (log, folder) = (log(), Folder::new());
    let path = folder.file("later/deliveries.db");
    let store = SqliteStore::new(&path).unwrap();
    for _ in 0..10 {
        store.ready().await.unwrap_err();
    }
    let any = AnyStore::new(store);
    for _ in 0..10 {
        any.claim(&random_key(), Owner::random(), LEASE, KEEP).await.unwrap_err();
    }
    std::fs::create_dir(folder.file("later")).unwrap();
    // It counts as back once it has answered for a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for _ in 0..10 {
        any.claim(&random_key(), Owner::random(), LEASE, KEEP).await.unwrap();
    }
    assert_eq!(log.count(&["WARN", "delivery store fails", &path]), 1);
    assert_eq!(log.count(&["INFO", "answers again", &path]), 1);
}

#[tokio::test]
async fn a_file_that_is_locked_is_waited_for_and_then_an_error() {
    let folder = Folder::new();
    let store = store(&folder);
    store.ready().await.unwrap();
    let mut other = other(&folder).await;
    let key = random_key();

    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let error = store.claim(&key, Owner::random(), LEASE, KEEP).await.unwrap_err();
    assert!(error.to_string().contains("keeps locked"), "{error}");

    let (claimed, ()) = tokio::join!(claim(&store, key), async {
        sleep(Duration::from_millis(300)).await;
        sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    });
    assert!(matches!(claimed, Claim::Acquired { attempt: 1, .. }), "{claimed:?}");
}

#[tokio::test]
async fn a_claim_that_is_given_up_may_be_repeated_by_its_owner() {
    let folder = Folder::new();
    let store = store(&folder);
    let (key, owner) = (random_key(), Owner::random());
    for _ in 0..50 {
        let asked = store.claim(&key, owner, LEASE, KEEP);
        let _ = tokio::time::timeout(Duration::from_micros(300), asked).await;
    }
    let found = store.claim(&key, owner, LEASE, KEEP).await.unwrap();
    assert!(matches!(found, Claim::Acquired { attempt: 1, .. }), "{found:?}");
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount("600k") else { return };
    let store = SqliteStore::new(&disk.file("deliveries.db")).unwrap();
    let mut done = Vec::new();
    let error = loop {
        let key = random_key();
        match store.complete(&key, Owner::random(), Fence::new(1), KEEP).await {
            Ok(_) => done.push(key),
            Err(error) => break error,
        }
        assert!(done.len() < 100_000, "the disk is never full");
    };
    assert!(error.to_string().contains("disk is full"), "{error}");
    disk.grow();
    recovers(|| store.ready()).await;
    for key in done {
        assert_eq!(claim(&store, key).await, Claim::Completed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_receiver_whose_file_cannot_be_opened_at_the_start_answers_503_until_it_can() {
    let folder = Folder::new();
    let url = format!("sqlite:{}", folder.file("later/deliveries.db"));
    let make = || std::fs::create_dir(folder.file("later")).unwrap();
    process::starts_before_its_store(&url, make).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_on_one_file_are_one_receiver() {
    let folder = Folder::new();
    process::two_are_one(&format!("sqlite:{}", folder.file("deliveries.db"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_kill_between_claim_and_complete_is_taken_over_when_the_lease_ends() {
    let folder = Folder::new();
    let (url, effects) =
        (format!("sqlite:{}", folder.file("deliveries.db")), folder.file("effects"));
    let mut dies = Process::start(&url, &effects, Duration::from_secs(60));
    let delivery = process::delivery();
    let (answer, ()) = tokio::join!(process::attempt(dies.address, &delivery), async {
        while effects::read(&effects).is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        dies.kill();
    });
    assert_eq!(answer, None, "the connection breaks");

    let next = Process::start(&url, &effects, Duration::from_millis(10));
    let took = process::deliver(&[next.address], &delivery).await;
    assert!(took < Duration::from_secs(5), "{took:?} for a lease of 2 s");
    let effects = effects::read(&effects);
    let effects = effects.values().next().unwrap();
    assert_eq!((effects.begun, effects.done, effects.overlaps), (2, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_answered_outlives_kill_9() {
    let folder = Folder::new();
    let (url, effects) =
        (format!("sqlite:{}", folder.file("deliveries.db")), folder.file("effects"));
    let mut receiver = Process::start(&url, &effects, Duration::ZERO);
    let mut acknowledged = Vec::new();
    for _ in 0..5 {
        for _ in 0..20 {
            let delivery = process::delivery();
            assert_eq!(process::attempt(receiver.address, &delivery).await, Some(204));
            acknowledged.push(delivery);
        }
        receiver.kill();
        receiver = Process::start(&url, &effects, Duration::ZERO);
    }
    for delivery in &acknowledged {
        assert_eq!(process::attempt(receiver.address, delivery).await, Some(200));
    }
    let effects = effects::read(&effects);
    assert_eq!(effects.len(), acknowledged.len());
    assert!(effects.values().all(|effects| effects.begun == 1), "a duplicate ran");
}
