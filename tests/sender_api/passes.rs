//! `reconcile` as a process: missed deliveries reach the service once, also when the receiver and the pass are
//! killed.

use std::collections::HashMap;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;

use crate::mock::Mock;
use crate::process::{command, run};

/// A service in any language that stores each effect under its `Idempotency-Key`.
#[derive(Clone, Default)]
pub struct Service {
    /// The keys of each tweet's posts.
    posts: Arc<Mutex<HashMap<String, Vec<String>>>>,
    reconciled: Arc<Mutex<usize>>,
}

impl Service {
    pub async fn start(&self) -> String {
        let service = self.clone();
        let handler = move |headers: HeaderMap, body: Bytes| async move {
            let body: Value = serde_json::from_slice(&body).unwrap();
            let tweet = body["tweet"]["id"].as_str().unwrap().to_owned();
            let key = headers["idempotency-key"].to_str().unwrap().to_owned();
            if headers.get("webhook-origin").is_some_and(|origin| origin == "reconciled") {
                *service.reconciled.lock().unwrap() += 1;
            }
            service.posts.lock().unwrap().entry(tweet).or_default().push(key);
            StatusCode::NO_CONTENT
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/events", listener.local_addr().unwrap());
        tokio::spawn(async move {
            axum::serve(listener, Router::new().route("/events", post(handler))).await
        });
        url
    }

    pub fn handled(&self) -> usize {
        self.posts.lock().unwrap().len()
    }

    pub async fn until_handled(&self, count: usize) {
        let reached = async {
            while self.handled() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(600), reached).await.expect("no progress");
    }

    /// Asserts that every tweet was handled, and under one key each, so that an interrupted post has one effect too.
    pub fn assert_once_each(&self, tweets: usize, interrupted: usize) {
        let posts = self.posts.lock().unwrap();
        assert_eq!(posts.len(), tweets);
        for (tweet, keys) in &*posts {
            assert!(
                keys.iter().all(|key| *key == keys[0]),
                "{tweet} was posted under several keys"
            );
        }
        let repeated: usize = posts.values().map(|keys| keys.len() - 1).sum();
        println!("{tweets} tweets, each under one key; {repeated} posts repeated by kills");
        assert!(repeated <= interrupted, "{repeated} repeated, {interrupted} interrupted");
    }
}

/// The number of tweets: `few` by default, and more for the full proof, with `RECONCILE_TWEETS=10000`.
pub fn tweets(few: usize) -> usize {
    std::env::var("RECONCILE_TWEETS").map_or(few, |number| number.parse().unwrap())
}

/// The arguments of a pass over this store, for this service.
pub fn pass<'a>(store: &'a str, url: &'a str) -> Vec<&'a str> {
    let what = ["reconcile", "--sender", "scrapebadger", "--monitor", "mon-1"];
    let places = ["--store", store, "--forward", url, "--max-calls", "100000"];
    [&what[..], &places, &["--lease", "1s", "--answer-within", "60s"]].concat()
}

fn start(mock: &Mock, words: &[&str]) -> Child {
    command(mock, words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

pub fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_is_killed_restarts_and_handles_every_tweet_once() {
    let tweets = tweets(400);
    let (mock, service, folder) =
        (Mock::start().await, Service::default(), tempfile::tempdir().unwrap());
    for number in 0..tweets {
        mock.site().add_tweet("mon-1", &number.to_string(), 1_000, "webhook_failed");
    }
    let url = service.start().await;
    let store = format!("sqlite:{}", folder.path().join("deliveries.db").display());
    let words = pass(&store, &url);
    for killed_after in [tweets / 8, tweets / 3, tweets * 3 / 4] {
        let running = start(&mock, &words);
        service.until_handled(killed_after).await;
        kill(running);
    }
    let (code, out, err) = run(&mock, &words).await;
    assert_eq!(code, Some(1), "{out}{err}");
    service.assert_once_each(tweets, 3);
    let (code, out, _) = run(&mock, &words).await;
    assert_eq!(code, Some(0), "{out}");
    assert!(out.starts_with(&format!("{tweets} in the log: {tweets} known, 0 missing")), "{out}");
    assert!(*service.reconciled.lock().unwrap() >= tweets);
    mock.assert_as_published();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_missed_tweet_becomes_one_job_even_if_the_store_forgets_it() {
    let (mock, folder) = (Mock::start().await, tempfile::tempdir().unwrap());
    for number in 0..20 {
        mock.site().add_tweet("mon-1", &number.to_string(), 1_000, "webhook_failed");
    }
    let file = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let (store, forgetful, queue) = (file("store.db"), file("another.db"), file("queue.db"));
    let what = ["reconcile", "--sender", "scrapebadger", "--monitor", "mon-1", "--queue", &queue];
    let (code, out, err) =
        run(&mock, &[&what[..], &["--store", &store, "--dry-run"]].concat()).await;
    assert_eq!(code, Some(1), "{out}{err}");
    let jobs = async || {
        scrapest_webhook::queue::Queue::open(&queue).await.unwrap().list(None, 0, 100).await
    };
    assert_eq!(jobs().await.unwrap().len(), 0, "a dry run stores nothing");
    for (store, status) in [(&store, 1), (&store, 0), (&forgetful, 1)] {
        let (code, out, err) = run(&mock, &[&what[..], &["--store", store]].concat()).await;
        assert_eq!(code, Some(status), "{out}{err}");
        let jobs = jobs().await.unwrap();
        assert_eq!(jobs.len(), 20, "one job each");
        assert!(jobs.iter().all(|job| job.sender == "scrapebadger"));
    }
    let both = [&what[..], &["--store", &store, "--forward", "http://127.0.0.1:1/"]].concat();
    let (code, _, err) = run(&mock, &both).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("--forward") && err.contains("--queue"), "{err}");
    mock.assert_as_published();
}
