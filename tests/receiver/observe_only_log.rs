//! The log lines of the mode that refuses nothing.

use axum::body::Body;
use axum::routing::post;
use scrapest_webhook::{ScrapestWebhookLayer, testing};
use support::SECRET;
use support::logged::Logged;
use tower::ServiceExt;
use tracing::Level;

#[tokio::test(flavor = "current_thread")]
async fn observe_only_mode_is_logged_at_the_start_and_for_each_refusal() {
    let (logged, _guard) = Logged::begin();
    let layer = ScrapestWebhookLayer::new(SECRET).with_insecure_observe_only();
    let app = axum::Router::new().route("/", post(|| async {}).route_layer(layer.clone()));
    let (request, forged) = (testing::scrapest(SECRET).sign(), testing::scrapest("another secret"));
    for request in [&request, &request, &forged.sign()] {
        let request = request.clone().into_http::<Body>("/");
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), 200);
        // Work outside of the request may still be in progress.
        assert!(layer.drain(std::time::Duration::from_secs(10)).await);
    }
    let said: Vec<_> = logged
        .lines()
        .into_iter()
        .filter(|line| line.is_event && line.fields["message"].contains("observe-only"))
        .map(|line| (line.level, line.fields.get("reason").cloned().unwrap_or_default()))
        .collect();
    let expected =
        [(Level::WARN, ""), (Level::INFO, "duplicate"), (Level::INFO, "wrong_signature")];
    assert_eq!(said, expected.map(|(level, reason)| (level, reason.to_owned())));
}
