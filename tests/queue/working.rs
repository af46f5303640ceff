//! Jobs run soon, in order, within the concurrency limit, and each by one worker.

use std::collections::HashSet;

use super::*;

pub(crate) async fn a_push_wakes_an_idle_worker_of_the_same_queue(place: Place) {
    let queue = place.queue().await;
    // Longer than the test may take, so that only the push can wake it.
    let hour = Duration::from_secs(3_600);
    let mut working =
        Working::start(&queue, |worker| worker.with_poll_interval(hour), |_| async { Ok(()) });
    for text in ["one", "two", "three"] {
        push(&queue, text).await;
        assert_eq!(working.next().await, text);
        until_all_are(&queue, JobState::Done).await;
    }
    assert!(working.stop().await);
}

pub(crate) async fn a_worker_of_another_process_finds_the_job(place: Place) {
    let (receiver, worker) = (place.queue().await, place.queue().await);
    let mut working = Working::start(&worker, |worker| worker, |_| async { Ok(()) });
    push(&receiver, "far").await;
    assert_eq!(working.next().await, "far");
    until_all_are(&receiver, JobState::Done).await;
    assert!(working.stop().await);
}

pub(crate) async fn the_longest_due_jobs_run_first_within_the_concurrency(place: Place) {
    let queue = place.queue().await;
    let texts: Vec<_> = (0..30).map(|number| format!("{number:02}")).collect();
    for text in &texts {
        push(&queue, text).await;
    }
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let act = {
        let most = Arc::clone(&most);
        move |_| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        }
    };
    let mut working = Working::start(&queue, |worker| worker.with_concurrency(3), act);
    let mut ran = Vec::new();
    while ran.len() < texts.len() {
        ran.push(working.next().await);
    }
    // Three concurrent jobs start in any order, but no job starts before one that was pushed more than two
    // earlier.
    for (place, text) in ran.iter().enumerate() {
        assert!(text.parse::<usize>().unwrap().abs_diff(place) <= 2, "{ran:?}");
    }
    until_all_are(&queue, JobState::Done).await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert!(working.stop().await);
}

pub(crate) async fn workers_share_jobs_without_running_any_twice(place: Place) {
    let queues = [place.queue().await, place.queue().await, place.queue().await];
    let (told, mut ran) = mpsc::unbounded_channel();
    let mut working = Vec::new();
    for queue in &queues {
        let told = told.clone();
        working.push(Working::start(
            queue,
            |worker| worker,
            move |job| {
                told.send(text_of(&job)).unwrap();
                async { Ok(()) }
            },
        ));
    }
    for number in 0..100 {
        push(&queues[0], &number.to_string()).await;
    }
    let jobs = until_all_are(&queues[0], JobState::Done).await;
    assert_eq!(jobs.len(), 100);
    for worker in working {
        assert!(worker.stop().await);
    }
    let (mut texts, mut runs) = (HashSet::new(), 0);
    while let Ok(text) = ran.try_recv() {
        runs += 1;
        texts.insert(text);
    }
    // Only a machine that stalls for longer than a lease may make a job run twice, and such runs are counted.
    let lost: u32 = jobs.iter().map(|job| job.lost).sum();
    assert_eq!((texts.len(), runs), (100, 100 + lost as usize));
}

pub(crate) async fn a_long_run_keeps_its_lease(place: Place) {
    let queue = place.queue().await;
    let lease = Duration::from_secs(5);
    push(&queue, "long").await;
    let act = move |_| async move {
        tokio::time::sleep(lease * 3 / 2).await;
        Ok(())
    };
    let set = move |worker: Worker| worker.with_lease(lease);
    let mut working = Working::start(&queue, set, act);
    assert_eq!(working.next().await, "long");
    // The second worker would take over any job without a lease.
    let second = Working::start(&place.queue().await, set, act);
    let jobs = until_all_are(&queue, JobState::Done).await;
    assert_eq!((jobs[0].lost, jobs[0].failed), (0, 0));
    assert!(working.stop().await && second.stop().await);
}

pub(crate) async fn depth_and_list_report_the_stored_jobs(place: Place) {
    let queue = place.queue().await;
    assert_eq!(queue.depth().await.unwrap(), Depth::default());
    for text in ["dies", "runs", "waits"] {
        push(&queue, text).await;
    }
    let act = |job: Job| async move {
        match text_of(&job).as_str() {
            "dies" => Err(scrapest_webhook::queue::JobError::dead("of no use")),
            _ => std::future::pending().await,
        }
    };
    let mut working = Working::start(&queue, |worker| worker.with_concurrency(1), act);
    assert_eq!(working.next().await, "dies");
    assert_eq!(working.next().await, "runs");
    let jobs = queue.list(None, 0, 10).await.unwrap();
    let states: Vec<_> = jobs.iter().map(|job| job.state).collect();
    assert_eq!(states, [JobState::Dead, JobState::Running, JobState::Waiting]);
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.running, depth.dead), (1, 1, 1));
    assert!(depth.oldest.is_some());
    assert_eq!(queue.dead().await.unwrap(), jobs[..1]);
    assert_eq!(jobs[0].reason.as_deref(), Some("of no use"));
    assert_eq!(queue.list(None, jobs[0].id, 1).await.unwrap(), jobs[1..2]);
    // Running and missing jobs can be neither retried nor dropped.
    for id in [jobs[1].id, 4_711] {
        assert!(!queue.retry(id).await.unwrap() && !queue.drop(id).await.unwrap());
    }
    working.task.abort();
}

pub(crate) async fn a_clock_jump_may_repeat_a_run_but_loses_none(place: Place) {
    let queue = place.queue().await;
    push(&queue, "running").await;
    let (go_on, may_end) = tokio::sync::watch::channel(false);
    let act = move |_| {
        let mut may_end = may_end.clone();
        async move {
            may_end.wait_for(|may| *may).await?;
            Ok(())
        }
    };
    // No renewal during the test.
    let hour = Duration::from_secs(3_600);
    let mut first = Working::start(&queue, move |worker| worker.with_lease(hour), act.clone());
    assert_eq!(first.next().await, "running");
    // For a stored time, a clock that is two hours ahead has the same effect as a time that is two hours
    // earlier.
    place.sql("UPDATE scrapest_webhook_jobs SET run_at = run_at - 7200000").await;
    let mut second = Working::start(&place.queue().await, |worker| worker, act);
    assert_eq!(second.next().await, "running");
    go_on.send_replace(true);
    let done = until_all_are(&queue, JobState::Done).await;
    assert_eq!((done[0].lost, done[0].failed), (1, 0));
    assert!(first.stop().await && second.stop().await);
}

pub(crate) async fn an_outage_of_the_service_drains_within_the_concurrency(place: Place) {
    let queue = place.queue().await;
    for number in 0..40 {
        push(&queue, &number.to_string()).await;
    }
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (comes_back, is_up) = tokio::sync::watch::channel(false);
    let act = {
        let most = Arc::clone(&most);
        move |_| {
            let (running, most, is_up) = (Arc::clone(&running), Arc::clone(&most), is_up.clone());
            async move {
                if !*is_up.borrow() {
                    return Err(scrapest_webhook::queue::JobError::new("the service is down"));
                }
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        }
    };
    // A wait of an hour is a tenth of a second here, so that this represents a day.
    let set = |worker: Worker| worker.with_concurrency(4).with_max_attempts(1_000);
    let working = Working::start(&queue, set, act);
    until(&queue, |jobs| jobs.iter().all(|job| job.failed >= 12)).await;
    comes_back.send_replace(true);
    until_all_are(&queue, JobState::Done).await;
    assert!((1..=4).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    assert!(working.stop().await);
}
