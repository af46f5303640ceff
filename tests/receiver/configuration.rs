//! Invalid settings are refused before anything is served, with the setting, its value, and what is expected.

use std::time::Duration;

use axum::Router;
use axum::routing::post;
use scrapest_webhook::scrapest::Scrapest;
use scrapest_webhook::{ConfigError, ScrapestWebhookLayer, Secret, Secrets};
use support::in_process::{app, status};
use support::watched::Watched;
use support::{Handler, SECRET, genuine, layer};

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn with_provider(change: impl FnOnce(Scrapest) -> Scrapest) -> ScrapestWebhookLayer {
    layer().with_provider(change(Scrapest::default()))
}

/// The layer, the setting, and the text of the error.
fn table() -> Vec<(ScrapestWebhookLayer, &'static str, &'static str)> {
    let mebibyte = 1_048_576;
    vec![
        (
            layer().with_answer_deadline(Duration::ZERO),
            "answer_deadline",
            "answer_deadline: is 0, expected more than 0",
        ),
        (
            layer().with_body_deadline(Duration::ZERO),
            "body_deadline",
            "body_deadline: is 0, expected more than 0",
        ),
        (
            layer().with_run_limit(Duration::ZERO),
            "run_limit",
            "run_limit: is 0, expected more than 0",
        ),
        (
            layer().with_lease(Duration::from_millis(29)),
            "lease",
            "lease: is 29ms, expected at least 30ms",
        ),
        (
            layer().with_failed_auth_limit(0),
            "failed_auth_limit",
            "failed_auth_limit: is 0, expected at least 1 per minute: the genuine sender may fail once as well",
        ),
        (
            layer().with_retention(SECONDS(4_019)),
            "retention",
            "retention: is 4019s, expected at least 4020s: past tolerance + future tolerance + 2 × 60s \
             of clock error; otherwise a captured request could be accepted after its record has expired",
        ),
        (
            layer().with_past_tolerance(SECONDS(10)).with_retention(SECONDS(429)),
            "retention",
            "retention: is 429s, expected at least 430s: past tolerance + future tolerance + 2 × 60s \
             of clock error; otherwise a captured request could be accepted after its record has expired",
        ),
        (
            layer().with_run_limit(SECONDS(4_190)),
            "retention",
            "retention: is 4200s, expected more than run limit + lease (4190s + 15s)",
        ),
        (layer().with_body_limit(0), "body_limit", "body_limit: is 0, expected more than 0 bytes"),
        (
            layer().with_bytes_in_flight(mebibyte - 1),
            "bytes_in_flight",
            "bytes_in_flight: is 1048575, expected at least the body limit of 1048576 bytes",
        ),
        (
            with_provider(|scrapest| scrapest.with_signature_header("")),
            "signature_header",
            "signature_header: is \"\", expected the name of a header",
        ),
        (
            with_provider(|scrapest| scrapest.with_timestamp_header("x timestamp")),
            "timestamp_header",
            "timestamp_header: is \"x timestamp\", expected the name of a header",
        ),
        (
            with_provider(|scrapest| scrapest.with_delivery_id_header("x-id:")),
            "delivery_id_header",
            "delivery_id_header: is \"x-id:\", expected the name of a header",
        ),
        (
            with_provider(|scrapest| scrapest.with_event_header("x-évent")),
            "event_header",
            "event_header: is \"x-évent\", expected the name of a header",
        ),
    ]
}

#[test]
fn each_error_names_the_setting_its_value_and_valid_values() {
    for (layer, setting, text) in table() {
        let error = layer.check().expect_err(setting);
        assert_eq!((error.setting(), &*error.to_string()), (setting, text));
    }
}

#[test]
fn applying_an_invalid_layer_panics_with_the_error_text() {
    for (layer, _, text) in table() {
        let put = std::panic::AssertUnwindSafe(|| {
            let routes = Router::new().route("/", post(|| async {}).route_layer(layer));
            // axum applies the layer here, or when it starts to serve; not at `route_layer`.
            let _ = routes.with_state::<()>(());
        });
        let panic = std::panic::catch_unwind(put).expect_err(text);
        assert_eq!(panic.downcast_ref::<String>().unwrap(), text);
    }
}

#[test]
fn the_boundary_value_of_each_setting_is_valid() {
    for layer in [
        layer().with_answer_deadline(Duration::from_nanos(1)),
        layer().with_body_deadline(Duration::from_nanos(1)),
        layer().with_run_limit(Duration::from_nanos(1)),
        layer().with_lease(Duration::from_millis(30)),
        layer().with_retention(SECONDS(4_020)),
        layer().with_past_tolerance(Duration::ZERO).with_future_tolerance(Duration::ZERO),
        layer().with_run_limit(SECONDS(4_185)),
        layer().with_body_limit(1).with_bytes_in_flight(1),
        layer().with_bytes_in_flight(usize::MAX),
        layer().with_bytes_in_flight(1_048_576),
    ] {
        layer.check().unwrap();
    }
}

#[test]
fn an_unusable_secret_is_refused_everywhere() {
    let refused = |secret: &str, text: &str| {
        let errors = [
            ScrapestWebhookLayer::try_new(secret).unwrap_err(),
            Secrets::new([secret]).unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.setting(), &*error.to_string()), ("secret", text));
        }
        let panic = std::panic::catch_unwind(|| ScrapestWebhookLayer::new(secret)).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), text);
    };
    let one = "expected the one the webhook was created with";
    refused("", &format!("secret: secret is empty, {one}"));
    refused(" \t\r\n ", &format!("secret: secret is blank, {one}"));
    refused("          ", &format!("secret: secret is blank, {one}"));
    refused("7 bytes", "secret: secret has 7 bytes, expected at least 8");
    ScrapestWebhookLayer::try_new("8 bytes!").unwrap();

    let error = Secret::from_env("SCRAPEST_WEBHOOK_IS_NOT_SET").unwrap_err();
    assert_eq!(
        error.to_string(),
        "secret: environment variable \"SCRAPEST_WEBHOOK_IS_NOT_SET\" is not set, expected the \
         webhook's secret"
    );
    let error = Secret::from_file("/is/not/there").unwrap_err();
    assert!(error.to_string().starts_with("secret: file \"/is/not/there\" cannot be read: "));
}

#[test]
fn the_debug_output_of_a_layer_never_contains_its_secret() {
    let secrets = Secrets::new(["whsec_canary_of_this_month", "whsec_canary_of_last_month"]);
    let layer = ScrapestWebhookLayer::from_secrets(secrets.unwrap());
    let service = tower::Layer::layer(&layer, ());
    let error = ConfigError::new("lease", "is odd");
    for said in [
        format!("{layer:?} {layer:#?}"),
        format!("{service:?} {service:#?}"),
        format!("{:?}", Secret::from(SECRET)),
        format!("{:?}", genuine()),
        format!("{error:?} {error}"),
    ] {
        assert!(!said.contains("canary"), "{said}");
        assert!(!said.contains(&format!("{:?}", SECRET.as_bytes())), "{said}");
    }
    assert!(format!("{layer:?}").contains(r#"["1", "2"] <redacted>"#));
}

/// A span that users set to disable a limit.
#[tokio::test(start_paused = true)]
async fn an_unlimited_duration_overflows_no_clock_in_a_request() {
    let ever = Duration::MAX;
    for (setting, layer) in [
        ("answer_deadline", layer().with_answer_deadline(ever)),
        ("body_deadline", layer().with_body_deadline(ever)),
        ("run_limit", layer().with_run_limit(ever).with_retention(ever)),
        ("lease", layer().with_lease(ever)),
        ("retention", layer().with_retention(ever)),
        ("past_tolerance", layer().with_past_tolerance(ever)),
        ("future_tolerance", layer().with_future_tolerance(ever)),
    ] {
        let error = layer.check().unwrap_err().to_string();
        let expected = format!("{setting}: is {ever:?}, expected at most 315360000s (10 years)");
        assert_eq!(error, expected);
    }
    let years = SECONDS(10 * 365 * 24 * 3_600);
    let half = years / 2;
    let layer = layer()
        .with_answer_deadline(years)
        .with_body_deadline(years)
        .with_run_limit(half)
        .with_lease(half)
        .with_retention(years)
        .with_past_tolerance(half)
        .with_future_tolerance(half - SECONDS(120));
    let store = Watched::default();
    let app = app(layer.with_store(store.clone()), &Handler::ok());
    assert_eq!(status(&app, &genuine().sign()).await, 200);
    // Also for the spans that are used only while the store is down.
    store.set_down(true);
    let late = tokio::spawn(async move { status(&app, &genuine().sign()).await });
    tokio::time::sleep(SECONDS(60)).await;
    store.set_down(false);
    assert_eq!(late.await.unwrap(), 200);
}
