//! A database that is locked or down while deliveries arrive and jobs run.

use sqlx::{Connection, SqliteConnection};
use support::log::log;
use support::servers::postgres::Postgres;
use support::{Folder, SmallDisk};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_file_only_causes_503s_and_a_pause() {
    let place = Place::sqlite();
    let queue = place.queue().await;
    push(&queue, "before").await;
    let (go_on, may_end) = tokio::sync::watch::channel(false);
    let act = move |_| {
        let mut may_end = may_end.clone();
        async move {
            may_end.wait_for(|may| *may).await?;
            Ok(())
        }
    };
    let mut working =
        Working::start(&queue, |worker| worker.with_lease(Duration::from_secs(2)), act);
    assert_eq!(working.next().await, "before");
    let mut locker = SqliteConnection::connect(&place.url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut locker).await.unwrap();
    assert_eq!(send(&queue, &tweet("during")).await, 503);
    assert!(!queue.is_ready().await);
    // The run's end is recorded once the file is unlocked; its lease ends meanwhile.
    go_on.send_replace(true);
    tokio::time::sleep(Duration::from_secs(3)).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut locker).await.unwrap();
    assert_eq!(send(&queue, &tweet("after")).await, 202);
    assert_eq!(working.next().await, "after");
    let done = until_all_are(&queue, JobState::Done).await;
    assert_eq!((done.len(), done[0].failed), (2, 0));
    assert!(queue.is_ready().await);
    assert!(working.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_causes_503s_is_logged_once_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount("900k") else { return };
    let (log, file) = (log(), disk.file("queue.db"));
    let queue = Queue::open(&format!("sqlite:{file}")).await.unwrap();
    let mut stored = 0;
    while send(&queue, &tweet(&format!("{stored}"))).await == 202 {
        stored += 1;
        assert!(stored < 10_000, "the disk is never full");
    }
    for _ in 0..3 {
        assert_eq!(send(&queue, &tweet("none of these")).await, 503);
    }
    assert!(!queue.is_ready().await);
    assert_eq!(log.count(&["WARN", "queue fails", &file, "disk is full"]), 1);
    disk.grow();
    assert_eq!(send(&queue, &tweet("after")).await, 202);
    assert!(log.count(&["INFO", "queue answers again"]) > 0);
    let working = Working::start(&queue, |worker| worker, |_| async { Ok(()) });
    let done = until_all_are(&queue, JobState::Done).await;
    assert_eq!(done.len(), stored + 1);
    assert!(working.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_only_causes_503s_and_a_pause() {
    let Some(mut server) = tokio::task::block_in_place(|| Postgres::start(&[])) else { return };
    let queue = Queue::open(&server.url()).await.unwrap();
    push(&queue, "before").await;
    let (go_on, may_end) = tokio::sync::watch::channel(false);
    let act = move |_| {
        let mut may_end = may_end.clone();
        async move {
            may_end.wait_for(|may| *may).await?;
            Ok(())
        }
    };
    let mut working = Working::start(&queue, |worker| worker, act);
    assert_eq!(working.next().await, "before");
    tokio::task::block_in_place(|| server.kill());
    assert_eq!(send(&queue, &tweet("during")).await, 503);
    assert!(!queue.is_ready().await);
    go_on.send_replace(true);
    tokio::time::sleep(Duration::from_secs(1)).await;
    tokio::task::block_in_place(|| server.run());
    let since = Instant::now();
    while send(&queue, &tweet("after")).await != 202 {
        assert!(since.elapsed() < EVENTUALLY);
    }
    assert_eq!(working.next().await, "after");
    let done = until_all_are(&queue, JobState::Done).await;
    assert_eq!((done.len(), done[0].failed, done[0].lost), (2, 0, 0));
    assert!(working.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_opens_while_its_database_is_down() {
    let folder = Folder::new();
    let url = format!("sqlite:{}/not/there/queue.db", folder.path().display());
    let queue = Queue::open(&url).await.unwrap();
    assert_eq!(send(&queue, &tweet("one")).await, 503);
    let error = queue.ready().await.unwrap_err().to_string();
    assert!(error.contains("not/there/queue.db") && error.contains("folder"), "{error}");
    let mut working = Working::start(&queue, |worker| worker, |_| async { Ok(()) });
    std::fs::create_dir_all(folder.path().join("not/there")).unwrap();
    assert_eq!(send(&queue, &tweet("two")).await, 202);
    assert_eq!(working.next().await, "two");
    assert!(working.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_at_the_start_is_used_once_it_is_up() {
    let Some(mut server) = tokio::task::block_in_place(|| Postgres::stopped(&[])) else { return };
    let queue = Queue::open(&server.url()).await.unwrap();
    assert_eq!(send(&queue, &tweet("one")).await, 503);
    let error = queue.ready().await.unwrap_err().to_string();
    assert!(error.contains("postgres at 127.0.0.1"), "{error}");
    assert!(!error.contains(support::servers::postgres::PASSWORD), "{error}");
    tokio::task::block_in_place(|| server.run());
    let since = Instant::now();
    while send(&queue, &tweet("two")).await != 202 {
        assert!(since.elapsed() < EVENTUALLY);
    }
}
