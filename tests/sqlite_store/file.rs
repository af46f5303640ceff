//! Files that cannot be used, or are locked, deleted or on a full disk.

use super::*;

#[tokio::test]
async fn the_error_for_an_unusable_file_names_it() {
    let folder = Folder::new();
    std::fs::write(folder.file("text.db"), "not a database, but long enough to be one".repeat(99))
        .unwrap();
    std::fs::create_dir(folder.file("folder.db")).unwrap();
    let mut wrong = vec![
        (folder.file("missing/deliveries.db"), "does its folder exist"),
        (folder.file("text.db"), "is not a SQLite database"),
        (folder.file("folder.db"), "cannot be opened"),
    ];
    // For root no file is read-only.
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
    // The outage ends once the store has answered for a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for _ in 0..10 {
        any.claim(&random_key(), Owner::random(), LEASE, KEEP).await.unwrap();
    }
    assert_eq!(log.count(&["WARN", "delivery store fails", &path]), 1);
    assert_eq!(log.count(&["INFO", "answers again", &path]), 1);
}

#[tokio::test]
async fn a_locked_file_is_waited_for_and_then_an_error() {
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
async fn a_cancelled_claim_may_be_repeated_by_its_owner() {
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
        assert!(done.len() < 100_000, "the disk must become full");
    };
    assert!(error.to_string().contains("disk is full"), "{error}");
    disk.grow();
    recovers(|| store.ready()).await;
    for key in done {
        assert_eq!(claim(&store, key).await, Claim::Completed);
    }
}

#[tokio::test]
async fn a_file_deleted_or_renamed_in_use_is_an_error_until_restored() {
    for renamed in [false, true] {
        let folder = Folder::new();
        let (path, elsewhere) = (folder.file("deliveries.db"), folder.file("elsewhere.db"));
        let store = store(&folder);
        let (done, held) = (random_key(), random_key());
        let (owner, fence) = acquire(&store, done).await;
        store.complete(&done, owner, fence, KEEP).await.unwrap();
        let (owner, fence) = acquire(&store, held).await;
        match renamed {
            true => std::fs::rename(&path, &elsewhere).unwrap(),
            false => std::fs::remove_file(&path).unwrap(),
        }
        let error = store.ready().await.unwrap_err().to_string();
        assert!(error.contains(&path) && error.contains("was deleted or replaced"), "{error}");
        if !renamed {
            // Another process creates an empty file in its place.
            acquire(&self::store(&folder), done).await;
        }
        assert!(store.claim(&random_key(), Owner::random(), LEASE, KEEP).await.is_err());
        assert!(store.renew(&held, owner, LEASE).await.is_err());
        assert!(store.complete(&held, owner, fence, KEEP).await.is_err());
        if renamed {
            std::fs::rename(&elsewhere, &path).unwrap();
            store.ready().await.unwrap();
            assert_eq!(claim(&store, done).await, Claim::Completed);
        }
    }
}
