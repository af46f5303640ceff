//! The metrics, with their names and labels, and the table of them in the documentation.

mod store;
mod table;
mod takeovers;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::post;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use scrapest_webhook::scrapest::Scrapest;
use scrapest_webhook::testing::SignedRequest;
use scrapest_webhook::{
    Delivery, Provider, RejectionKind, ScrapeBadgerWebhookLayer, ScrapestWebhookLayer, Secret,
    Secrets, WebhookLayer, scrapebadger, scrapest, testing,
};
use tokio::time::sleep;
use tower::ServiceExt;

const SECRET: &str = "whsec_canary_7b1d5f0c93aa4e21";
const KEEP: Duration = Duration::from_secs(4_200);

/// Each metric with its labels, and its value. The value of a histogram is the number of its observations.
type Seen = BTreeMap<String, f64>;

fn seen(snapshotter: &Snapshotter) -> Seen {
    let metrics = snapshotter.snapshot().into_vec().into_iter();
    metrics
        .map(|(key, _, _, value)| {
            let key = key.key();
            let labels: Vec<_> =
                key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let name = key.name().strip_prefix("scrapest_webhook_").unwrap();
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Histogram(values) => values.len() as f64,
                DebugValue::Gauge(value) => value.into_inner(),
            };
            (format!("{name} {}", labels.join(" ")).trim_end().to_owned(), value)
        })
        .collect()
}

/// Runs a test with its own recorder, on one thread, and returns what was recorded.
fn recorded<F: Future<Output = ()>>(run: impl FnOnce(Snapshotter) -> F) -> Snapshotter {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(run(recorder.snapshotter())));
    snapshotter
}

fn layer() -> ScrapestWebhookLayer {
    ScrapestWebhookLayer::new(SECRET)
}

fn genuine() -> SignedRequest {
    testing::scrapest(SECRET).sign()
}

fn forged() -> SignedRequest {
    testing::scrapest("another secret, or none").sign()
}

fn stale() -> SignedRequest {
    let old = SystemTime::now() - Duration::from_secs(7_200);
    testing::scrapest(SECRET).with_time(old).sign()
}

fn app<P: Provider, F>(
    layer: WebhookLayer<P>,
    handler: impl Fn(Delivery) -> F + Clone + Send + Sync + 'static,
) -> axum::Router
where
    F: Future<Output = StatusCode> + Send + 'static,
{
    axum::Router::new().route("/", post(handler).route_layer(layer))
}

async fn send(app: &axum::Router, request: &SignedRequest) -> u16 {
    let answer = app.clone().oneshot(request.clone().into_http::<Body>("/"));
    answer.await.unwrap().status().as_u16()
}

#[test]
fn every_request_is_counted_by_its_outcome() {
    let seen = seen(&recorded(async |_| {
        let app = app(layer(), async |_| StatusCode::NO_CONTENT);
        let once = genuine();
        for request in [&once, &once, &forged(), &stale()] {
            send(&app, request).await;
        }
    }));
    let of = "sender=scrapest kind=tweet.created";
    assert_eq!(seen[&format!("deliveries_total {of} outcome=completed")], 1.0);
    assert_eq!(seen[&format!("deliveries_total {of} outcome=duplicate")], 1.0);
    let deliveries = seen.keys().filter(|name| name.starts_with("deliveries_total"));
    assert_eq!(
        deliveries.count(),
        2,
        "only an authentic and fresh request is a delivery: {seen:#?}"
    );
    // A stale request is distinguished from a forged one, and reasons that did not occur are exported as 0.
    for (reason, count) in [("stale", 1.0), ("wrong_signature", 1.0), ("store_down", 0.0)] {
        assert_eq!(seen[&format!("refusals_total sender=scrapest reason={reason}")], count);
    }
    let refusals = seen.keys().filter(|name| name.starts_with("refusals_total"));
    assert_eq!(
        refusals.count(),
        RejectionKind::ALL.len() - 3,
        "a duplicate, a challenge and a filtered event are not refusals"
    );
    for outcome in ["completed", "duplicate", "stale", "wrong_signature"] {
        assert_eq!(seen[&format!("duration_seconds sender=scrapest outcome={outcome}")], 1.0);
    }
    assert_eq!(seen["body_bytes sender=scrapest"], 4.0);
    assert_eq!(seen["body_duration_seconds sender=scrapest"], 4.0);
    assert_eq!(seen["handler_duration_seconds sender=scrapest"], 1.0);
    assert_eq!(seen["store_duration_seconds verb=claim"], 2.0);
    assert_eq!(seen["store_duration_seconds verb=complete"], 1.0);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    assert!((now - seen["last_accepted_timestamp_seconds sender=scrapest"]).abs() < 60.0);
    assert_eq!(seen["records sender=scrapest"], 2.0);
    assert!((now - seen["oldest_record_timestamp_seconds sender=scrapest"]).abs() < 60.0);
}

#[test]
fn authentic_requests_are_counted_by_the_label_of_the_matching_secret() {
    const OLD: &str = "whsec_canary_7b1d5f0c93aa4e21_old";
    let seen = seen(&recorded(async |_| {
        let labelled = |secret: &str, label: &str| Secret::from(secret).with_label(label);
        let secrets = Secrets::new([OLD]).unwrap();
        let layer = ScrapestWebhookLayer::from_secrets(secrets.clone());
        let app = app(layer, async |_| StatusCode::NO_CONTENT);
        send(&app, &testing::scrapest(OLD).sign()).await;
        secrets.replace([labelled(SECRET, "2026-11"), labelled(OLD, "2026-05")]).unwrap();
        for secret in [OLD, SECRET, SECRET, "another secret, or none"] {
            send(&app, &testing::scrapest(secret).sign()).await;
        }
    }));
    let of = seen.iter().filter(|(name, _)| name.starts_with("verified_total"));
    let of: Vec<_> = of.map(|(name, count)| (name.as_str(), *count)).collect();
    let total = "verified_total sender=scrapest signed_with=";
    assert_eq!(
        of,
        [
            (format!("{total}1").as_str(), 1.0),
            (format!("{total}2026-05").as_str(), 1.0),
            (format!("{total}2026-11").as_str(), 2.0),
        ]
    );
}

#[test]
fn an_invented_kind_does_not_become_a_label() {
    let seen = seen(&recorded(async |_| {
        let app = app(layer(), async |_| StatusCode::NO_CONTENT);
        for kind in ["tweet.updated", "made.up", "made.up.as.well"] {
            send(&app, &testing::scrapest(SECRET).with_kind(kind).sign()).await;
        }
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let nameless = format!(r#"{{"detected_at":{now}}}"#);
        let nameless = testing::scrapebadger(SECRET).with_body(nameless).sign();
        let badger = ScrapeBadgerWebhookLayer::new(SECRET);
        assert_eq!(send(&self::app(badger, async |_| StatusCode::OK), &nameless).await, 200);
        // An answered challenge counts as an accepted request too.
        send(&app, &testing::scrapest(SECRET).with_kind("webhook.verification").sign()).await;
    }));
    let count = |kind, outcome| {
        seen[&format!("deliveries_total sender=scrapest kind={kind} outcome={outcome}")]
    };
    assert_eq!(count("tweet.updated", "completed"), 1.0);
    assert_eq!(count("other", "completed"), 2.0);
    assert_eq!(seen["deliveries_total sender=scrapebadger kind=unknown outcome=completed"], 1.0);
    assert_eq!(count("unknown", "challenge"), 1.0);
}

#[test]
fn gauges_report_running_handlers_waiters_and_bytes_in_flight() {
    const NOW: [&str; 3] = ["running_handlers", "waiters", "bytes_in_flight"];
    let of = |seen: &Seen| NOW.map(|name| seen[&format!("{name} sender=scrapest")]);
    let (request, mut midway) = (genuine(), [0.0; 3]);
    let rest = recorded(async |snapshotter| {
        let app = app(layer(), async |_| {
            sleep(Duration::from_millis(300)).await;
            StatusCode::NO_CONTENT
        });
        let look = async {
            sleep(Duration::from_millis(100)).await;
            midway = of(&seen(&snapshotter));
        };
        let (first, second, ()) = tokio::join!(send(&app, &request), send(&app, &request), look);
        assert_eq!((first, second), (204, 200));
    });
    assert_eq!(midway, [1.0, 1.0, 2.0 * request.body().len() as f64]);
    // This recorder starts from zero at each snapshot, so a gauge that has returned to zero shows the negative of its
    // earlier value.
    assert_eq!(of(&seen(&rest)), midway.map(|height| -height));
}

#[test]
fn a_late_handler_counts_as_a_refusal_first_and_then_as_a_delivery() {
    let seen = seen(&recorded(async |_| {
        let layer = layer().with_answer_deadline(Duration::from_millis(50));
        let app = app(layer.clone(), async |_| {
            sleep(Duration::from_millis(150)).await;
            StatusCode::NO_CONTENT
        });
        assert_eq!(send(&app, &genuine()).await, 503);
        assert!(layer.drain(Duration::from_secs(10)).await);
    }));
    assert_eq!(seen["refusals_total sender=scrapest reason=answer_deadline"], 1.0);
    let delivery = "deliveries_total sender=scrapest kind=tweet.created outcome=completed";
    assert_eq!(seen[delivery], 1.0);
}

#[test]
fn would_be_refusals_of_observe_only_mode_are_counted_by_reason() {
    let seen = seen(&recorded(async |_| {
        let layer = layer().with_insecure_observe_only().with_body_limit(1_000);
        let app = axum::Router::new().route("/", post(|| async {}).route_layer(layer.clone()));
        let once = genuine();
        let challenge = testing::scrapest(SECRET).with_kind("webhook.verification").sign();
        let long = testing::scrapest(SECRET).with_body(vec![b' '; 2_000]).sign();
        for request in [&once, &once, &forged(), &stale(), &challenge, &long] {
            assert_eq!(send(&app, request).await, 200);
            assert!(layer.drain(Duration::from_secs(10)).await);
        }
    }));
    for reason in ["duplicate", "wrong_signature", "stale", "challenge", "body_too_large"] {
        assert_eq!(seen[&format!("would_refuse_total sender=scrapest reason={reason}")], 1.0);
    }
    let refused = seen.iter().filter(|(name, count)| name.starts_with("refusals") && **count > 0.0);
    assert_eq!(refused.count(), 0);
    let of = "deliveries_total sender=scrapest kind=tweet.created";
    assert_eq!(seen[&format!("{of} outcome=completed")], 1.0);
    assert_eq!(seen[&format!("{of} outcome=would_refuse")], 1.0, "the duplicate");
}

#[test]
fn a_filtered_post_is_counted_under_its_source() {
    let seen = seen(&recorded(async |_| {
        let provider = Scrapest::default().with_deliver(scrapest::Deliver::FullOnly);
        let app = app(layer().with_provider(provider), async |_| StatusCode::NO_CONTENT);
        for kind in ["fast-x", "x"] {
            send(&app, &testing::scrapest(SECRET).with_kind(kind).sign()).await;
        }
    }));
    let of = "deliveries_total sender=scrapest";
    assert_eq!(seen[&format!("{of} kind=fast-x outcome=filtered")], 1.0);
    assert_eq!(seen[&format!("{of} kind=x outcome=completed")], 1.0);
}

#[test]
fn the_known_kinds_of_each_sender_are_those_with_an_event() {
    for kind in Scrapest::default().kinds() {
        let sample = testing::scrapest(SECRET).with_kind(*kind).sign();
        let event = scrapest::Event::from_body(Some(kind), sample.body());
        assert!(!matches!(event, Ok(scrapest::Event::Unknown(_))), "{kind}");
    }
    for kind in scrapebadger::ScrapeBadger::default().kinds() {
        let event = scrapebadger::Event::from_body(Some(kind), &bytes::Bytes::from_static(b"{}"));
        assert!(!matches!(event, Ok(scrapebadger::Event::Unknown(_))), "{kind}");
    }
}
