//! The layer in every position that tower offers.

mod auto_traits;
mod extractors;
mod readiness;
mod refused_bodies;
mod servers;
mod stacks;
mod twice;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use http_body_util::BodyExt;
use scrapest_webhook::testing::{SignedRequest, WebhookRequest};
use scrapest_webhook::{ScrapestWebhookLayer, testing};
use tower::ServiceExt;

const SECRET: &str = "whsec_canary_7b1d5f0c93aa4e21";

fn layer() -> ScrapestWebhookLayer {
    ScrapestWebhookLayer::new(SECRET)
}

fn genuine() -> WebhookRequest {
    testing::scrapest(SECRET)
}

/// Counts the runs of a handler.
#[derive(Clone, Default)]
struct Runs(Arc<AtomicUsize>);

impl Runs {
    /// Counts a run, and returns the number of earlier ones.
    fn begin(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn http(request: &SignedRequest) -> Request<Body> {
    request.clone().into_http("/")
}

async fn send(app: &Router, request: &SignedRequest) -> Response {
    app.clone().oneshot(http(request)).await.unwrap()
}

async fn status(app: &Router, request: &SignedRequest) -> u16 {
    send(app, request).await.status().as_u16()
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}
