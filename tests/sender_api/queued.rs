//! `reconcile --queue` when the pass is killed, and when the queue cannot store.

use std::collections::BTreeSet;
use std::time::Duration;

use scrapest_webhook::queue::{Job, JobState, Queue};
use serde_json::Value;

use crate::mock::Mock;
use crate::process::{Running, run};

const TWEETS: usize = 250;

struct Place {
    mock: Mock,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let mock = Mock::start().await;
        for number in 0..TWEETS {
            mock.site().add_tweet("mon-1", &number.to_string(), 1_000, "webhook_failed");
        }
        Self { mock, folder: tempfile::tempdir().unwrap() }
    }

    fn url(&self, name: &str) -> String {
        format!("sqlite:{}", self.folder.path().join(name).display())
    }

    fn words(&self) -> Vec<String> {
        let (store, queue) = (self.url("deliveries.db"), self.url("queue.db"));
        let words =
            ["reconcile", "--sender", "scrapebadger", "--monitor", "mon-1", "--lease", "1s"];
        let places = ["--answer-within", "60s", "--store", &store, "--queue", &queue];
        words.into_iter().chain(places).map(str::to_owned).collect()
    }

    async fn pass(&self) -> (Option<i32>, String, String) {
        let words = self.words();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        run(&self.mock, &words).await
    }

    async fn queue(&self) -> Queue {
        Queue::open(&self.url("queue.db")).await.unwrap()
    }
}

/// Asserts that each tweet is one waiting job.
async fn assert_a_job_each(queue: &Queue) {
    let jobs = queue.list(None, 0, 1_000).await.unwrap();
    assert_eq!(jobs.len(), TWEETS);
    let mut tweets = BTreeSet::new();
    for job in &jobs {
        assert_eq!((job.state, &*job.sender), (JobState::Waiting, "scrapebadger"));
        let body: Value =
            serde_json::from_slice(&queue.body(job.id).await.unwrap().unwrap()).unwrap();
        tweets.insert(body["tweet"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(tweets.len(), TWEETS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_pass_into_a_queue_restarts_and_queues_each_tweet_once() {
    let place = Place::new().await;
    let queue = place.queue().await;
    for killed_at in [40, 120] {
        let words = place.words();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let running = Running::start(&place.mock, &words);
        let reached = async {
            while queue.depth().await.unwrap().waiting < killed_at {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), reached).await.expect("no progress");
        running.kill();
    }
    let (code, out, err) = place.pass().await;
    assert_eq!(code, Some(1), "{out}{err}");
    assert_a_job_each(&queue).await;
    // The job says that it was reconciled, and has a content type although no request brought one.
    let (told, mut learned) = tokio::sync::mpsc::unbounded_channel();
    let worker = queue.work(move |job: Job| {
        told.send((job.is_reconciled(), job.content_type().map(str::to_owned))).unwrap();
        async { Ok(()) }
    });
    let worker = tokio::spawn(worker.check().unwrap());
    let first = tokio::time::timeout(Duration::from_secs(120), learned.recv()).await.unwrap();
    assert_eq!(first, Some((true, Some("application/json".to_owned()))));
    worker.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tweet_that_the_queue_cannot_store_is_retried_by_the_next_pass() {
    let place = Place::new().await;
    place.mock.site().log.truncate(1);
    // A folder in the place of the database.
    std::fs::create_dir(place.folder.path().join("queue.db")).unwrap();
    let (code, out, err) = place.pass().await;
    assert_eq!(code, Some(3), "{out}{err}");
    assert!(out.contains("1 left"), "{out}");
    std::fs::remove_dir(place.folder.path().join("queue.db")).unwrap();
    let (code, out, err) = place.pass().await;
    assert_eq!(code, Some(1), "{out}{err}");
}
