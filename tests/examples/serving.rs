//! SIGTERM during a run, connections that nobody closes, and a store that is killed.

use std::time::{Duration, Instant};

use support::client;
use support::servers::redis::RedisServer;
use tokio::net::TcpStream;

use crate::process::{Example, eventually};

use crate::{PATH, genuine};

/// Defines one test per name and framework.
macro_rules! for_each_example {
    ($($test:ident,)*) => {
        mod on_axum {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test("axum").await;
            })*
        }

        mod on_actix {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test("actix").await;
            })*
        }
    };
}

async fn sigterm_lets_a_run_finish_and_record_its_success(name: &str) {
    let folder = std::env::temp_dir().join(format!("webhook-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let store = format!("sqlite:{}/deliveries.db", folder.display());
    let mut example = Example::start(name, &[("STORE", &store)]);
    assert_eq!((example.get("/health").await, example.get("/ready").await), (200, 200));

    // A line that is longer than the pipe's buffer blocks the handler until it is read.
    let text = "x".repeat(300_000);
    let mut event: serde_json::Value = serde_json::from_slice(genuine().sign().body()).unwrap();
    event["data"]["text"] = text.clone().into();
    let request = genuine().with_body(event.to_string()).sign();
    let mut sender = client::begin(example.address, &client::text_to(PATH, &request)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    example.signal("TERM");
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The handler blocks one of actix' workers; another worker takes the next connection.
    if name == "axum" || std::thread::available_parallelism().unwrap().get() > 1 {
        assert_eq!(example.get("/ready").await, 503);
    }
    let printed = tokio::task::spawn_blocking(move || (example.rest(), example)).await.unwrap();
    let (printed, mut example) = printed;
    assert!(printed.contains(&text), "the handler reached its end");
    assert_eq!(client::read(&mut sender).await.status, 204);
    assert_eq!(example.end().code(), Some(0));
    assert!(TcpStream::connect(example.address).await.is_err(), "nobody is there any more");

    let mut next = Example::start(name, &[("STORE", &store)]);
    let answer = next.send(&request).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, ""), "a duplicate");
    next.signal("TERM");
    assert_eq!((next.rest().as_str(), next.end().code()), ("", Some(0)), "it did not run again");
    std::fs::remove_dir_all(&folder).unwrap();
}

async fn an_open_connection_does_not_delay_the_shutdown(name: &str) {
    let mut example = Example::start(name, &[]);
    let _idle = TcpStream::connect(example.address).await.unwrap();
    let _half = client::begin(example.address, b"POST /webhooks/scrapest HTT").await;
    let head = client::head_to(PATH, "POST", genuine().sign().headers());
    let _slow =
        client::begin(example.address, &[&head[..], b"content-length: 9\r\n\r\n{"].concat()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let asked = Instant::now();
    example.signal("TERM");
    assert_eq!(example.end().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
}

async fn readiness_follows_redis_and_liveness_does_not(name: &str) {
    let Some(mut redis) = RedisServer::start(&[]) else { return };
    let example = Example::start(name, &[("STORE", &redis.url())]);
    eventually("ready", async || example.get("/ready").await == 200).await;
    redis.kill();
    for _ in 0..2 {
        let asked = Instant::now();
        assert_eq!(example.get("/ready").await, 503);
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        assert_eq!(example.get("/health").await, 200);
    }
    redis.run();
    eventually("ready again", async || example.get("/ready").await == 200).await;
    assert_eq!(example.send(&genuine().sign()).await.status, 204);
}

for_each_example! {
    sigterm_lets_a_run_finish_and_record_its_success,
    an_open_connection_does_not_delay_the_shutdown,
    readiness_follows_redis_and_liveness_does_not,
}
