//! A signed request, for either framework.

use bytes::Bytes;

/// A signed request, to be sent with POST.
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
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl SignedRequest {
    /// Returns the headers, with names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.headers.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Returns the body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Adds or replaces a header, for tests of requests that must be refused.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(present, _)| *present != name);
        self.headers.push((name, value.into()));
        self
    }

    /// Replaces the body but keeps the old signature.
    #[must_use]
    pub fn with_body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Converts it to a POST to `uri`, with any body type that can be made from bytes, like axum's `Body`.
    ///
    /// # Panics
    ///
    /// If `uri` is not a URI, or a header's value is invalid (a delivery id with a line feed).
    #[cfg(feature = "tower")]
    pub fn into_http<B: From<Bytes>>(self, uri: &str) -> http::Request<B> {
        let mut request = http::Request::post(uri);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        // The panic is documented, and a test has no use for an error.
        request.body(self.body.into()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Converts it to a POST to `uri`, for [`call_service`](actix_web::test::call_service) of actix-web.
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
    /// If `uri` is not a URI, or a header's value is invalid (a delivery id with a line feed).
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
