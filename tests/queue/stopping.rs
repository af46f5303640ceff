//! Stops in every phase.

use super::*;

pub(crate) async fn a_stop_waits_for_running_jobs_and_starts_none(place: Place) {
    let queue = place.queue().await;
    push(&queue, "first").await;
    push(&queue, "second").await;
    let (go_on, may_end) = tokio::sync::watch::channel(false);
    let act = move |_| {
        let mut may_end = may_end.clone();
        async move {
            may_end.wait_for(|may| *may).await?;
            Ok(())
        }
    };
    let mut working = Working::start(&queue, |worker| worker.with_concurrency(1), act);
    assert_eq!(working.next().await, "first");
    _ = working.stop.take().unwrap().send(());
    // It has seen the stop by now, or sees it when the run has ended. In both cases no new run starts.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!working.task.is_finished());
    go_on.send_replace(true);
    assert!(tokio::time::timeout(EVENTUALLY, working.task).await.unwrap().unwrap());
    let jobs = queue.list(None, 0, 10).await.unwrap();
    let found: Vec<_> = jobs.iter().map(|job| (job.state, job.failed, job.lost)).collect();
    assert_eq!(found, [(JobState::Done, 0, 0), (JobState::Waiting, 0, 0)]);
}

pub(crate) async fn jobs_that_outlast_the_grace_are_released_and_not_counted(place: Place) {
    let queue = place.queue().await;
    push(&queue, "slow").await;
    let set = |worker: Worker| worker.with_grace(Duration::from_millis(50));
    let mut working = Working::start(&queue, set, |_| async { std::future::pending().await });
    assert_eq!(working.next().await, "slow");
    assert!(!working.stop().await);
    let jobs = queue.list(None, 0, 10).await.unwrap();
    assert_eq!((jobs[0].state, jobs[0].failed, jobs[0].lost), (JobState::Waiting, 0, 0));
    // The job is due at once, and this is the first attempt that counts.
    let (told, mut attempts) = mpsc::unbounded_channel();
    let working = Working::start(
        &queue,
        |worker| worker,
        move |job: Job| {
            told.send((job.attempt(), job.fence().get())).unwrap();
            async { Ok(()) }
        },
    );
    let attempt = tokio::time::timeout(EVENTUALLY, attempts.recv()).await.unwrap();
    assert_eq!(attempt, Some((1, 2)));
    until_all_are(&queue, JobState::Done).await;
    assert!(working.stop().await);
}

pub(crate) async fn a_stop_ends_an_idle_worker_and_one_in_backoff(place: Place) {
    let queue = place.queue().await;
    let hour = Duration::from_secs(3_600);
    let idle =
        Working::start(&queue, |worker| worker.with_poll_interval(hour), |_| async { Ok(()) });
    assert!(idle.stop().await);
    push(&queue, "fails").await;
    let set = move |worker: Worker| worker.with_backoff(Backoff::new(hour, hour));
    let waiting = Working::start(&queue, set, |_| async {
        Err(scrapest_webhook::queue::JobError::new("not now"))
    });
    until(&queue, |jobs| jobs[0].failed == 1).await;
    assert!(waiting.stop().await);
}

pub(crate) async fn the_next_worker_takes_over_jobs_of_a_dropped_one(place: Place) {
    let queue = place.queue().await;
    push(&queue, "orphan").await;
    let set = |worker: Worker| worker.with_lease(Duration::from_millis(500));
    let mut working = Working::start(&queue, set, |_| async { std::future::pending().await });
    assert_eq!(working.next().await, "orphan");
    working.task.abort();
    let mut next = Working::start(&place.queue().await, |worker| worker, |_| async { Ok(()) });
    assert_eq!(next.next().await, "orphan");
    let jobs = until_all_are(&queue, JobState::Done).await;
    assert_eq!((jobs[0].failed, jobs[0].lost), (0, 1));
    assert!(next.stop().await);
}
