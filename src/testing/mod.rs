//! Sign requests as a sender would, for the tests of your own handlers. Feature `testing`.
//!
//! 1. [`scrapest`] or [`scrapebadger`] begins a request with the secret;
//! 2. [`with_kind`](WebhookRequest::with_kind) or [`with_body`](WebhookRequest::with_body) says what it carries;
//! 3. [`sign`](WebhookRequest::sign) gives its headers and its body,
//!    [`into_http`](SignedRequest::into_http) and [`into_actix`](SignedRequest::into_actix) the whole as a request.
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

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::json;
use crate::secret::Secret;

/// A request of Scrapest's, as far as it is documented, and otherwise as the defaults of
/// [`Scrapest`](crate::scrapest::Scrapest) assume. Unless told otherwise: a `tweet.created` of now, under a
/// new delivery id, with only the body signed.
pub fn scrapest(secret: impl Into<Secret>) -> WebhookRequest {
    WebhookRequest::new(Sender::Scrapest { timestamp_signed: false }, secret.into())
}

/// A request of ScrapeBadger's, by its contract 1. Unless told otherwise: a `tweet` of now, under a new
/// delivery id.
pub fn scrapebadger(secret: impl Into<Secret>) -> WebhookRequest {
    WebhookRequest::new(Sender::ScrapeBadger1, secret.into())
}

/// A request of ScrapeBadger's, by its contract 2. Unless told otherwise: a `tweet.detected` of now, under
/// a new delivery id.
pub fn scrapebadger_contract_2(secret: impl Into<Secret>) -> WebhookRequest {
    WebhookRequest::new(Sender::ScrapeBadger2, secret.into())
}

#[derive(Clone, Copy, Debug)]
enum Sender {
    Scrapest { timestamp_signed: bool },
    ScrapeBadger1,
    ScrapeBadger2,
}

/// A request that is yet to be signed.
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

    /// A sample body of this kind, with its time filled in. Known are the kinds that the sender documents (for Scrapest
    /// those of both generations: `tweet.created` and the like, and the sources `x`, `fast-x`, `telegram` and
    /// `discord`), and for Scrapest `webhook.verification`, a challenge. Any other kind has an empty payload.
    #[must_use]
    pub fn with_kind(self, kind: impl Into<String>) -> Self {
        Self { kind: Some(kind.into()), ..self }
    }

    /// This body, byte for byte. Its time and kind are the ones in it. The event header repeats the kind, unless
    /// [`with_kind`](Self::with_kind) sets another one, or a header cannot carry it.
    #[must_use]
    pub fn with_body(self, body: impl Into<Bytes>) -> Self {
        Self { body: Some(body.into()), ..self }
    }

    /// The delivery id. Default: a new one for each request.
    #[must_use]
    pub fn with_delivery_id(self, id: impl Into<String>) -> Self {
        Self { delivery_id: id.into(), ..self }
    }

    /// No delivery id in a header, as from a sender that has none.
    #[must_use]
    pub fn without_delivery_id(self) -> Self {
        Self { delivery_id: String::new(), ..self }
    }

    /// The time of the event and of the attempt. Default: now.
    #[must_use]
    pub fn with_time(self, time: SystemTime) -> Self {
        Self { time, ..self }
    }

    /// Scrapest: sign `<timestamp header>.<body>` instead of the body alone.
    #[must_use]
    pub fn with_signed_timestamp(mut self) -> Self {
        if let Sender::Scrapest { timestamp_signed } = &mut self.sender {
            *timestamp_signed = true;
        }
        self
    }

    /// The delivery's, or else one of its own.
    fn event_id(&self) -> String {
        match self.delivery_id.is_empty() {
            true => format!("{:032x}", rand::random::<u128>()),
            false => self.delivery_id.clone(),
        }
    }

    /// Signs it.
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

/// A signed request, as the sender sends it: POST it.
///
/// ```
/// use axum::{Router, body::Body, http::StatusCode, routing::post};
/// use scrapest_webhook::{ScrapestWebhookLayer, testing};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let layer = ScrapestWebhookLayer::new("whsec_3fb1c8a0d94e4a7fb2c6");
/// let app = Router::new().route("/", post(|| async {}).route_layer(layer));
/// let signed = testing::scrapest("whsec_3fb1c8a0d94e4a7fb2c6").sign();
///
/// // Another body under the old signature is refused.
/// let forged = signed.clone().with_body(r#"{"event": "tweet.created"}"#).into_http::<Body>("/");
/// let response = app.clone().oneshot(forged).await.unwrap();
/// assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
///
/// let response = app.oneshot(signed.into_http::<Body>("/")).await.unwrap();
/// assert_eq!(response.status(), StatusCode::OK);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SignedRequest {
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl SignedRequest {
    /// The headers, names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.headers.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The same request with one header added, or replaced; for tests of what must be refused.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(present, _)| *present != name);
        self.headers.push((name, value.into()));
        self
    }

    /// The same request with another body, under the old signature.
    #[must_use]
    pub fn with_body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// As a POST to `uri`, with any body that is made of bytes, like axum's `Body`.
    ///
    /// # Panics
    ///
    /// If `uri` is not a URI, or a header's value cannot be one (a delivery id with a line feed).
    #[cfg(feature = "tower")]
    pub fn into_http<B: From<Bytes>>(self, uri: &str) -> http::Request<B> {
        let mut request = http::Request::post(uri);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        // Documented; and in a test there is nobody to hand an error to.
        request.body(self.body.into()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// As a POST to `uri`, for [`call_service`](actix_web::test::call_service) of actix-web.
    ///
    /// ```
    /// use actix_web::{App, HttpResponse, test, web};
    /// use scrapest_webhook::{ScrapestWebhookLayer, scrapest, testing};
    ///
    /// async fn on_event(_event: scrapest::Event) -> HttpResponse {
    ///     HttpResponse::NoContent().finish()
    /// }
    ///
    /// # #[actix_web::main] async fn main() {
    /// let layer = ScrapestWebhookLayer::new("whsec_3fb1c8a0d94e4a7fb2c6");
    /// let webhook = web::resource("/").route(web::post().to(on_event)).wrap(layer);
    /// let app = test::init_service(App::new().service(webhook)).await;
    ///
    /// let signed = testing::scrapest("whsec_3fb1c8a0d94e4a7fb2c6").sign();
    /// let response = test::call_service(&app, signed.into_actix("/").to_request()).await;
    /// assert_eq!(response.status(), 204);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If `uri` is not a URI, or a header's value cannot be one (a delivery id with a line feed).
    #[cfg(feature = "actix")]
    #[must_use]
    pub fn into_actix(self, uri: &str) -> actix_web::test::TestRequest {
        let mut request = actix_web::test::TestRequest::post().uri(uri);
        for header in self.headers {
            request = request.insert_header(header);
        }
        request.set_payload(self.body)
    }
}

/// The kind that a body names, by the field of either sender and generation.
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
