//! Converts a request to a fixture and a test.

use std::time::SystemTime;

use scrapest_webhook::Secret;
use scrapest_webhook::testing::WebhookRequest;

use super::exchanges::Entry;
use crate::sender::{Contract, Sender};

/// The name of both files, without the extension: lower case letters, digits and underscores.
pub(super) fn name(entry: &Entry) -> String {
    let kind = entry.exchange.kind().unwrap_or("request");
    let plain =
        |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '_' };
    let kind: String = kind.chars().take(60).map(plain).collect();
    format!("{kind}_{}", entry.number)
}

/// The request with the same body, kind, id and time, to be signed again.
pub(super) fn request(entry: &Entry, sender: Sender, secret: Secret) -> WebhookRequest {
    let contract = is_contract_2(entry).then_some(Contract::Two);
    let mut request =
        sender.request(contract, secret).with_body(entry.exchange.recording.body.clone());
    if let Some(kind) = entry.exchange.kind() {
        request = request.with_kind(kind);
    }
    if let Some(id) = entry.exchange.id() {
        request = request.with_delivery_id(id);
    }
    request
}

/// Whether it has the published format that names its event in the body.
fn is_contract_2(entry: &Entry) -> bool {
    serde_json::from_slice::<serde_json::Value>(&entry.exchange.recording.body)
        .is_ok_and(|body| body.get("event").is_some())
}

/// The test that uses the recording.
pub(super) fn test(entry: &Entry, sender: Sender) -> String {
    let name = name(entry);
    let (layer, function) = match (sender, is_contract_2(entry)) {
        (Sender::Scrapest, _) => ("ScrapestWebhookLayer", "scrapest"),
        (Sender::ScrapeBadger, true) => ("ScrapeBadgerWebhookLayer", "scrapebadger_contract_2"),
        (Sender::ScrapeBadger, false) => ("ScrapeBadgerWebhookLayer", "scrapebadger"),
    };
    let module = sender.name();
    let received = entry.exchange.recording.received.map_or_else(SystemTime::now, SystemTime::from);
    let seconds = received.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    format!(
        r#"//! A delivery that was received, as a test. Put `{name}.http` beside this file.

use std::time::{{Duration, SystemTime}};

use axum::{{Router, body::Body, http::StatusCode, routing::post}};
use scrapest_webhook::{{{layer}, {module}, testing}};
use tower::ServiceExt;

// Put your own handler in its place.
async fn on_event(_event: {module}::Event) -> StatusCode {{
    StatusCode::NO_CONTENT
}}

#[tokio::test]
async fn {name}_is_accepted() {{
    // The request is signed anew, with a secret for this test alone.
    const SECRET: &str = "whsec_of_this_test_only";
    let received = SystemTime::UNIX_EPOCH + Duration::from_secs({seconds});

    // A recording is an HTTP message: the body is everything after the empty line.
    let recording = include_bytes!("{name}.http");
    let body = recording.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let request = testing::{function}(SECRET).with_body(&recording[body..]).with_time(received);

    let layer = {layer}::new(SECRET).with_clock(move || received);
    let app = Router::new().route("/", post(on_event).route_layer(layer));
    let response = app.oneshot(request.sign().into_http::<Body>("/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
}}
"#
    )
}
