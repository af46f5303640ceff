//! Rows and tables of another version.

use super::*;

pub(crate) async fn a_row_of_a_newer_version_is_left_unchanged(place: Place) {
    let queue = place.queue().await;
    let newer = tweet("newer");
    assert_eq!(send(&queue, &newer).await, 202);
    place.sql("UPDATE scrapest_webhook_jobs SET version = 2").await;
    push(&queue, "ours").await;
    let mut working = Working::start(
        &queue,
        |worker| worker.with_retention(Duration::ZERO),
        |_| async { Ok(()) },
    );
    assert_eq!(working.next().await, "ours");
    until(&queue, |jobs| jobs.len() == 1).await;
    assert_eq!(send(&queue, &newer).await, 202, "it is a job already");
    let jobs = queue.list(None, 0, 10).await.unwrap();
    let [job] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!(job.state, JobState::Unreadable);
    assert!(job.body_bytes.is_some());
    assert!(!queue.retry(job.id).await.unwrap() && !queue.drop(job.id).await.unwrap());
    assert!(working.stop().await);
}

pub(crate) async fn a_table_with_another_schema_is_reported(place: Place) {
    place.queue().await;
    place.sql("ALTER TABLE scrapest_webhook_jobs RENAME COLUMN body TO payload").await;
    let queue = place.queue().await;
    assert_eq!(send(&queue, &tweet("one")).await, 503);
    assert!(!queue.is_ready().await);
    let error = queue.depth().await.map(drop).or(queue.ready().await).err();
    let listed = queue.list(None, 0, 1).await.unwrap_err().to_string();
    assert!(listed.contains("another version"), "{listed} {error:?}");
    // Once the table is repaired, the queue works again.
    place.sql("ALTER TABLE scrapest_webhook_jobs RENAME COLUMN payload TO body").await;
    assert_eq!(send(&queue, &tweet("two")).await, 202);
}
