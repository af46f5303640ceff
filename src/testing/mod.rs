//! Signs requests as a sender would, for the tests of your own handlers (feature `testing`).
//!
//! 1. [`scrapest`] or [`scrapebadger`] starts a request with the secret;
//! 2. [`with_kind`](WebhookRequest::with_kind) or [`with_body`](WebhookRequest::with_body) sets its content;
//! 3. [`sign`](WebhookRequest::sign) returns its headers and its body, which
//!    [`into_http`](SignedRequest::into_http) and [`into_actix`](SignedRequest::into_actix) convert to a request
//!    of the framework.
//!
//! ```
//! use axum::{Router, body::Body, http::StatusCode, routing::post};
//! use scrapest_webhook::{ScrapestWebhookLayer, scrapest, testing};
//! use tower::ServiceExt;
//!
//! async fn on_event(event: scrapest::Event) -> StatusCode {
//!     assert_eq!(event.kind(), Some("tweet.created"));
//!     StatusCode::NO_CONTENT
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let secret = "whsec_3fb1c8a0d94e4a7fb2c6";
//! let layer = ScrapestWebhookLayer::new(secret);
//! let app = Router::new().route("/", post(on_event).route_layer(layer));
//!
//! let request = testing::scrapest(secret).with_kind("tweet.created").sign().into_http::<Body>("/");
//! assert_eq!(app.clone().oneshot(request).await.unwrap().status(), StatusCode::NO_CONTENT);
//!
//! let forged = testing::scrapest("another secret, or none").sign().into_http::<Body>("/");
//! assert_eq!(app.oneshot(forged).await.unwrap().status(), StatusCode::UNAUTHORIZED);
//! # }
//! ```

mod samples;
mod signed;

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::OffsetDateTime;
use zeroize::Zeroizing;

pub use self::signed::SignedRequest;
use crate::json;
use crate::secret::Secret;

/// Starts a request from Scrapest: as documented, and otherwise as the defaults of
/// [`Scrapest`](crate::scrapest::Scrapest) assume. Default: a `tweet.created` with the current time and a new
/// delivery id, with only the body signed.
pub fn scrapest(secret: impl Into<Secret>) -> WebhookRequest {
    WebhookRequest::new(Sender::Scrapest { timestamp_signed: false }, secret.into())
}

/// Starts a request from ScrapeBadger in the form of its contract 1. Default: a `tweet` with the current time and
/// a new delivery id.
pub fn scrapebadger(secret: impl Into<Secret>) -> WebhookRequest {
    WebhookRequest::new(Sender::ScrapeBadger1, secret.into())
}

/// Starts a request from ScrapeBadger in the form of its contract 2. Default: a `tweet.detected` with the current
/// time and a new delivery id.
pub fn scrapebadger_contract_2(secret: impl Into<Secret>) -> WebhookRequest {
    WebhookRequest::new(Sender::ScrapeBadger2, secret.into())
}

#[derive(Clone, Copy, Debug)]
enum Sender {
    Scrapest { timestamp_signed: bool },
    ScrapeBadger1,
    ScrapeBadger2,
}

/// A request that is not signed yet.
#[derive(Clone)]
pub struct WebhookRequest {
    sender: Sender,
    secret: Zeroizing<Vec<u8>>,
    kind: Option<String>,
    body: Option<Bytes>,
    delivery_id: String,
    time: SystemTime,
}

impl WebhookRequest {
    fn new(sender: Sender, secret: Secret) -> Self {
        Self {
            sender,
            secret: secret.bytes,
            kind: None,
            body: None,
            delivery_id: format!("{:032x}", rand::random::<u128>()),
            time: SystemTime::now(),
        }
    }

    /// Sets a sample body of this kind, with its time filled in. There are samples for the kinds that the sender
    /// documents (for Scrapest those of both generations: names like `tweet.created`, and the sources `x`,
    /// `fast-x`, `telegram` and `discord`), and for Scrapest's challenge, `webhook.verification`. Any other kind
    /// has an empty payload.
    #[must_use]
    pub fn with_kind(self, kind: impl Into<String>) -> Self {
        Self { kind: Some(kind.into()), ..self }
    }

    /// Sets this body, byte for byte. It contains its own time and kind. The event header repeats the kind, unless
    /// [`with_kind`](Self::with_kind) sets another one, or a header cannot carry it.
    #[must_use]
    pub fn with_body(self, body: impl Into<Bytes>) -> Self {
        Self { body: Some(body.into()), ..self }
    }

    /// Sets the delivery id. Default: a new one for each request.
    #[must_use]
    pub fn with_delivery_id(self, id: impl Into<String>) -> Self {
        Self { delivery_id: id.into(), ..self }
    }

    /// Sends no header with a delivery id, like a sender that has no ids.
    #[must_use]
    pub fn without_delivery_id(self) -> Self {
        Self { delivery_id: String::new(), ..self }
    }

    /// Sets the time of the event and of the attempt. Default: now.
    #[must_use]
    pub fn with_time(self, time: SystemTime) -> Self {
        Self { time, ..self }
    }

    /// For Scrapest: signs `<timestamp header>.<body>` instead of the body alone.
    #[must_use]
    pub fn with_signed_timestamp(mut self) -> Self {
        if let Sender::Scrapest { timestamp_signed } = &mut self.sender {
            *timestamp_signed = true;
        }
        self
    }

    /// The delivery id, or a new id.
    fn event_id(&self) -> String {
        match self.delivery_id.is_empty() {
            true => format!("{:032x}", rand::random::<u128>()),
            false => self.delivery_id.clone(),
        }
    }

    /// Signs the request.
    #[must_use]
    pub fn sign(self) -> SignedRequest {
        let time = OffsetDateTime::from(self.time);
        let said = self.body.as_deref().and_then(kind_of);
        let kind = self.kind.as_deref().or(said.as_deref()).unwrap_or(match self.sender {
            Sender::Scrapest { .. } => "tweet.created",
            Sender::ScrapeBadger1 => "tweet",
            Sender::ScrapeBadger2 => "tweet.detected",
        });
        let body = self.body.clone().unwrap_or_else(|| {
            match self.sender {
                Sender::Scrapest { .. } => samples::scrapest(kind, time, &self.event_id()),
                Sender::ScrapeBadger1 => samples::scrapebadger_1(kind, &samples::written(time)),
                Sender::ScrapeBadger2 => samples::scrapebadger_2(kind, &samples::written(time)),
            }
            .to_string()
            .into()
        });
        let stamp = time.unix_timestamp().to_string();
        let (signature, delivery_id, event) = match self.sender {
            Sender::Scrapest { .. } => {
                ("x-scrapest-signature", "x-scrapest-delivery-id", Some("x-scrapest-event"))
            }
            Sender::ScrapeBadger1 => (
                "x-scrapebadger-signature",
                "x-scrapebadger-delivery-id",
                Some("x-scrapebadger-event"),
            ),
            Sender::ScrapeBadger2 => ("x-signature-256", "x-delivery-id", None),
        };
        let mut headers = vec![("content-type", "application/json".to_owned())];
        let mut prefix = None;
        match self.sender {
            Sender::Scrapest { timestamp_signed } => {
                headers.push(("user-agent", "Scrapest-Webhook/1.0".into()));
                headers.push(("x-scrapest-timestamp", stamp.clone()));
                prefix = timestamp_signed.then(|| format!("{stamp}."));
            }
            Sender::ScrapeBadger1 | Sender::ScrapeBadger2 => {
                headers.push(("user-agent", "ScrapeBadger-Webhook/1.0".into()));
            }
        }
        if let Sender::ScrapeBadger2 = self.sender {
            headers.push(("x-webhook-id", "wh_abc123".into()));
        }
        if !self.delivery_id.is_empty() {
            headers.push((delivery_id, self.delivery_id));
        }
        headers.extend(event.map(|name| (name, kind.to_owned())));
        headers.push((signature, sign(&self.secret, prefix.as_deref(), &body)));
        SignedRequest { headers, body }
    }
}

/// Redacts the secret.
impl fmt::Debug for WebhookRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookRequest")
            .field("sender", &self.sender)
            .field("kind", &self.kind)
            .field("delivery_id", &self.delivery_id)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

/// The kind in a body, from the fields of both senders and generations.
fn kind_of(body: &[u8]) -> Option<Cow<'_, str>> {
    let found = |[first, ..]: &json::Fields<'_, 3>| *first != json::Field::Absent;
    let fields = json::fields(body, ["event", "type", "source"], found);
    let kind = fields.into_iter().find_map(json::Field::text)?;
    kind.bytes().all(|byte| byte.is_ascii_graphic()).then_some(kind)
}

fn sign(secret: &[u8], prefix: Option<&str>, body: &[u8]) -> String {
    let mut mac = match Hmac::<Sha256>::new_from_slice(secret) {
        Ok(mac) => mac,
        // HMAC takes keys of any length (RFC 2104 §2).
        Err(_) => unreachable!("an HMAC key of any length will do"),
    };
    mac.update(prefix.unwrap_or_default().as_bytes());
    mac.update(body);
    let tag: [u8; 32] = mac.finalize().into_bytes().into();
    tag.iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
