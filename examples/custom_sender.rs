//! A custom sender: GitHub's scheme, checked against the test vector that GitHub publishes.
//!
//! ```sh
//! cargo run --example custom_sender
//! ```

use axum::{Router, body::Body, http::Request, routing::post};
use scrapest_webhook::provider::{Envelope, Message, Provider};
use scrapest_webhook::{Delivery, WebhookLayer};
use tower::ServiceExt;

/// GitHub signs only the raw body, in the default form `sha256=<hex>`. The delivery id and the event name are
/// in unsigned headers, and there is no timestamp, so a replay is refused only while it is remembered.
#[derive(Clone, Debug, Default)]
struct GitHub;

impl Provider for GitHub {
    fn name(&self) -> &'static str {
        "github"
    }

    fn signature_headers(&self) -> impl Iterator<Item = &str> {
        ["x-hub-signature-256"].into_iter()
    }

    fn envelope<'a>(&self, message: &Message<'a>) -> Envelope<'a> {
        Envelope::new()
            .with_id(message.header("x-github-delivery"))
            .with_kind(message.header_str("x-github-event"))
            .with_insecure_missing_timestamp(true)
    }
}

#[tokio::main]
async fn main() {
    let layer = WebhookLayer::<GitHub>::new("It's a Secret to Everybody");
    let app = Router::new().route("/", post(on_delivery).route_layer(layer));

    // https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    for (body, promised) in [("Hello, World!", 200), ("Hello, World?", 401)] {
        let request = Request::post("/")
            .header("x-hub-signature-256", signature)
            .header("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
            .header("x-github-event", "push")
            .body(Body::from(body))
            .expect("a request");
        let Ok(answer) = app.clone().oneshot(request).await;
        println!("{body}: {}", answer.status());
        assert_eq!(answer.status(), promised);
    }
}

async fn on_delivery(delivery: Delivery) {
    println!("{:?} of {} bytes", delivery.kind(), delivery.body().len());
}
