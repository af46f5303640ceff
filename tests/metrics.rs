//! What is counted, under which names and labels.

#![allow(missing_docs, reason = "a test binary is nobody's library")]

use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::post;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use scrapest_webhook::store::{DeliveryStore, Key, Owner};
use scrapest_webhook::{MemoryStore, ScrapestWebhookLayer, Secret, Secrets, testing};
use tower::ServiceExt;

const SECRET: &str = "whsec_canary_7b1d5f0c93aa4e21";

/// Each name with its labels, and how often it was counted.
fn counted(run: impl Future<Output = ()>) -> Vec<(String, u64)> {
    let recorder = DebuggingRecorder::new();
    let seen = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(run));
    let mut counted: Vec<_> = seen
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let key = key.key();
            let labels: Vec<_> =
                key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let count = match value {
                DebugValue::Counter(count) => count,
                DebugValue::Histogram(values) => values.len().try_into().unwrap(),
                DebugValue::Gauge(_) => 0,
            };
            (format!("{} {}", key.name(), labels.join(" ")).trim_end().to_owned(), count)
        })
        .collect();
    counted.sort();
    counted
}

#[test]
fn requests_are_counted_by_sender_and_outcome() {
    let counted = counted(async {
        let layer = ScrapestWebhookLayer::new(SECRET);
        let handler = || async { StatusCode::NO_CONTENT };
        let app = axum::Router::new().route("/", post(handler).route_layer(layer));
        let genuine = testing::scrapest(SECRET).sign();
        let forged = testing::scrapest("another secret, or none").sign();
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(7_200);
        let stale = testing::scrapest(SECRET).with_time(old).sign();
        for request in [&genuine, &genuine, &forged, &stale] {
            app.clone().oneshot(request.clone().into_http::<Body>("/")).await.unwrap();
        }
    });
    let total = |outcome: &str| {
        (format!("scrapest_webhook_requests_total sender=scrapest outcome={outcome}"), 1)
    };
    // Authentic but stale is told from forged.
    for outcome in ["completed", "duplicate", "stale", "wrong_signature"] {
        assert!(counted.contains(&total(outcome)), "{outcome}: {counted:#?}");
        let duration =
            format!("scrapest_webhook_duration_seconds sender=scrapest outcome={outcome}");
        assert!(counted.contains(&(duration, 1)), "{outcome}: {counted:#?}");
    }
    assert!(counted.contains(&("scrapest_webhook_body_bytes sender=scrapest".into(), 4)));
}

#[test]
fn authentic_requests_are_counted_by_the_label_of_the_secret_that_fitted() {
    const OLD: &str = "whsec_canary_7b1d5f0c93aa4e21_old";
    let counted = counted(async {
        let labelled = |secret: &str, label: &str| Secret::from(secret).with_label(label);
        let secrets = Secrets::new([OLD]).unwrap();
        let layer = ScrapestWebhookLayer::from_secrets(secrets.clone());
        let handler = || async { StatusCode::NO_CONTENT };
        let app = axum::Router::new().route("/", post(handler).route_layer(layer));
        let send = async |secret: &str| {
            let request = testing::scrapest(secret).sign().into_http::<Body>("/");
            app.clone().oneshot(request).await.unwrap();
        };
        send(OLD).await;
        secrets.replace([labelled(SECRET, "2026-11"), labelled(OLD, "2026-05")]).unwrap();
        for secret in [OLD, SECRET, SECRET, "another secret, or none"] {
            send(secret).await;
        }
    });
    let of: Vec<_> =
        counted.iter().filter(|(name, _)| name.starts_with("scrapest_webhook_verified")).collect();
    let total = |label: &str, count| {
        (format!("scrapest_webhook_verified_total sender=scrapest signed_with={label}"), count)
    };
    assert_eq!(of, [&total("1", 1), &total("2026-05", 1), &total("2026-11", 2)]);
}

#[test]
fn what_a_full_store_pushes_out_is_counted() {
    let counted = counted(async {
        let store = MemoryStore::with_capacity(1.try_into().unwrap());
        let (lease, keep) =
            (std::time::Duration::from_secs(15), std::time::Duration::from_secs(60));
        for byte in 0..5 {
            let (key, owner) = (Key::from_bytes([byte; 32]), Owner::random());
            store.claim(&key, owner, lease, keep).await.unwrap();
            store
                .complete(&key, owner, scrapest_webhook::store::Fence::new(1), keep)
                .await
                .unwrap();
        }
    });
    // Two records are one delivery.
    assert_eq!(counted, [("scrapest_webhook_evictions_total".to_owned(), 3)]);
}
