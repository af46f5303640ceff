//! `kill -9` at every point, of a receiver that is processing several deliveries.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{join_all, pending};
use scrapest_webhook::testing::SignedRequest;
use support::process::{attempt, deliver};
use tokio::net::TcpListener;

use crate::application::{At, Database, Point, Record, app, delivery};

const DELIVERIES: usize = 6;
/// The delivery at whose point the process dies; the others may be anywhere.
const VICTIM: usize = 2;

/// Serves until the process is killed if the environment says so, and otherwise does nothing.
pub(crate) async fn serve_if_told() {
    let Ok(url) = std::env::var("APPLICATION_DATABASE") else { return };
    let dies_at = std::env::var("APPLICATION_DIES_AT").unwrap();
    let record = match std::env::var("APPLICATION_RECORD").unwrap().as_str() {
        "in transaction" => Record::InTransaction,
        "without commit" => Record::WithoutCommit,
        _ => Record::Apart,
    };
    let passed = AtomicUsize::new(0);
    let at: At = Arc::new(move |point, _| {
        let is_it = format!("{point:?}") == dies_at;
        if is_it && passed.fetch_add(1, Ordering::Relaxed) == VICTIM {
            let own = std::process::id().to_string();
            Command::new("kill").args(["-9", &own]).status().unwrap();
            return pending().boxed();
        }
        async {}.boxed()
    });
    let database = Database::open(&url).await;
    // Short, so that another receiver soon takes over from a killed one.
    let layer = database.layer().with_lease(Duration::from_secs(2)).check().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    axum::serve(listener, app(&database, layer, at, record)).await.unwrap();
}

struct Receiver {
    process: Child,
    address: SocketAddr,
}

impl Receiver {
    fn start(database: &Database, dies_at: Option<Point>, record: Record) -> Self {
        let record = match record {
            Record::InTransaction => "in transaction",
            Record::WithoutCommit => "without commit",
            Record::Apart => "apart",
        };
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["receiver_process_for_other_tests", "--exact", "--nocapture"])
            .env("APPLICATION_DATABASE", database.url())
            .env("APPLICATION_DIES_AT", dies_at.map_or_else(String::new, |at| format!("{at:?}")))
            .env("APPLICATION_RECORD", record)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address = lines
            .find_map(|line| line.split("listening on ").nth(1)?.parse().ok())
            .expect("the receiver says where it listens");
        Self { process, address }
    }

    fn is_dead(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Sends all deliveries at once to a receiver that dies, then again and again to its successor.
async fn sent_through_a_kill(
    database: &Database,
    dies_at: Option<Point>,
    record: Record,
) -> Vec<String> {
    let requests: Vec<SignedRequest> =
        (0..DELIVERIES).map(|number| delivery(&format!("delivery-{number}")).sign()).collect();
    let mut first = Receiver::start(database, dies_at, record);
    let address = first.address;
    let mut sent: Vec<_> =
        requests.iter().map(|request| attempt(address, request).boxed()).collect();
    if dies_at.is_none() {
        // Its first answer is also its last.
        let (answer, _, others) = futures_util::future::select_all(sent).await;
        assert_eq!(answer, Some(204));
        drop(first);
        sent = others;
        join_all(sent).await;
    } else {
        join_all(sent).await;
        let since = Instant::now();
        while !first.is_dead() {
            // Its first answer may be a 503, because the store was not connected yet.
            assert!(since.elapsed() < Duration::from_secs(30), "nobody came to where it dies");
            join_all(requests.iter().map(|request| attempt(address, request))).await;
        }
    }
    let second = Receiver::start(database, None, record);
    join_all(
        requests.iter().map(|request| deliver(std::slice::from_ref(&second.address), request)),
    )
    .await;
    database.effects().await
}

fn exactly_once() -> Vec<String> {
    (0..DELIVERIES).map(|number| format!("delivery-{number}")).collect()
}

async fn killed_at(database: Database, point: Option<Point>) {
    let effects = sent_through_a_kill(&database, point, Record::InTransaction).await;
    assert_eq!(effects, exactly_once(), "killed at {point:?}");
}

pub(crate) async fn before_the_effect(database: Database) {
    killed_at(database, Some(Point::BeforeEffect)).await;
}

pub(crate) async fn after_the_effect(database: Database) {
    killed_at(database, Some(Point::AfterEffect)).await;
}

pub(crate) async fn before_the_commit(database: Database) {
    killed_at(database, Some(Point::BeforeCommit)).await;
}

pub(crate) async fn after_the_commit(database: Database) {
    killed_at(database, Some(Point::AfterCommit)).await;
}

pub(crate) async fn after_an_answer(database: Database) {
    killed_at(database, None).await;
}

/// Shows that the tests above would detect a duplicate effect.
pub(crate) async fn a_kill_after_a_commit_without_the_record_causes_a_detected_duplicate(
    database: Database,
) {
    let effects = sent_through_a_kill(&database, Some(Point::AfterCommit), Record::Apart).await;
    assert!(effects.len() > DELIVERIES, "{effects:?}");
}
