//! A layer behind routers that strip the matched prefix: the webhook lookup sees the whole path.

use std::sync::{Arc, Mutex};

use actix_web::web;
use axum::Router;
use axum::routing::post;
use scrapest_webhook::{Delivery, ScrapestWebhookLayer, Secrets, Webhook, testing};
use tower::ServiceExt;

const PATH: &str = "/hooks/of/wh_1";

fn secret() -> &'static str {
    "whsec_canary_7b1d5f0c93aa4e21_of_wh_1"
}

type Asked = Arc<Mutex<Vec<String>>>;

/// A layer that knows one webhook, by its whole path.
fn layer(asked: &Asked) -> ScrapestWebhookLayer {
    let asked = Arc::clone(asked);
    let webhook = Webhook::new("wh_1", Secrets::new([secret()]).unwrap());
    ScrapestWebhookLayer::for_webhooks(move |request| {
        asked.lock().unwrap().push(request.path().to_owned());
        (request.path() == PATH).then(|| webhook.clone())
    })
}

#[tokio::test]
async fn a_nested_axum_router_passes_the_whole_path_to_the_lookup() {
    let asked = Asked::default();
    let route = post(async |_: Delivery| ()).route_layer(layer(&asked));
    let inner = Router::new().nest("/of", Router::new().route("/{id}", route));
    let app = Router::new().nest("/hooks", inner);
    let request = testing::scrapest(secret()).sign().into_http::<axum::body::Body>(PATH);
    assert_eq!(app.oneshot(request).await.unwrap().status(), 200);
    assert_eq!(*asked.lock().unwrap(), [PATH]);
}

#[actix_web::test]
async fn a_nested_actix_scope_passes_the_whole_path_to_the_lookup() {
    let asked = Asked::default();
    let route = web::post().to(async |_: Delivery| actix_web::HttpResponse::Ok());
    let resource = web::resource("/{id}").route(route).wrap(layer(&asked));
    let scope = web::scope("/hooks").service(web::scope("/of").service(resource));
    let app = actix_web::test::init_service(actix_web::App::new().service(scope)).await;
    let request = testing::scrapest(secret()).sign().into_actix(PATH).to_request();
    assert_eq!(actix_web::test::call_service(&app, request).await.status(), 200);
    assert_eq!(*asked.lock().unwrap(), [PATH]);
}
