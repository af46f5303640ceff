//! `reconcile` as a process: what the receiver missed reaches the service once, also when receiver and pass are killed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};

use crate::mock::Mock;
use crate::process::{command, run};

const SECRET: &str = "whsec_0123456789abcdef01234567";

/// A service in any language: it files each effect under its `Idempotency-Key`.
#[derive(Clone, Default)]
struct Service {
    /// How often each tweet was posted, and under which key.
    posts: Arc<Mutex<HashMap<String, Vec<String>>>>,
    reconciled: Arc<Mutex<usize>>,
}

impl Service {
    async fn start(&self) -> String {
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

    fn handled(&self) -> usize {
        self.posts.lock().unwrap().len()
    }

    async fn until_handled(&self, count: usize) {
        let reached = async {
            while self.handled() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), reached).await.expect("no progress");
    }

    /// Every tweet was handled, under one key each; a kill may have repeated the one that it interrupted.
    fn assert_once_each(&self, tweets: usize, kills: usize) {
        let posts = self.posts.lock().unwrap();
        assert_eq!(posts.len(), tweets);
        for (tweet, keys) in &*posts {
            assert!(keys.iter().all(|key| *key == keys[0]), "{tweet} came under several keys");
        }
        let repeated: usize = posts.values().map(|keys| keys.len() - 1).sum();
        assert!(repeated <= kills, "{repeated} repeated by {kills} kills");
    }
}

/// How many tweets there are: few in each run of the tests, `RECONCILE_TWEETS=10000` for the proof.
fn tweets(few: usize) -> usize {
    std::env::var("RECONCILE_TWEETS").map_or(few, |number| number.parse().unwrap())
}

/// A pass over that store, for that service.
fn pass<'a>(store: &'a str, url: &'a str) -> Vec<&'a str> {
    let what = ["reconcile", "--sender", "scrapebadger", "--monitor", "mon-1"];
    let places = ["--store", store, "--forward", url];
    [&what[..], &places, &["--lease", "1s", "--answer-within", "60s"]].concat()
}

fn start(mock: &Mock, words: &[&str]) -> Child {
    command(mock, words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_is_killed_is_begun_again_and_every_tweet_is_handled_once() {
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
async fn what_a_killed_receiver_missed_is_found_and_nothing_runs_twice() {
    let tweets = tweets(300);
    let (mock, service, folder) =
        (Mock::start().await, Service::default(), tempfile::tempdir().unwrap());
    let url = service.start().await;
    let store = format!("sqlite:{}", folder.path().join("deliveries.db").display());
    let address = {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        free.local_addr().unwrap().to_string()
    };
    let listen = || {
        let mut receiver = Command::new(env!("CARGO_BIN_EXE_scrapest-webhook"))
            .args(["listen", "--sender", "scrapebadger", "--listen", &address, "--path", "/w"])
            .args(["--secret-env", "TEST_SECRET", "--store", &store, "--once-per", "tweet"])
            .args(["--forward", &url, "--lease", "1s", "--output", "json"])
            .env("TEST_SECRET", SECRET)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(receiver.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        assert!(first.starts_with("listening on "), "{first}");
        // What else it prints must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        receiver
    };
    let mut receiver = listen();
    for number in 0..tweets {
        let id = number.to_string();
        // One in five is never sent, and the receiver is killed and started again on the way.
        let sent = number % 5 != 0;
        if number % 100 == 50 {
            kill(receiver);
            receiver = listen();
        }
        let status = if sent { deliver(&address, &id).await } else { None };
        let word = match status {
            Some(200..300) => "webhook_delivered",
            _ => "webhook_failed",
        };
        mock.site().add_tweet("mon-1", &id, 1_000, word);
    }
    let before = service.handled();
    assert!(before > 0 && before < tweets, "{before}");
    kill(receiver);
    let words = pass(&store, &url);
    let (code, out, err) = run(&mock, &words).await;
    assert_eq!(code, Some(1), "{out}{err}");
    service.assert_once_each(tweets, 4);
}

/// As the sender delivers it, once; `None` where nobody answers.
async fn deliver(address: &str, id: &str) -> Option<u16> {
    use http_body_util::Full;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    let body = json!({
        "type": "tweet", "monitor_id": "mon-1", "tweet_id": id,
        "detected_at": crate::mock::now(0), "tweet": {"id": id},
    });
    let request = scrapest_webhook::testing::scrapebadger(SECRET)
        .with_delivery_id(format!("del-{id}"))
        .with_body(body.to_string())
        .sign()
        .into_http::<Full<Bytes>>(&format!("http://{address}/w"));
    let client = Client::builder(TokioExecutor::new()).build_http();
    Some(client.request(request).await.ok()?.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_becomes_one_job_each_also_when_the_store_forgets_it() {
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
