//! Tests which data is stored, and for how long.

use super::*;

const CANARY: &str = "canary_c0ffee_4711";

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Whether the database file, its log, or another file of that folder contains the text.
fn files_hold(place: &Place, text: &str) -> bool {
    let files = std::fs::read_dir(place.folder.path()).unwrap();
    files
        .filter_map(|file| std::fs::read(file.unwrap().path()).ok())
        .any(|bytes| holds(&bytes, text))
}

fn long_tweet() -> SignedRequest {
    // Longer than one page of the database.
    tweet(&format!("{CANARY} {}", "x".repeat(20_000)))
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_files_contain_no_body_of_a_job_that_succeeded() {
    let place = Place::sqlite();
    let queue = place.queue().await;
    assert_eq!(send(&queue, &long_tweet()).await, 202);
    assert!(files_hold(&place, CANARY), "it is stored");
    let mut working = Working::start(&queue, |worker| worker, |_| async { Ok(()) });
    working.next().await;
    until_all_are(&queue, JobState::Done).await;
    // The worker neither stops nor has more to do.
    let since = Instant::now();
    while files_hold(&place, CANARY) {
        assert!(since.elapsed() < EVENTUALLY, "the body is still in a file");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(working.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_files_contain_no_body_of_a_dropped_job() {
    let place = Place::sqlite();
    let queue = place.queue().await;
    assert_eq!(send(&queue, &long_tweet()).await, 202);
    let id = queue.list(None, 0, 1).await.unwrap()[0].id;
    assert!(queue.drop(id).await.unwrap());
    assert!(!files_hold(&place, CANARY));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_contains_no_body_of_a_job_that_succeeded() {
    let Some(place) = Place::postgres().await else { return };
    let queue = place.queue().await;
    assert_eq!(send(&queue, &long_tweet()).await, 202);
    let find = format!(
        "SELECT 1 / (CASE WHEN EXISTS (SELECT 1 FROM scrapest_webhook_jobs AS j
            WHERE position('{CANARY}'::bytea IN COALESCE(body, ''::bytea)) > 0
            OR to_jsonb(j)::text LIKE '%{CANARY}%') THEN 1 ELSE 0 END)"
    );
    place.sql(&find).await;
    let mut working = Working::start(&queue, |worker| worker, |_| async { Ok(()) });
    working.next().await;
    until_all_are(&queue, JobState::Done).await;
    let gone = find.replace("THEN 1 ELSE 0", "THEN 0 ELSE 1");
    place.sql(&gone).await;
    assert!(working.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_body_is_kept_for_its_retention() {
    let place = Place::sqlite();
    let queue = place.queue().await;
    push(&queue, "kept").await;
    let hour = Duration::from_secs(3_600);
    let set = move |worker: Worker| worker.with_kept_bodies(hour);
    let mut working = Working::start(&queue, set, |_| async { Ok(()) });
    working.next().await;
    let done = until_all_are(&queue, JobState::Done).await;
    assert!(done[0].body_bytes.is_some());
    assert!(working.stop().await);
    // As if two hours had passed.
    place.sql("UPDATE scrapest_webhook_jobs SET settled_at = settled_at - 7200000").await;
    let working = Working::start(&queue, set, |_| async { Ok(()) });
    until(&queue, |jobs| jobs[0].body_bytes.is_none()).await;
    assert!(working.stop().await);
}

pub(crate) async fn a_key_is_forgotten_after_the_retention(place: Place) {
    let queue = place.queue().await;
    for text in ["done", "dead"] {
        push(&queue, text).await;
    }
    let act = |job: Job| async move {
        match text_of(&job).as_str() {
            "dead" => Err(scrapest_webhook::queue::JobError::dead("of no use")),
            _ => Ok(()),
        }
    };
    let working = Working::start(&queue, |worker| worker, act);
    until(&queue, |jobs| jobs.iter().all(|job| job.settled_at.is_some())).await;
    assert!(working.stop().await);
    // As if two days had passed: the completed job is deleted, and the dead one stays.
    place.sql("UPDATE scrapest_webhook_jobs SET settled_at = settled_at - 172800000").await;
    let working = Working::start(&queue, |worker| worker, act);
    let left = until(&queue, |jobs| jobs.len() == 1).await;
    assert_eq!(left[0].state, JobState::Dead);
    assert!(working.stop().await);
}
