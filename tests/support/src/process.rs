//! A receiver in a separate process, which can be killed. It is the same test binary, which serves if its
//! environment says so.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use futures_util::future::join_all;
use scrapest_webhook::store::store_from_url;
use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{Delivery, ScrapestWebhookLayer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::{Folder, PATH, SECRET, client, effects};

/// Short, so that another receiver soon takes over from a killed one.
const LEASE: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Handler {
    effects: String,
    runs_for: Duration,
}

/// Serves until the process is killed if the environment says so, and otherwise does nothing. Each test binary
/// has a test that calls this and has the name that [`Process::start`] passes.
pub async fn serve_if_told() {
    let Ok(url) = std::env::var("RECEIVER_STORE") else { return };
    let effects = std::env::var("RECEIVER_EFFECTS").unwrap();
    let runs_for = std::env::var("RECEIVER_RUNS_FOR_MS").unwrap().parse().unwrap();
    let layer = ScrapestWebhookLayer::new(SECRET)
        .with_lease(LEASE)
        .with_store(store_from_url(&url).unwrap())
        .check()
        .unwrap();
    let handler = Handler { effects, runs_for: Duration::from_millis(runs_for) };
    let app = Router::new().route(PATH, post(on_delivery).route_layer(layer)).with_state(handler);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    axum::serve(listener, app).await.unwrap();
}

async fn on_delivery(State(handler): State<Handler>, delivery: Delivery) -> StatusCode {
    let (process, key) = (std::process::id(), delivery.key());
    effects::note(&handler.effects, &format!("begin {process} {key}"));
    tokio::time::sleep(handler.runs_for).await;
    effects::note(&handler.effects, &format!("done {process} {key}"));
    StatusCode::NO_CONTENT
}

/// A receiver in a separate process, which is killed on drop.
pub struct Process {
    process: Child,
    pub address: SocketAddr,
    effects: String,
}

impl Process {
    pub fn start(store: &str, effects: &str, runs_for: Duration) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["receiver_process_for_other_tests", "--exact", "--nocapture"])
            .env("RECEIVER_STORE", store)
            .env("RECEIVER_EFFECTS", effects)
            .env("RECEIVER_RUNS_FOR_MS", runs_for.as_millis().to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address = lines
            .find_map(|line| line.split("listening on ").nth(1)?.parse().ok())
            .expect("the receiver says where it listens");
        Self { process, address, effects: effects.to_owned() }
    }

    /// Kills it with `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        effects::note(&self.effects, &format!("killed {}", self.process.id()));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A genuine delivery that was not sent yet.
pub fn delivery() -> SignedRequest {
    testing::scrapest(SECRET).sign()
}

/// Makes one attempt. Returns the status, or `None` if the connection broke.
pub async fn attempt(to: SocketAddr, request: &SignedRequest) -> Option<u16> {
    let mut stream = TcpStream::connect(to).await.ok()?;
    stream.write_all(&client::text(request)).await.ok()?;
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.ok()?.ok()?;
    client::parse(&answer).map(|answer| answer.status)
}

/// Attempts the delivery at the receivers in turn until one answers 2xx.
pub async fn deliver(to: &[SocketAddr], request: &SignedRequest) -> Duration {
    let since = Instant::now();
    for to in to.iter().cycle() {
        if let Some(200..300) = attempt(*to, request).await {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "lost: never answered 2xx");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    since.elapsed()
}

/// Checks a receiver that starts before its store.
pub async fn starts_before_its_store(url: &str, make_store: impl FnOnce()) {
    let folder = Folder::new();
    let effects = folder.file("effects");
    let receiver = Process::start(url, &effects, Duration::ZERO);
    let delivery = delivery();
    assert_eq!(attempt(receiver.address, &delivery).await, Some(503));
    make_store();
    deliver(&[receiver.address], &delivery).await;
    deliver(&[receiver.address], &delivery).await;
    let effects = effects::read(&effects);
    assert!(
        effects.len() == 1 && effects.values().all(|effects| effects.begun == 1),
        "{effects:?}"
    );
}

/// Checks two processes on one store. Each receives every delivery twice at the same time.
pub async fn two_are_one(url: &str) {
    const DELIVERIES: usize = 30;
    let folder = Folder::new();
    let effects = folder.file("effects");
    let receivers = [0, 1].map(|_| Process::start(url, &effects, Duration::from_millis(100)));
    let deliveries: Vec<_> = (0..DELIVERIES).map(|_| delivery()).collect();
    let sent = deliveries
        .iter()
        .flat_map(|delivery| [0, 1, 0, 1].map(|to| attempt(receivers[to].address, delivery)));
    for status in join_all(sent).await {
        assert!(matches!(status, Some(200 | 204 | 503)), "{status:?}");
    }
    let effects = effects::read(&effects);
    assert_eq!(effects.len(), DELIVERIES);
    assert!(effects.values().all(|effects| effects.begun == 1 && effects.done == 1), "{effects:?}");
}
