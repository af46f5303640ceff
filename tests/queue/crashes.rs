//! Workers in separate processes that are killed, or that a job aborts.

use std::process::{Child, Command, Stdio};

use super::*;

const LEASE: Duration = Duration::from_secs(2);
const MOST_LOST: u32 = 3;

/// Works until the process is killed if the environment says so, and otherwise does nothing.
pub(crate) async fn work_if_told() {
    let Ok(url) = std::env::var("WORKER_QUEUE") else { return };
    let queue = Queue::open(&url).await.unwrap();
    let worker = queue.work(|job: Job| async move {
        if text_of(&job) == "aborts" {
            // After the others have started.
            tokio::time::sleep(Duration::from_millis(200)).await;
            std::process::abort();
        }
        // Long enough to be running when the process aborts the first time.
        tokio::time::sleep(Duration::from_millis(400)).await;
        Ok(())
    });
    worker.with_lease(LEASE).with_max_lost_runs(MOST_LOST).await;
}

struct Process(Child);

impl Process {
    fn start(url: &str) -> Self {
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["worker_process_for_other_tests", "--exact", "--nocapture"])
            .env("WORKER_QUEUE", url)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(process.unwrap())
    }

    fn has_died(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

pub(crate) async fn an_aborting_job_becomes_dead_and_four_others_succeed_with_one_worker(
    place: Place,
) {
    abort_beside_four(&place, 1).await;
}

pub(crate) async fn an_aborting_job_becomes_dead_and_four_others_succeed_with_three_workers(
    place: Place,
) {
    abort_beside_four(&place, 3).await;
}

async fn abort_beside_four(place: &Place, workers: usize) {
    let queue = place.queue().await;
    for text in ["one", "two", "aborts", "three", "four"] {
        push(&queue, text).await;
    }
    let mut processes: Vec<_> = (0..workers).map(|_| Process::start(&place.url)).collect();
    let (since, mut deaths) = (Instant::now(), 0);
    let jobs = loop {
        for process in &mut processes {
            if process.has_died() {
                deaths += 1;
                *process = Process::start(&place.url);
            }
        }
        let jobs = queue.list(None, 0, 10).await.unwrap();
        if jobs.iter().all(|job| job.settled_at.is_some()) {
            break jobs;
        }
        assert!(since.elapsed() < 2 * EVENTUALLY, "{deaths} processes died: {jobs:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let (dead, done): (Vec<_>, Vec<_>) =
        jobs.into_iter().partition(|job| job.state == JobState::Dead);
    assert_eq!((dead.len(), done.len()), (1, 4), "{dead:?} {done:?}");
    assert_eq!((dead[0].lost, dead[0].failed), (MOST_LOST, 0));
    assert_eq!(deaths, MOST_LOST);
    // Each other job was lost at most once, with the process that died while they ran together.
    assert!(done.iter().all(|job| job.state == JobState::Done && job.lost <= 1), "{done:?}");
    assert!(dead[0].reason.as_deref().unwrap().contains("3 runs were lost"), "{dead:?}");
    assert!(dead[0].body_bytes.is_some());
}
