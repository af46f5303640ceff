//! Standard Webhooks (Svix, OpenAI, Resend and others), checked against the test vector of its reference
//! libraries.
//!
//! ```sh
//! cargo run --example standard_webhooks
//! ```

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use axum::{Router, body::Body, http::Request, routing::post};
use data_encoding::BASE64;
use scrapest_webhook::provider::{Envelope, Headers, Message, Provider, Signatures, Timestamp};
use scrapest_webhook::{DedupBy, Delivery, WebhookLayer};
use tower::ServiceExt;

/// Signs `<id>.<timestamp>.<body>`. One header contains a signature for each active secret.
#[derive(Clone, Debug, Default)]
struct StandardWebhooks;

impl Provider for StandardWebhooks {
    fn name(&self) -> &'static str {
        "standard-webhooks"
    }

    fn signature_headers(&self) -> impl Iterator<Item = &str> {
        ["webhook-signature"].into_iter()
    }

    /// Parses `v1,<base64> v1,<base64>`.
    fn signatures(&self, value: &[u8]) -> Option<Signatures> {
        let items = value.split(|byte| *byte == b' ');
        Signatures::list(items, |item| Signatures::base64(item.strip_prefix(b"v1,")?))
    }

    fn signed_prefixes<'a>(&self, headers: Headers<'a>) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let signed = headers.get("webhook-id").zip(headers.get("webhook-timestamp"));
        signed.map(|(id, time)| [id, b".", time, b"."].concat().into()).into_iter()
    }

    fn envelope<'a>(&self, message: &Message<'a>) -> Envelope<'a> {
        let time = message.header("webhook-timestamp").map(Timestamp::parse);
        Envelope::new()
            .with_id(message.header("webhook-id"))
            .with_timestamp(time.map(|at| Timestamp::signed(at).of_attempt()))
    }

    /// The id is part of the signed bytes.
    fn dedup_by(&self) -> DedupBy {
        DedupBy::DeliveryId
    }
}

#[tokio::main]
async fn main() {
    let secret = "whsec_plJ3nmyCDGBKInavdOK15jsl".trim_start_matches("whsec_");
    let secret = BASE64.decode(secret.as_bytes()).expect("a secret in base64");
    let sent = SystemTime::UNIX_EPOCH + Duration::from_secs(1_731_705_121);
    let layer = WebhookLayer::<StandardWebhooks>::new(secret).with_clock(move || sent);
    let app = Router::new().route("/", post(on_delivery).route_layer(layer));

    let right = "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=";
    let other = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (signatures, time, promised) in [
        (format!("{other} {right}"), "1731705121", 200),
        (other.to_owned(), "1731705121", 401),
        (right.to_owned(), "1731705122", 401),
    ] {
        let request = Request::post("/")
            .header("webhook-id", "msg_loFOjxBNrRLzqYUf")
            .header("webhook-timestamp", time)
            .header("webhook-signature", signatures)
            .body(Body::from(r#"{"event_type":"ping","data":{"success":true}}"#))
            .expect("a request");
        let Ok(answer) = app.clone().oneshot(request).await;
        println!("{}", answer.status());
        assert_eq!(answer.status(), promised);
    }
}

async fn on_delivery(delivery: Delivery) {
    println!("{:?} of {:?}", delivery.id(), delivery.timestamp());
}
