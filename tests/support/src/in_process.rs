//! A receiver without a socket, for tests with paused time.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::any;
use http_body_util::BodyExt;
use scrapest_webhook::testing::SignedRequest;
use scrapest_webhook::{Delivery, PeerAddr, Provider, WebhookLayer};
use tower::ServiceExt;

use crate::Handler;

/// The handler behind the layer, for every path and method.
pub fn app<P: Provider>(layer: WebhookLayer<P>, handler: &Handler) -> Router {
    let handler = handler.clone();
    let run = any(move |delivery: Delivery| {
        let handler = handler.clone();
        async move { StatusCode::from_u16(handler.run(delivery).await).unwrap() }
    });
    Router::new().fallback(run).layer(layer)
}

pub fn http(request: &SignedRequest) -> Request<Body> {
    request.clone().into_http("/")
}

pub async fn send(app: &Router, request: &SignedRequest) -> Response {
    app.clone().oneshot(http(request)).await.unwrap()
}

/// Sends a request as if from `peer`.
pub async fn send_from(peer: &str, app: &Router, request: &SignedRequest) -> Response {
    let mut request = http(request);
    request.extensions_mut().insert(PeerAddr(peer.parse().unwrap()));
    app.clone().oneshot(request).await.unwrap()
}

pub async fn status(app: &Router, request: &SignedRequest) -> u16 {
    send(app, request).await.status().as_u16()
}

pub async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}
