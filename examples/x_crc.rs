//! The webhooks of X itself: a challenge by GET (CRC), and signatures in base64.
//!
//! ```sh
//! cargo run --example x_crc
//! ```

use std::borrow::Cow;

use axum::body::{Body, to_bytes};
use axum::{Router, http::Request, routing::any};
use data_encoding::BASE64;
use scrapest_webhook::provider::{Challenge, Envelope, Message, Provider, Query, Signatures};
use scrapest_webhook::{DedupBy, Delivery, WebhookLayer};
use tower::ServiceExt;

/// X signs only the body, without an id or a time, so a replay is refused only while it is remembered.
#[derive(Clone, Debug, Default)]
struct X;

impl Provider for X {
    fn name(&self) -> &'static str {
        "x"
    }

    fn signature_headers(&self) -> impl Iterator<Item = &str> {
        ["x-twitter-webhooks-signature"].into_iter()
    }

    fn signatures(&self, value: &[u8]) -> Option<Signatures> {
        Signatures::base64(value.strip_prefix(b"sha256=")?)
    }

    fn get_challenge<'a>(&self, query: Query<'a>) -> Option<Cow<'a, [u8]>> {
        query.get("crc_token")
    }

    fn answer_get_challenge(&self, tag: &[u8; 32]) -> Option<Challenge> {
        Challenge::json("response_token", &format!("sha256={}", BASE64.encode(tag)))
    }

    fn envelope<'a>(&self, _: &Message<'a>) -> Envelope<'a> {
        Envelope::new().with_insecure_missing_timestamp(true)
    }

    fn dedup_by(&self) -> DedupBy {
        DedupBy::Tag
    }
}

#[tokio::main]
async fn main() {
    let layer = WebhookLayer::<X>::new("consumer-secret-0123456789");
    // `any`, because the layer must see the GET too.
    let app = Router::new().route("/", any(on_delivery).layer(layer));

    let challenge = Request::get("/?crc_token=MDEzZTI5OWY&nonce=1").body(Body::empty());
    let Ok(answer) = app.clone().oneshot(challenge.expect("a request")).await;
    let text = to_bytes(answer.into_body(), 1_024).await.expect("a body");
    // Computed by Python: base64(hmac.new(secret, token, sha256).digest()).
    let expected = r#"{"response_token":"sha256=Cmu9dz79AMomOiSNGleNFjdWMtY+qPLz5GHJiYLoCxk="}"#;
    assert_eq!(text, expected.as_bytes());

    let right = "sha256=HvngnI9kQCzfNCg47Q0kOoZqxxlkVNdcIB5m8MCaJvs=";
    for (body, promised) in [(r#"{"for_user_id":"1"}"#, 200), (r#"{"for_user_id":"2"}"#, 401)] {
        let request = Request::post("/").header("x-twitter-webhooks-signature", right);
        let request = request.body(Body::from(body)).expect("a request");
        let Ok(answer) = app.clone().oneshot(request).await;
        println!("{body}: {}", answer.status());
        assert_eq!(answer.status(), promised);
    }
}

async fn on_delivery(delivery: Delivery) {
    println!("{} bytes", delivery.body().len());
}
