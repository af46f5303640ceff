//! A receiver is killed while deliveries arrive, and a random share of them is never sent: a pass finds the missing
//! ones.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use tokio::sync::watch;

use crate::mock::{Mock, now};
use crate::passes::{Service, kill, pass, tweets};
use crate::process::run;

const SECRET: &str = "whsec_0123456789abcdef01234567";
/// The number of deliveries under way at once.
const LANES: usize = 4;
/// The share of the deliveries that is never sent.
const DROPPED: f64 = 0.2;

/// Starts `listen` at this address, and returns once it listens.
fn listen(address: &str, store: &str, url: &str) -> Child {
    let mut receiver = Command::new(env!("CARGO_BIN_EXE_scrapest-webhook"))
        .args(["listen", "--sender", "scrapebadger", "--listen", address, "--path", "/w"])
        .args(["--secret-env", "TEST_SECRET", "--store", store, "--once-per", "tweet"])
        .args(["--forward", url, "--lease", "1s", "--output", "json"])
        .env("TEST_SECRET", SECRET)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(receiver.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    assert!(first.starts_with("listening on "), "{first}");
    // The rest of its output must not fill the pipe.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    receiver
}

/// The sender: what it has to deliver, and whether the receiver is up.
struct Sender {
    mock: Mock,
    address: String,
    client: Client<HttpConnector, Full<Bytes>>,
    next: AtomicUsize,
    tweets: usize,
    is_up: watch::Receiver<bool>,
}

impl Sender {
    /// Sends each delivery once, and writes its outcome to the log. After a failure, waits until the receiver is up
    /// again.
    async fn deliver(self: Arc<Self>) {
        let mut is_up = self.is_up.clone();
        loop {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            if number >= self.tweets {
                return;
            }
            let id = number.to_string();
            let status = match rand::random_bool(DROPPED) {
                true => None,
                false => self.post(&id).await,
            };
            let is_delivered = matches!(status, Some(200..300));
            let word = if is_delivered { "webhook_delivered" } else { "webhook_failed" };
            self.mock.site().add_tweet("mon-1", &id, 1_000, word);
            if !is_delivered {
                is_up.wait_for(|is_up| *is_up).await.unwrap();
            }
        }
    }

    async fn post(&self, id: &str) -> Option<u16> {
        let body = json!({
            "type": "tweet", "monitor_id": "mon-1", "tweet_id": id, "detected_at": now(0),
            "tweet": {"id": id},
        });
        let request = scrapest_webhook::testing::scrapebadger(SECRET)
            .with_delivery_id(format!("del-{id}"))
            .with_body(body.to_string())
            .sign()
            .into_http::<Full<Bytes>>(&format!("http://{}/w", self.address));
        Some(self.client.request(request).await.ok()?.status().as_u16())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_missed_by_a_killed_receiver_are_found_and_run_once() {
    let tweets = tweets(300);
    let kills = (tweets / 100).min(20);
    let (mock, service, folder) =
        (Mock::start().await, Service::default(), tempfile::tempdir().unwrap());
    let url = service.start().await;
    let store = format!("sqlite:{}", folder.path().join("deliveries.db").display());
    let address = {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        free.local_addr().unwrap().to_string()
    };
    let (up, is_up) = watch::channel(true);
    let mut receiver = tokio::task::block_in_place(|| listen(&address, &store, &url));
    let sender = Arc::new(Sender {
        mock: mock.clone(),
        address: address.clone(),
        // A connection to a killed receiver must not be used again.
        client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http(),
        next: AtomicUsize::new(0),
        tweets,
        is_up,
    });
    let lanes: Vec<_> = (0..LANES).map(|_| tokio::spawn(Arc::clone(&sender).deliver())).collect();
    for killed in 1..=kills {
        // The kills are spread over the first half of the deliveries, while others are under way.
        service.until_handled(tweets / 2 * killed / kills).await;
        up.send_replace(false);
        receiver = tokio::task::block_in_place(|| {
            kill(receiver);
            listen(&address, &store, &url)
        });
        up.send_replace(true);
    }
    for lane in lanes {
        lane.await.unwrap();
    }
    kill(receiver);
    let before = service.handled();
    assert!(before >= tweets / 2 && before < tweets, "{before}");
    let words = pass(&store, &url);
    let (code, out, err) = run(&mock, &words).await;
    assert_eq!(code, Some(1), "{out}{err}");
    println!("{kills} kills of the receiver, then: {out}");
    service.assert_once_each(tweets, kills * LANES);
    let (code, out, _) = run(&mock, &words).await;
    assert_eq!(code, Some(0), "nothing is missing after one pass: {out}");
    mock.assert_as_published();
}
