//! The layer applied twice, for example on the router and on its route. The inner one finds the claim of the
//! outer one, and must not wait for it.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use scrapest_webhook::{Delivery, ScrapestWebhookLayer};
use tokio::time::Instant;

use super::{Runs, genuine, layer, status};

fn twice(inner: ScrapestWebhookLayer, outer: ScrapestWebhookLayer, runs: &Runs) -> Router {
    let runs = runs.clone();
    let handler = post(move |delivery: Delivery| async move {
        assert!(!delivery.body().is_empty());
        match runs.begin() {
            0 => StatusCode::INTERNAL_SERVER_ERROR,
            1 => panic!("as it was told"),
            _ => StatusCode::CREATED,
        }
    });
    Router::new().route("/", handler.route_layer(inner)).layer(outer)
}

#[tokio::test(start_paused = true)]
async fn a_layer_applied_twice_works_like_one() {
    let one = layer();
    for (inner, outer) in [
        (one.clone(), one),
        // Two layers of the same sender, and two names in one store.
        (layer(), layer()),
        {
            let store = scrapest_webhook::MemoryStore::new();
            (layer().with_store(store.clone()).with_namespace("a"), layer().with_store(store))
        },
    ] {
        let runs = Runs::default();
        let app = twice(inner, outer, &runs);
        let (request, asked) = (genuine().sign(), Instant::now());
        for expected in [500, 500, 201, 200] {
            assert_eq!(status(&app, &request).await, expected);
        }
        assert_eq!((runs.count(), asked.elapsed().as_millis()), (3, 0));
    }
}
