//! The log lines about a Redis store.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use scrapest_webhook::store::RedisStore;
use support::servers::redis::{FORGETFUL, RedisServer};
use support::{Axum, Framework, Handler, genuine, layer};
use tokio::time::sleep;

#[tokio::test(flavor = "current_thread")]
async fn an_outage_logs_two_lines_and_an_eviction_policy_one_without_password() {
    let Some(mut redis) = RedisServer::stopped(FORGETFUL) else { return };
    let log: Arc<Mutex<Vec<u8>>> = Arc::default();
    let writer = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || Log(Arc::clone(&writer)))
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let url = format!("redis://:canary-4711@127.0.0.1:{}", redis.port);
    let store = RedisStore::new(&url).unwrap();
    let shown = format!("{store:?}");
    assert!(shown.contains("127.0.0.1"), "{shown}");
    let layer = layer().with_store(store).with_answer_deadline(Duration::from_millis(300));
    let shown = shown + &format!("{layer:?}");
    let drained = layer.clone();
    let server = Axum::serve(layer, Handler::ok()).await;
    for _ in 0..5 {
        assert_eq!(server.send(&genuine().sign()).await.status, 503);
    }
    redis.run();
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).unwrap();
    redis.ask(&["ACL", "SETUSER", "default", "resetpass", ">canary-4711"]).unwrap();
    // The store counts as recovered after it has answered for a second.
    let text = || String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let began = Instant::now();
    while !text().contains("delivery store answers again") {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", text());
        server.send(&genuine().sign()).await;
        sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..5 {
        assert_eq!(server.send(&genuine().sign()).await.status, 200);
    }
    assert!(drained.drain(Duration::from_secs(20)).await);

    let log = text();
    assert!(!(shown + &log).contains("canary-4711"));
    let loud: Vec<_> = log
        .lines()
        .filter(|line| ["ERROR", " WARN", " INFO"].iter().any(|level| line.contains(level)))
        .collect();
    let count = |part: &str| loud.iter().filter(|line| line.contains(part)).count();
    assert_eq!(count("delivery store fails"), 1, "{loud:#?}");
    assert_eq!(count("delivery store answers again"), 1, "{loud:#?}");
    assert_eq!(count("redis may evict deliveries"), 1, "{loud:#?}");
    assert!(loud.iter().any(|line| line.contains("policy=\"allkeys-lru\"")), "{loud:#?}");
    assert_eq!(loud.len(), 3, "{loud:#?}");
}

struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
