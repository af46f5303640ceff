//! What an address may do before one of its deliveries was handled, and what makes it exempt from the failure
//! limit. No captured request does.

use std::time::Duration;

use futures_util::future::join_all;
use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{Provider, ScrapestWebhookLayer, WebhookLayer};
use support::connection::{Connection, open_head, open_text};
use support::in_process::{app, send_from};
use support::{Framework, Handler, SECRET, Server, badger_layer, genuine, layer, seconds_ago};

use crate::body::genuine_of;

const SENDER: [u8; 4] = [127, 0, 0, 3];
const ATTACKER: [u8; 4] = [127, 0, 0, 2];
const LIMIT: u32 = 5;

fn limited() -> ScrapestWebhookLayer {
    layer().with_failed_auth_limit(LIMIT)
}

fn forged() -> SignedRequest {
    genuine().sign().with_body("{}")
}

async fn status(source: [u8; 4], server: &Server, request: &SignedRequest) -> u16 {
    Connection::from(source, server).await.status(request).await.expect("an answer")
}

/// Returns how many of `count` forgeries get a 401. The limit refuses the others.
async fn unauthorized(server: &Server, count: usize) -> usize {
    let mut unauthorized = 0;
    for _ in 0..count {
        match status(ATTACKER, server, &forged()).await {
            401 => unauthorized += 1,
            status => assert_eq!(status, 429),
        }
    }
    unauthorized
}

async fn gains_nothing<F: Framework, P: Provider>(
    layer: WebhookLayer<P>,
    captured: &SignedRequest,
    handled_before: bool,
) {
    let server = F::serve(layer.with_failed_auth_limit(LIMIT), Handler::ok()).await;
    if handled_before {
        assert_eq!(status(SENDER, &server, captured).await, 200);
    }
    for _ in 0..3 {
        assert_eq!(status(ATTACKER, &server, captured).await, 200);
    }
    // One more may be allowed as time passes.
    let unauthorized = unauthorized(&server, 20).await;
    assert!((5..=7).contains(&unauthorized), "{unauthorized}");
}

async fn replays_test_events_and_challenges_never_exempt_an_address<F: Framework>() {
    gains_nothing::<F, _>(layer(), &genuine().sign(), true).await;
    let test = testing::scrapebadger(SECRET).with_body(r#"{"type":"test"}"#).sign();
    gains_nothing::<F, _>(badger_layer(), &test, false).await;
    let challenge =
        genuine().with_body(r#"{"type":"webhook.verification","challenge":"abc"}"#).sign();
    gains_nothing::<F, _>(layer(), &challenge, false).await;
}

async fn only_a_successful_delivery_exempts_its_address<F: Framework>() {
    let handler = Handler::new(|_, before| async move { if before == 0 { 500 } else { 200 } });
    let server = F::serve(limited(), handler).await;
    let request = genuine().sign();
    assert_eq!(status(ATTACKER, &server, &request).await, 500);
    assert!((5..=7).contains(&unauthorized(&server, 20).await));
    assert_eq!(status(SENDER, &server, &request).await, 200);
    for _ in 0..20 {
        assert_eq!(status(SENDER, &server, &forged()).await, 401, "its address is exempt");
    }
}

async fn many_forgeries_with_late_bodies_stay_within_the_limit<F: Framework>() {
    let server = F::serve(limited(), Handler::ok()).await;
    let text = open_text(&genuine_of(2_000));
    let crowd = join_all((0..200).map(|_| async {
        let mut connection = Connection::from(ATTACKER, &server).await;
        connection.write(&text[..text.len() - 100]).await;
        connection
    }));
    let answers = join_all(crowd.await.into_iter().map(|mut connection| async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        connection.write(&[b'x'; 100]).await;
        connection.answer().await.expect("an answer").status
    }));
    let answers = answers.await;
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    assert!(count(401) <= 7 && count(401) + count(429) == 200, "{answers:?}");
}

async fn many_concurrent_first_deliveries_all_pass<F: Framework>() {
    let server = F::serve(limited(), Handler::ok()).await;
    let crowd = join_all((0..100).map(|number| {
        let server = &server;
        async move {
            let text = open_text(&genuine_of(2_000 + number));
            let mut connection = Connection::from(SENDER, server).await;
            connection.write(&text[..text.len() - 100]).await;
            tokio::task::yield_now().await;
            connection.write(&text[text.len() - 100..]).await;
            connection.answer().await.expect("an answer").status
        }
    }));
    assert_eq!(crowd.await, [200; 100]);
}

async fn slow_truncated_and_too_large_bodies_count_as_failures<F: Framework>() {
    let short = || limited().with_body_deadline(Duration::from_millis(300)).with_body_limit(10_000);
    let begun = open_text(&genuine_of(9_000));
    let begun = &begun[..begun.len() - 100];
    let mut chunked = open_head("POST", genuine().sign().headers());
    chunked.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
    for _ in 0..4 {
        chunked.extend_from_slice(b"1000\r\n");
        chunked.extend_from_slice(&[b' '; 0x1000]);
        chunked.extend_from_slice(b"\r\n");
    }

    for (text, expected) in [(begun, 408), (&chunked[..], 413)] {
        let server = F::serve(short(), Handler::ok()).await;
        let mut statuses = Vec::new();
        for _ in 0..8 {
            let mut connection = Connection::from(ATTACKER, &server).await;
            connection.write(text).await;
            statuses.push(connection.answer().await.expect("an answer").status);
        }
        assert_eq!(statuses[..5], [expected; 5]);
        assert!(statuses.contains(&429), "{statuses:?}");
    }

    let server = F::serve(limited(), Handler::ok()).await;
    for _ in 0..5 {
        let mut connection = Connection::from(ATTACKER, &server).await;
        connection.write(begun).await;
        connection.half_close().await;
        drop(connection);
    }
    // The server notices the disconnects after a while.
    for _ in 0..200 {
        if unauthorized(&server, 1).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("connections that broke off are not counted");
}

async fn replays_from_many_addresses_do_not_evict_the_sender<F: Framework>() {
    let server = F::serve(limited(), Handler::ok()).await;
    let captured = genuine().sign();
    assert_eq!(status(SENDER, &server, &captured).await, 200);
    for number in 0..1_500_u16 {
        let [high, low] = number.to_be_bytes();
        assert_eq!(status([127, 1, high, low], &server, &captured).await, 200);
    }
    for _ in 0..20 {
        assert_eq!(status(SENDER, &server, &forged()).await, 401);
    }
    assert_eq!(status(SENDER, &server, &genuine().sign()).await, 200);
}

/// Behind a trusted proxy, a header that the client adds must not lift the limit.
async fn a_second_forwarding_header_does_not_lift_the_limit<F: Framework>() {
    let behind = || limited().with_trusted_proxies(["127.0.0.7"]).unwrap();
    for added in ["x", "for=192.0.2.9", "for=\""] {
        let either = F::serve(behind(), Handler::ok()).await;
        let one = behind().with_forwarded_header("X-Forwarded-For").unwrap();
        let one = F::serve(one, Handler::ok()).await;
        let mut unauthorized = 0;
        for _ in 0..20 {
            let request = forged().with_header("x-forwarded-for", "192.0.2.1");
            let request = request.with_header("forwarded", added);
            assert_eq!(status([127, 0, 0, 7], &either, &request).await, 403);
            match status([127, 0, 0, 7], &one, &request).await {
                401 => unauthorized += 1,
                status => assert_eq!(status, 429),
            }
        }
        // One more may be allowed as time passes.
        assert!((5..=7).contains(&unauthorized), "{unauthorized} {added}");
    }
}

#[test]
fn the_forwarded_header_must_be_a_valid_header_name() {
    assert!(layer().with_forwarded_header("not a name").is_err());
    assert!(layer().with_forwarded_header("").is_err());
}

support::for_each_framework! {
    replays_test_events_and_challenges_never_exempt_an_address,
    only_a_successful_delivery_exempts_its_address,
    many_forgeries_with_late_bodies_stay_within_the_limit,
    many_concurrent_first_deliveries_all_pass,
    slow_truncated_and_too_large_bodies_count_as_failures,
    replays_from_many_addresses_do_not_evict_the_sender,
    a_second_forwarding_header_does_not_lift_the_limit,
}

#[tokio::test(start_paused = true)]
async fn a_stale_authentic_request_is_neither_a_failure_nor_a_proof() {
    let app = app(limited(), &Handler::ok());
    let stale = genuine().with_time(seconds_ago(9_999)).sign();
    for _ in 0..20 {
        assert_eq!(send_from("192.0.2.1", &app, &stale).await.status(), 401);
    }
    for _ in 0..LIMIT {
        assert_eq!(send_from("192.0.2.1", &app, &forged()).await.status(), 401);
    }
    assert_eq!(send_from("192.0.2.1", &app, &forged()).await.status(), 429);
}

/// Waiting requests do not wait forever, and proceed when those before them are done.
#[tokio::test(start_paused = true)]
async fn queued_requests_are_answered_by_the_body_deadline() {
    let app = app(limited().with_minimum_body_rate(0), &Handler::ok());
    let crowd: Vec<_> = (0..8)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move {
                let endless =
                    futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
                let mut request = support::in_process::http(&genuine().sign())
                    .map(|_| axum::body::Body::from_stream(endless));
                let peer = scrapest_webhook::PeerAddr([192, 0, 2, 1].into());
                request.extensions_mut().insert(peer);
                tower::ServiceExt::oneshot(app, request).await.unwrap().status().as_u16()
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for one in crowd {
        statuses.push(one.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [408, 408, 408, 408, 408, 429, 429, 429]);
}
