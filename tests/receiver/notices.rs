//! Facts for the operator that are logged at WARN and that no answer reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::post;
use axum::{Json, Router};
use scrapest_webhook::testing::SignedRequest;
use scrapest_webhook::{ScrapestWebhookLayer, Secrets, Webhook, scrapest, testing};
use support::here::Here;
use support::in_process::{app, status};
use support::logged::{Line, Logged};
use support::{Handler, SECRET, badger_layer, genuine, layer, seconds_ago};
use tokio::time::advance;

const MINUTE: Duration = Duration::from_secs(60);

fn forged() -> SignedRequest {
    testing::scrapest("another secret of some length").sign()
}

/// The warnings that contain this text.
fn warnings(logged: &Logged, part: &str) -> Vec<Line> {
    let mut lines = logged.warnings();
    lines.retain(|line| line.message().contains(part));
    lines
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_2xx_is_logged_with_status_and_attempt() {
    for here in Here::BOTH {
        let (logged, _guard) = Logged::begin();
        let handler = Handler::new(|_, before| async move { [500, 404, 204][before] });
        let receiver = here.serve(layer(), &handler).await;
        let request = genuine().sign();
        for expected in [500, 404, 204] {
            assert_eq!(receiver.status(&request).await, expected);
        }
        let lines = warnings(&logged, "did not answer 2xx: the delivery is released");
        let said: Vec<_> = lines
            .iter()
            .map(|line| (line.fields["status"].as_str(), line.fields["attempt"].as_str()))
            .collect();
        assert_eq!(said, [("500", "1"), ("404", "2")], "{here:?}");
        assert_eq!(logged.warnings().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_by_an_extractor_are_also_logged() {
    let (logged, _guard) = Logged::begin();
    let route = post(async |_: scrapest::Event, _: Json<Vec<u8>>| ()).route_layer(layer());
    let app = Router::new().route("/", route);
    assert_eq!(status(&app, &genuine().sign()).await, 422);
    let lines = warnings(&logged, "one of its extractors");
    assert_eq!((lines.len(), lines[0].fields["status"].as_str()), (1, "422"));
}

#[tokio::test(start_paused = true)]
async fn failing_handlers_are_logged_ten_times_per_minute() {
    for here in Here::BOTH {
        let (logged, _guard) = Logged::begin();
        let receiver = here.serve(layer(), &Handler::new(|_, _| async { 500 })).await;
        for _ in 0..25 {
            assert_eq!(receiver.status(&genuine().sign()).await, 500);
        }
        assert_eq!(logged.warnings().len(), 10);
        advance(MINUTE).await;
        assert_eq!(receiver.status(&genuine().sign()).await, 500);
        assert_eq!(logged.warnings().last().unwrap().fields["lines_left_out"], "15", "{here:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_never_matched_is_logged_once_per_minute() {
    const WRONG: &str = "a secret that the sender does not have";
    for here in Here::BOTH {
        let (logged, _guard) = Logged::begin();
        let secrets = Secrets::new([WRONG]).unwrap();
        let layer = ScrapestWebhookLayer::from_secrets(secrets.clone());
        let receiver = here.serve(layer, &Handler::ok()).await;
        let never = || {
            warnings(&logged, "does not match the webhook's secret, and none has matched so far")
                .len()
        };
        for minutes in 1..=2 {
            for _ in 0..500 {
                assert_eq!(receiver.status(&forged()).await, 401);
            }
            assert_eq!(never(), minutes);
            advance(MINUTE).await;
        }
        assert_eq!(logged.warnings().len(), 2, "{here:?}: a stranger writes one line a minute");
        // The correct secret: later forgeries do not point to a wrong secret.
        assert_eq!(receiver.status(&testing::scrapest(WRONG).sign()).await, 200);
        assert_eq!(receiver.status(&forged()).await, 401);
        assert_eq!(never(), 2);
        // A new wrong secret is a new mistake.
        secrets.replace(["another one that the sender does not have"]).unwrap();
        assert_eq!(receiver.status(&forged()).await, 401);
        assert_eq!(never(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_webhooks_are_logged_until_one_is_found() {
    for here in Here::BOTH {
        let (logged, _guard) = Logged::begin();
        let known = Webhook::new("known", Secrets::new([SECRET]).unwrap());
        let is_found = Arc::new(AtomicBool::new(false));
        let finds = Arc::clone(&is_found);
        let layer = ScrapestWebhookLayer::for_webhooks(move |_| {
            finds.load(Ordering::SeqCst).then(|| known.clone())
        });
        let receiver = here.serve(layer, &Handler::ok()).await;
        for _ in 0..100 {
            assert_eq!(receiver.status(&genuine().sign()).await, 401);
        }
        let lines = warnings(&logged, "for_webhooks");
        assert_eq!((lines.len(), logged.warnings().len()), (1, 1), "{here:?}");
        is_found.store(true, Ordering::SeqCst);
        assert_eq!(receiver.status(&genuine().sign()).await, 200);
        is_found.store(false, Ordering::SeqCst);
        advance(MINUTE).await;
        assert_eq!(receiver.status(&genuine().sign()).await, 401);
        assert_eq!(logged.warnings().len(), 1, "{here:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_read_by_a_middleware_in_front_is_logged() {
    let (logged, _guard) = Logged::begin();
    let reads = async |request: Request, next: Next| {
        let (parts, body) = request.into_parts();
        to_bytes(body, usize::MAX).await.unwrap();
        next.run(Request::from_parts(parts, Body::empty())).await
    };
    let request = genuine().sign();
    let length = request.body().len();
    let request = request.with_header("content-length", length.to_string());
    let app = app(layer(), &Handler::ok()).layer(from_fn(reads));
    for _ in 0..20 {
        assert_eq!(status(&app, &request).await, 401);
    }
    let lines = warnings(&logged, "in front of the webhook layer has read or changed the body");
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(line.fields["content_length"], length.to_string());
    assert_eq!(line.fields["body_bytes"], "0");
    assert_eq!(logged.warnings().len(), 1);
}

#[tokio::test]
async fn a_stale_request_is_logged_with_its_field_and_value() {
    for here in Here::BOTH {
        let (logged, _guard) = Logged::begin();
        let receiver = here.serve(layer(), &Handler::ok()).await;
        let late = genuine().with_time(seconds_ago(7_200)).sign();
        assert_eq!(receiver.status(&late).await, 401);
        let lines = warnings(&logged, "outside the tolerance");
        let [line] = &lines[..] else { panic!("{here:?}: {lines:?}") };
        assert_eq!(line.fields["field"], "x-scrapest-timestamp");
        assert!(line.fields["value"].starts_with("20"), "{line:?}");
        assert!(line.fields["age_seconds"].parse::<i64>().unwrap() >= 7_199);
        assert!(line.message().contains("with_past_tolerance"), "{line:?}");
    }
}

#[tokio::test]
async fn a_repeated_id_with_other_bytes_is_logged_once() {
    for here in Here::BOTH {
        let (logged, _guard) = Logged::begin();
        let handler = Handler::ok();
        let receiver = here.serve(layer(), &handler).await;
        let again = || genuine().with_delivery_id("one").with_kind("user.updated").sign();
        let first = genuine().with_delivery_id("one").sign();
        for request in [&first, &first] {
            assert_eq!(receiver.status(request).await, 200);
        }
        assert!(logged.warnings().is_empty(), "the same bytes are a retry");
        for _ in 0..3 {
            assert_eq!(receiver.status(&again()).await, 200);
        }
        assert_eq!(handler.runs(), 1, "still one delivery");
        assert_eq!(warnings(&logged, "arrived again with other bytes").len(), 1, "{here:?}");
        assert_eq!(logged.warnings().len(), 1);
    }
}

#[test]
fn check_logs_misleading_settings() {
    let proxies = ["10.0.0.0/8"];
    let seconds = Duration::from_secs;
    for (layer, what) in [
        (layer().with_answer_deadline(seconds(6)), "longer than the sender waits"),
        (layer().with_trusted_proxies(proxies).unwrap(), "alone blocks no client"),
        (layer().with_forwarded_header("x-real-ip").unwrap(), "no proxy is trusted"),
    ] {
        let (logged, _guard) = Logged::begin();
        let layer = layer.check().unwrap();
        let _app = app(layer.check().unwrap(), &Handler::ok());
        assert_eq!(warnings(&logged, what).len(), 1, "once: {what}");
        assert_eq!(logged.warnings().len(), 1);
    }
    let (logged, _guard) = Logged::begin();
    layer().with_answer_deadline(seconds(5)).check().unwrap();
    badger_layer().with_answer_deadline(seconds(10)).check().unwrap();
    let listed = layer().with_allowed_ips(["192.0.2.1"]).unwrap();
    listed.with_trusted_proxies(proxies).unwrap().check().unwrap();
    assert!(logged.warnings().is_empty());
}
