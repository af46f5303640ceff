//! Faults of the network and the server lose no delivery, and run none twice.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use scrapest_webhook::ScrapestWebhookLayer;
use scrapest_webhook::store::{Claim, DeliveryStore, Key, Owner, RedisStore};
use scrapest_webhook::testing::SignedRequest;
use support::Proxy;
use support::servers::redis::{DURABLE, FORGETFUL, RedisServer};
use support::{Axum, Framework, Handler, Server, genuine, layer};
use tokio::time::sleep;

/// How long the store may take to reconnect once its server runs again.
const RECOVERY: Duration = Duration::from_secs(20);

fn layer_on(url: &str) -> ScrapestWebhookLayer {
    let store = RedisStore::new(url).unwrap();
    layer().with_store(store).with_answer_deadline(Duration::from_secs(1))
}

pub async fn receiver(url: &str, handler: &Handler) -> Server {
    Axum::serve(layer_on(url), handler.clone()).await
}

/// Sends until the answer is 200. `faults f8` measures how soon that is.
pub async fn taken_soon(server: &Server, request: &SignedRequest) {
    let began = Instant::now();
    loop {
        let status = server.send(request).await.status;
        if status == 200 {
            break;
        }
        assert_eq!(status, 503);
        assert!(began.elapsed() < RECOVERY, "never accepted");
    }
}

#[tokio::test]
async fn a_server_down_at_the_start_causes_503s_until_it_is_up() {
    let Some(mut redis) = RedisServer::stopped(FORGETFUL) else { return };
    let (handler, request) = (Handler::ok(), genuine().sign());
    let server = receiver(&redis.url(), &handler).await;
    for _ in 0..2 {
        let answer = server.send(&request).await;
        assert_eq!(answer.status, 503);
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(handler.runs(), 0);
    redis.run();
    taken_soon(&server, &request).await;
    assert_eq!(server.send(&request).await.status, 200, "a duplicate");
    assert_eq!(handler.runs(), 1);
}

#[tokio::test]
async fn a_server_killed_before_the_claim_causes_a_503_and_the_retry_runs_once() {
    let Some(mut redis) = RedisServer::start(FORGETFUL) else { return };
    let (handler, request) = (Handler::ok(), genuine().sign());
    let server = receiver(&redis.url(), &handler).await;
    assert_eq!(server.send(&genuine().sign()).await.status, 200, "the store is reachable");
    redis.kill();
    assert_eq!(server.send(&request).await.status, 503);
    assert_eq!(handler.runs(), 1, "nothing runs without a claim");
    redis.run();
    taken_soon(&server, &request).await;
    assert_eq!(handler.runs(), 2);
}

/// A handler that kills the server before it reports its success.
fn killer(redis: &Arc<Mutex<RedisServer>>) -> Handler {
    let redis = Arc::clone(redis);
    Handler::new(move |_, before| {
        if before == 0 {
            redis.lock().unwrap().kill();
        }
        async { 200 }
    })
}

#[tokio::test]
async fn a_server_killed_between_claim_and_completion_loses_no_success() {
    for (arguments, what) in [(DURABLE, "remembers the claim"), (FORGETFUL, "is back empty")] {
        let Some(redis) = RedisServer::start(arguments) else { return };
        let redis = Arc::new(Mutex::new(redis));
        let (handler, request) = (killer(&redis), genuine().sign());
        let url = redis.lock().unwrap().url();
        let server = receiver(&url, &handler).await;
        assert_eq!(server.send(&request).await.status, 200, "the handler's answer is sent");
        redis.lock().unwrap().run();
        // The completion is retried in the background.
        let (began, name) = (Instant::now(), "scrapest-webhook:*");
        let completed = || redis.lock().unwrap().ask(&["EVAL", COUNT_COMPLETED, "0", name]);
        while completed().unwrap() != redis::Value::Int(2) {
            assert!(began.elapsed() < RECOVERY, "not recorded, by a server that {what}");
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(server.send(&request).await.status, 200);
        assert_eq!(handler.runs(), 1, "no second run, by a server that {what}");
    }
}

const COUNT_COMPLETED: &str = "local n = 0; \
    for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
      if redis.call('GET', key) == 'sw1 c' then n = n + 1 end \
    end; return n";

#[tokio::test]
async fn a_server_killed_during_the_completion_loses_no_success() {
    let Some(redis) = RedisServer::start(DURABLE) else { return };
    let proxy = Arc::new(Proxy::start(redis.port).await);
    let redis = Arc::new(Mutex::new(redis));
    let handler = {
        let (redis, proxy) = (Arc::clone(&redis), Arc::clone(&proxy));
        Handler::new(move |_, _| {
            // The first record is written, its reply is lost, and then the server stops.
            proxy.swallow_replies(true);
            let redis = Arc::clone(&redis);
            tokio::spawn(async move {
                sleep(Duration::from_millis(100)).await;
                redis.lock().unwrap().kill();
            });
            async { 200 }
        })
    };
    let request = genuine().sign();
    let server = receiver(&format!("redis://127.0.0.1:{}", proxy.port), &handler).await;
    assert_eq!(server.send(&request).await.status, 200);
    sleep(Duration::from_millis(300)).await;
    proxy.swallow_replies(false);
    redis.lock().unwrap().run();
    taken_soon(&server, &request).await;
    assert_eq!(handler.runs(), 1);
}

#[tokio::test]
async fn a_server_that_returns_empty_forgets_but_accepts_new_deliveries() {
    let Some(mut redis) = RedisServer::start(FORGETFUL) else { return };
    let (handler, request) = (Handler::ok(), genuine().sign());
    let server = receiver(&redis.url(), &handler).await;
    assert_eq!(server.send(&request).await.status, 200);
    redis.kill();
    redis.run();
    taken_soon(&server, &genuine().sign()).await;
    assert_eq!(handler.runs(), 2);
    let fences: Vec<_> = handler.deliveries().iter().map(|delivery| delivery.fence()).collect();
    // A forgotten delivery may run again, and then has a larger fence.
    taken_soon(&server, &request).await;
    assert_eq!(handler.runs(), 3);
    assert!(handler.deliveries()[2].fence() > fences[0]);
}

#[tokio::test]
async fn answers_600_ms_late_cause_503s_and_the_retry_runs_once() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    let proxy = Proxy::start(redis.port).await;
    let (handler, request) = (Handler::ok(), genuine().sign());
    let server = receiver(&format!("redis://127.0.0.1:{}", proxy.port), &handler).await;
    assert_eq!(server.send(&genuine().sign()).await.status, 200, "the store is reachable");
    proxy.delay_replies(Duration::from_millis(600));
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(server.send(&request).await.status, 503);
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    }
    assert_eq!(handler.runs(), 1, "no handler runs on a claim whose reply was lost");
    proxy.delay_replies(Duration::ZERO);
    taken_soon(&server, &request).await;
    assert_eq!(server.send(&request).await.status, 200, "a duplicate");
    assert_eq!(handler.runs(), 2);
}

#[tokio::test]
async fn a_reset_connection_is_replaced_within_the_same_delivery() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    let proxy = Proxy::start(redis.port).await;
    let handler = Handler::ok();
    let server = receiver(&format!("redis://127.0.0.1:{}", proxy.port), &handler).await;
    for round in 1..=5 {
        proxy.reset();
        let request = genuine().sign();
        assert_eq!(server.send(&request).await.status, 200);
        assert_eq!(server.send(&request).await.status, 200, "a duplicate");
        assert_eq!(handler.runs(), round);
    }
}

#[tokio::test]
async fn a_frozen_server_causes_503s_in_time_and_is_used_again_later() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    let (handler, request) = (Handler::ok(), genuine().sign());
    let store = RedisStore::new(&redis.url()).unwrap();
    let layer = layer().with_store(store.clone()).with_answer_deadline(Duration::from_secs(1));
    let server = Axum::serve(layer, handler.clone()).await;
    store.ready().await.unwrap();
    redis.freeze();
    for _ in 0..3 {
        let began = Instant::now();
        store.ready().await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        assert_eq!(server.send(&request).await.status, 503);
        assert!(began.elapsed() < Duration::from_secs(16), "{:?}", began.elapsed());
    }
    redis.thaw();
    taken_soon(&server, &request).await;
    store.ready().await.unwrap();
    assert_eq!(server.send(&request).await.status, 200, "a duplicate");
    assert_eq!(handler.runs(), 1);
}

#[tokio::test]
async fn an_evicting_server_is_treated_as_one_that_forgot() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    let store = RedisStore::new(&redis.url()).unwrap();
    let (key, long) = (Key::from_bytes([7; 32]), Duration::from_secs(4_200));
    let claim = async || match store.claim(&key, Owner::random(), long, long).await.unwrap() {
        Claim::Acquired { fence, attempt } => (fence, attempt),
        other => panic!("{other:?}"),
    };
    let (first, _) = claim().await;
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]).unwrap();
    // Below what an empty server uses, so the server evicts every key at once.
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    _ = redis.ask(&["SET", "push", "it out"]);
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    // Without a record, the fence is a time in milliseconds.
    sleep(Duration::from_millis(2)).await;
    let (second, attempt) = claim().await;
    assert!(second > first, "{second} after {first}");
    assert_eq!(attempt, 1);
}
