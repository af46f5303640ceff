//! Each body that the layer accepts reaches every extractor, whatever limit the framework has.

use actix_web::web;
use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::post;
use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{ScrapestWebhookLayer, Secret};
use serde_json::Value;
use tower::ServiceExt;

const SECRET: &str = "whsec_canary_7b1d5f0c93aa4e21";
const LIMIT: usize = 4 * 1024 * 1024;

fn layer() -> ScrapestWebhookLayer {
    ScrapestWebhookLayer::new(Secret::from(SECRET)).with_body_limit(LIMIT)
}

/// A JSON body of about `bytes` bytes.
fn long(bytes: usize) -> SignedRequest {
    let body = testing::scrapest(SECRET).sign().body().clone();
    let mut event: Value = serde_json::from_slice(&body).unwrap();
    event["padding"] = "x".repeat(bytes).into();
    testing::scrapest(SECRET).with_body(event.to_string()).sign()
}

fn lengths() -> [usize; 4] {
    // Below every default limit, and above the limits of forms, of actix's bodies, and of JSON in both
    // frameworks.
    [1_000, 20_000, 300_000, 3_000_000]
}

async fn on_axum(app: &Router, request: &SignedRequest) -> StatusCode {
    let mut request = request.clone().into_http::<axum::body::Body>("/");
    request.headers_mut().insert("content-type", "application/json".parse().unwrap());
    app.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn each_extractor_of_axum_gets_each_body() {
    async fn length(body: Bytes) -> String {
        body.len().to_string()
    }
    let routes = [
        post(length),
        post(async |body: String| body.len().to_string()),
        post(async |body: axum::Json<Value>| body.0["event"].to_string()),
    ];
    for route in routes {
        let app = Router::new().route("/", route.route_layer(layer()));
        // Also with a limit that the application sets for all its routes.
        for app in [app.clone(), app.layer(DefaultBodyLimit::max(100))] {
            for bytes in lengths() {
                assert_eq!(on_axum(&app, &long(bytes)).await, 200, "{bytes}");
            }
        }
    }
}

async fn on_actix(configure: impl FnOnce(&mut web::ServiceConfig), request: &SignedRequest) -> u16 {
    let app = actix_web::test::init_service(actix_web::App::new().configure(configure)).await;
    let request =
        request.clone().into_actix("/").insert_header(("content-type", "application/json"));
    actix_web::test::call_service(&app, request.to_request()).await.status().as_u16()
}

#[actix_web::test]
async fn each_extractor_of_actix_gets_each_body() {
    let routes: [fn() -> actix_web::Route; 3] = [
        || web::post().to(async |body: web::Bytes| body.len().to_string()),
        || web::post().to(async |body: String| body.len().to_string()),
        || web::post().to(async |body: web::Json<Value>| body["event"].to_string()),
    ];
    for route in routes {
        let resource = || web::resource("/").route(route()).wrap(layer());
        for bytes in lengths() {
            let request = long(bytes);
            let plain = |app: &mut web::ServiceConfig| _ = app.service(resource());
            assert_eq!(on_actix(plain, &request).await, 200, "{bytes}");
            let small = |app: &mut web::ServiceConfig| {
                app.app_data(web::PayloadConfig::new(100))
                    .app_data(web::Data::new(web::JsonConfig::default().limit(100)))
                    .service(resource());
            };
            assert_eq!(on_actix(small, &request).await, 200, "{bytes}");
        }
    }
}

#[actix_web::test]
async fn other_actix_configuration_of_an_application_is_kept() {
    let teapot = web::JsonConfig::default().error_handler(|error, _| {
        actix_web::error::InternalError::new(error, actix_web::http::StatusCode::IM_A_TEAPOT).into()
    });
    let resource = web::resource("/")
        .wrap(layer())
        .route(web::post().to(async |_: web::Json<Vec<String>>| "never"));
    let app = |app: &mut web::ServiceConfig| _ = app.app_data(teapot).service(resource);
    assert_eq!(on_actix(app, &long(300_000)).await, 418);
}

#[actix_web::test]
async fn a_middleware_that_keeps_a_request_clone_disables_only_the_limits() {
    use actix_web::dev::Service;

    let resource = web::resource("/").wrap(layer()).wrap_fn(|request, inner| {
        let kept = request.request().clone();
        let answer = inner.call(request);
        async move {
            let answer = answer.await;
            drop(kept);
            answer
        }
    });
    let resource = resource.route(web::post().to(async |body: web::Bytes| body.len().to_string()));
    let app = actix_web::App::new().service(resource);
    let app = actix_web::test::init_service(app).await;
    for (bytes, status) in [(1_000, 200), (20_000, 200), (300_000, 413)] {
        let request = long(bytes).into_actix("/").to_request();
        assert_eq!(actix_web::test::call_service(&app, request).await.status(), status, "{bytes}");
    }
}
