//! An address that keeps failing authentication is throttled; a sender never is after its first genuine
//! delivery.

use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use scrapest_webhook::testing::SignedRequest;
use scrapest_webhook::{PeerAddr, ScrapestWebhookLayer};
use support::in_process::{app, http, send_from, status};
use support::logged::Logged;
use support::scripted::ScriptedStore;
use support::{Framework, Handler, Raw, genuine, layer, seconds_ago};
use tower::ServiceExt;
use tracing::Level;

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";

/// Three per minute: one more every 20 s.
fn three() -> ScrapestWebhookLayer {
    layer().with_failed_auth_limit(3)
}

fn forged() -> SignedRequest {
    genuine().sign().with_body("{}")
}

async fn answer(peer: &str, app: &Router, request: &SignedRequest) -> u16 {
    send_from(peer, app, request).await.status().as_u16()
}

/// Sends from there until it is throttled.
async fn exhaust(peer: &str, app: &Router) {
    for _ in 0..3 {
        assert_eq!(answer(peer, app, &forged()).await, 401);
    }
    assert_eq!(answer(peer, app, &forged()).await, 429);
}

async fn an_address_that_keeps_failing_gets_429_and_its_body_is_not_read<F: Framework>() {
    let (handler, store) = (Handler::ok(), ScriptedStore::recording());
    let layer = three().with_store(store.clone()).with_trusted_proxies(["127.0.0.1"]).unwrap();
    let server = F::serve(layer, handler.clone()).await;
    let from =
        |address: &str, request: SignedRequest| Raw::from(request).with("x-forwarded-for", address);
    for _ in 0..3 {
        assert_eq!(server.raw(&from(A, forged())).await.status, 401);
    }
    for request in
        [from(A, forged()), from(A, genuine().sign()), Raw::new("").with("x-forwarded-for", A)]
    {
        let answer = server.send_raw(&request.text_without_body(100)).await;
        assert_eq!((answer.status, answer.text().as_str()), (429, "too many requests"));
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=20).contains(&wait), "{wait}");
    }
    assert!(handler.runs() == 0 && store.calls().is_empty());
    // Another address has its own count, and the sender is not counted.
    assert_eq!(server.raw(&from(B, genuine().sign())).await.status, 200);
    for _ in 0..9 {
        assert_eq!(server.raw(&from(B, forged())).await.status, 401);
    }
    assert_eq!(server.raw(&from(B, genuine().sign())).await.status, 200);
}

async fn the_peer_itself_is_throttled_without_a_proxy<F: Framework>() {
    let server = F::serve(three(), Handler::ok()).await;
    for expected in [401, 401, 401, 429, 429] {
        assert_eq!(server.send(&forged()).await.status, expected);
    }
    assert_eq!(server.send(&genuine().sign()).await.status, 429, "not heard before");
}

support::for_each_framework! {
    an_address_that_keeps_failing_gets_429_and_its_body_is_not_read,
    the_peer_itself_is_throttled_without_a_proxy,
}

#[tokio::test(start_paused = true)]
async fn after_the_announced_wait_one_request_is_processed() {
    let app = app(three(), &Handler::ok());
    exhaust(A, &app).await;
    for _ in 0..3 {
        let told = send_from(A, &app, &forged()).await;
        let wait: u64 = told.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert_eq!(wait, 20);
        tokio::time::sleep(Duration::from_secs(wait) - Duration::from_millis(1)).await;
        assert_eq!(answer(A, &app, &forged()).await, 429);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(answer(A, &app, &forged()).await, 401);
        assert_eq!(answer(A, &app, &forged()).await, 429);
    }
    // After a minute without failures, it has the whole budget again.
    tokio::time::sleep(Duration::from_secs(60)).await;
    exhaust(A, &app).await;
}

#[tokio::test(start_paused = true)]
async fn a_proven_sender_is_never_throttled_on_a_shared_address() {
    let handler = Handler::ok();
    let app = app(three(), &handler);
    exhaust(A, &app).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(answer(A, &app, &genuine().sign()).await, 200);
    for _ in 0..20 {
        assert_eq!(answer(A, &app, &forged()).await, 401);
        assert_eq!(answer(A, &app, &genuine().sign()).await, 200);
    }
    assert_eq!(handler.runs(), 21);
}

#[tokio::test(start_paused = true)]
async fn many_first_deliveries_are_not_throttled() {
    let handler = Handler::new(|_, _| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        200
    });
    let app = app(three(), &handler);
    let crowd = (0..50).map(|_| {
        let app = app.clone();
        tokio::spawn(async move { answer(A, &app, &genuine().sign()).await })
    });
    for one in crowd.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn only_failures_of_authentication_count() {
    let app = app(three(), &Handler::ok());
    let request = genuine().sign();
    let stale = genuine().with_time(seconds_ago(9_999)).sign();
    for _ in 0..9 {
        assert_eq!(answer(A, &app, &stale).await, 401, "authentic, if late");
        let encoded = request.clone().with_header("content-encoding", "gzip");
        assert_eq!(answer(A, &app, &encoded).await, 415);
    }
    // A stale delivery does not make an address exempt.
    exhaust(A, &app).await;

    for _ in 0..9 {
        assert_eq!(answer(B, &app, &request).await, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn each_way_of_failing_authentication_counts() {
    const SIGNATURE: &str = "x-scrapest-signature";
    for change in [
        (|request, _| Raw::without(request, SIGNATURE)) as fn(Raw, &str) -> Raw,
        |request, value| request.with(SIGNATURE, value),
        |request, _| request.replacing(SIGNATURE, "sha256=00"),
        |request, _| request.over("{}"),
    ] {
        let (server, request) = (app(three(), &Handler::ok()), Raw::from(genuine().sign()));
        let request = change(request.clone(), &request.header(SIGNATURE));
        for expected in [401, 401, 401, 429] {
            let mut asked =
                http(&genuine().sign()).map(|_| axum::body::Body::from(request.body().to_vec()));
            asked.headers_mut().remove(SIGNATURE);
            for (name, value) in request.headers() {
                asked.headers_mut().append(
                    axum::http::HeaderName::try_from(name).unwrap(),
                    HeaderValue::from_bytes(value).unwrap(),
                );
            }
            asked.extensions_mut().insert(PeerAddr(A.parse().unwrap()));
            let answer = server.clone().oneshot(asked).await.unwrap();
            assert_eq!(answer.status(), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_64_bit_network_counts_as_one_address() {
    let app = app(three(), &Handler::ok());
    for host in ["::1", "::2", ":ffff:ffff:ffff:ffff"] {
        assert_eq!(answer(&format!("2001:db8:0:7{host}"), &app, &forged()).await, 401);
    }
    assert_eq!(answer("2001:db8:0:7::4", &app, &forged()).await, 429);
    assert_eq!(answer("2001:db8:0:8::4", &app, &forged()).await, 401);
    exhaust(A, &app).await;
    assert_eq!(answer(&format!("::ffff:{A}"), &app, &forged()).await, 429);
    assert_eq!(answer(B, &app, &forged()).await, 401);
}

#[tokio::test(start_paused = true)]
async fn clients_with_an_unknown_address_are_not_throttled() {
    let (logged, _guard) = Logged::begin();
    let layer = three().with_trusted_proxies(["198.51.100.0/24"]).unwrap();
    let app = app(layer, &Handler::ok());
    for _ in 0..9 {
        assert_eq!(status(&app, &forged()).await, 401);
        assert_eq!(answer("198.51.100.1", &app, &forged()).await, 401, "it names no client");
    }
    assert_eq!(status(&app, &genuine().sign()).await, 200);
    let said = logged.lines().into_iter().filter(|line| line.level == Level::ERROR);
    assert_eq!(said.count(), 2, "one for each, and once");
}

#[tokio::test(start_paused = true)]
async fn clients_behind_an_unconfigured_private_proxy_are_not_throttled() {
    let (logged, _guard) = Logged::begin();
    let app = app(three(), &Handler::ok());
    for proxy in
        ["10.1.2.3", "172.16.0.1", "192.168.0.1", "127.0.0.1", "100.64.0.1", "fd00::1", "::1"]
    {
        for header in [("x-forwarded-for", A), ("forwarded", "for=192.0.2.1")] {
            for _ in 0..4 {
                let forged = forged().with_header(header.0, header.1);
                assert_eq!(answer(proxy, &app, &forged).await, 401, "{proxy}");
            }
        }
        // Without the header, the same address is throttled.
        exhaust(proxy, &app).await;
    }
    exhaust("203.0.113.1", &app).await;
    let claims = forged().with_header("x-forwarded-for", A);
    assert_eq!(answer("203.0.113.1", &app, &claims).await, 429);
    let said: Vec<_> = logged.warnings().into_iter().filter(|line| !line.is_limited()).collect();
    let [warning] = &said[..] else { panic!("{said:?}") };
    assert!(warning.message().contains("with_trusted_proxies"), "{warning:?}");
}

#[tokio::test(start_paused = true)]
async fn clones_count_together_and_without_a_limit_nothing_is_throttled() {
    let layer = three();
    let (one, other) = (app(layer.clone(), &Handler::ok()), app(layer, &Handler::ok()));
    exhaust(A, &one).await;
    assert_eq!(answer(A, &other, &forged()).await, 429);
    let open = app(support::layer(), &Handler::ok());
    for _ in 0..99 {
        assert_eq!(answer(A, &open, &forged()).await, 401);
    }
}
