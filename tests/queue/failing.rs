//! Failures are retried, and jobs that cannot succeed become dead.

use scrapest_webhook::queue::JobError;
use scrapest_webhook::{scrapebadger, scrapest};

use super::*;

pub(crate) async fn a_backoff_outlives_the_worker(place: Place) {
    let queue = place.queue().await;
    push(&queue, "later").await;
    let hour = Backoff::new(Duration::from_secs(3_600), Duration::from_secs(3_600));
    let set = move |worker: Worker| worker.with_backoff(hour);
    let act = |job: Job| async move {
        match text_of(&job).as_str() {
            "later" => Err(JobError::new("not yet")),
            _ => Ok(()),
        }
    };
    let mut working = Working::start(&queue, set, act);
    assert_eq!(working.next().await, "later");
    let jobs = until(&queue, |jobs| jobs[0].failed == 1).await;
    let waits = jobs[0].run_at.unwrap() - jobs[0].stored_at.unwrap();
    assert!((2_600.0..4_700.0).contains(&waits.as_seconds_f64()), "{waits}");
    // A stop does not wait for the retry.
    assert!(working.stop().await);

    let queue = place.queue().await;
    let mut working = Working::start(&queue, |worker| worker, act);
    push(&queue, "now").await;
    assert_eq!(working.next().await, "now");
    until(&queue, |jobs| jobs[1].state == JobState::Done).await;
    assert_eq!(queue.list(None, 0, 1).await.unwrap(), jobs);
    assert!(working.stop().await);
}

pub(crate) async fn a_job_is_dead_after_its_last_attempt_and_can_be_retried_by_hand(place: Place) {
    let queue = place.queue().await;
    push(&queue, "hopeless").await;
    let attempts = Arc::new(AtomicUsize::new(0));
    let act = {
        let attempts = Arc::clone(&attempts);
        move |job: Job| {
            let before = attempts.fetch_add(1, Ordering::SeqCst) as u32;
            async move {
                match before {
                    0..3 => {
                        assert_eq!(job.attempt(), before + 1);
                        Err(JobError::new("the mailer\nis down"))
                    }
                    _ => {
                        assert_eq!(job.attempt(), 1, "retried by hand, it begins anew");
                        Ok(())
                    }
                }
            }
        }
    };
    let working = Working::start(&queue, |worker| worker.with_max_attempts(3), act);
    let dead = until_all_are(&queue, JobState::Dead).await;
    assert_eq!((dead[0].failed, attempts.load(Ordering::SeqCst)), (3, 3));
    assert_eq!(dead[0].reason.as_deref(), Some("the mailer\\nis down"));
    assert!(dead[0].body_bytes.is_some() && dead[0].settled_at.is_some());

    assert!(queue.retry(dead[0].id).await.unwrap());
    let done = until_all_are(&queue, JobState::Done).await;
    assert_eq!((done[0].reason.as_deref(), done[0].body_bytes), (None, None));
    assert!(!queue.retry(done[0].id).await.unwrap(), "its body is gone");
    assert!(working.stop().await);
}

pub(crate) async fn a_known_kind_with_a_broken_payload_is_dead_at_once(place: Place) {
    let queue = place.queue().await;
    let body = format!(r#"{{"event": "tweet.created", "timestamp": {}, "data": {{}}}}"#, now());
    assert_eq!(send(&queue, &request(&body)).await, 202);
    let working = Working::start(
        &queue,
        |worker| worker,
        |job: Job| async move {
            job.event::<scrapest::Event>()?;
            Ok(())
        },
    );
    let dead = until_all_are(&queue, JobState::Dead).await;
    assert_eq!((dead[0].failed, dead[0].reason.as_deref()), (1, Some("data.id: missing field")));
    assert_eq!(dead[0].body_bytes, Some(body.len() as u64));
    assert!(working.stop().await);
}

pub(crate) async fn a_job_of_another_sender_is_dead_and_kept(place: Place) {
    let queue = place.queue().await;
    push(&queue, "scrapest's").await;
    let working = Working::start(
        &queue,
        |worker| worker,
        |job: Job| async move {
            job.event::<scrapebadger::Event>()?;
            Ok(())
        },
    );
    let dead = until_all_are(&queue, JobState::Dead).await;
    let reason = dead[0].reason.as_deref().unwrap();
    assert!(reason.contains("scrapest") && reason.contains("scrapebadger"), "{reason}");
    assert!(dead[0].body_bytes.is_some());
    assert!(working.stop().await);
}

pub(crate) async fn a_panic_is_a_failure(place: Place) {
    let queue = place.queue().await;
    push(&queue, "panics").await;
    let working = Working::start(
        &queue,
        |worker| worker,
        |job: Job| {
            // The job panics in the call, and later in the future.
            assert!(job.attempt() != 1, "in the call");
            async move {
                assert!(job.attempt() != 2, "in the {}", "future");
                Err(JobError::new("and once more"))
            }
        },
    );
    let seen = until(&queue, |jobs| jobs[0].failed >= 3).await;
    assert_eq!((seen[0].lost, seen[0].reason.as_deref()), (0, Some("and once more")));
    assert!(working.stop().await);

    push(&queue, "dies of it").await;
    let working = Working::start(
        &queue,
        |worker| worker.with_max_attempts(1),
        |_: Job| async { panic!("in the future") },
    );
    let dead = until(&queue, |jobs| jobs[1].state == JobState::Dead).await;
    assert_eq!(dead[1].reason.as_deref(), Some("the handler panicked: in the future"));
    assert!(working.stop().await);
}

pub(crate) async fn a_run_that_hangs_is_ended_at_its_limit(place: Place) {
    let queue = place.queue().await;
    push(&queue, "hangs").await;
    let set =
        |worker: Worker| worker.with_run_limit(Duration::from_millis(100)).with_max_attempts(2);
    let dropped = Arc::new(AtomicUsize::new(0));
    let act = {
        let dropped = Arc::clone(&dropped);
        move |_| {
            let guard = CountDrop(Arc::clone(&dropped));
            async move {
                let _guard = guard;
                std::future::pending::<()>().await;
                Ok(())
            }
        }
    };
    let working = Working::start(&queue, set, act);
    let dead = until_all_are(&queue, JobState::Dead).await;
    assert_eq!((dead[0].failed, dead[0].lost), (2, 0));
    assert!(dead[0].reason.as_deref().unwrap().contains("limit of 100ms"), "{dead:?}");
    assert_eq!(dropped.load(Ordering::SeqCst), 2, "what it holds is given back");
    assert!(working.stop().await);
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) async fn a_dropped_job_does_not_come_back(place: Place) {
    let queue = place.queue().await;
    let request = tweet("dropped");
    assert_eq!(send(&queue, &request).await, 202);
    let id = queue.list(None, 0, 1).await.unwrap()[0].id;
    assert!(queue.drop(id).await.unwrap());
    assert_eq!(send(&queue, &request).await, 202);
    let jobs = queue.list(None, 0, 10).await.unwrap();
    assert_eq!((jobs.len(), jobs[0].state, jobs[0].body_bytes), (1, JobState::Done, None));
    assert_eq!(jobs[0].reason.as_deref(), Some("dropped by hand"));
}
