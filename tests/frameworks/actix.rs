//! Tests features of actix-web only: its ways to wrap, its extractors, and handlers that are not `Send`.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{App, Error, HttpResponse, test, web};
use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{
    Delivery, EventError, EventErrorKind, Rejection, RejectionKind, ScrapestWebhookLayer,
    scrapebadger, scrapest,
};

const SECRET: &str = "whsec_canary_7b1d5f0c93aa4e21";

fn layer() -> ScrapestWebhookLayer {
    ScrapestWebhookLayer::new(SECRET)
}

fn request(signed: &SignedRequest) -> actix_http::Request {
    let mut request = test::TestRequest::post().uri("/in/hook").set_payload(signed.body().clone());
    for header in signed.headers() {
        request = request.insert_header(header);
    }
    request.to_request()
}

async fn ok(_: Delivery) -> HttpResponse {
    HttpResponse::Ok().body("handled")
}

/// The status of the response, or of the response that an error turns into.
async fn status<S, B>(app: &S, signed: &SignedRequest) -> StatusCode
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
{
    match app.call(request(signed)).await {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    }
}

#[actix_web::test]
async fn it_can_wrap_an_app_a_scope_or_a_resource() {
    let signed = testing::scrapest(SECRET).sign();
    let forged = testing::scrapest("another secret, or none").sign();
    let resource = || web::resource("/hook").route(web::post().to(ok));

    let app = App::new().wrap(layer()).service(web::scope("/in").service(resource()));
    let app = test::init_service(app).await;
    assert_eq!(status(&app, &forged).await, 401);
    assert_eq!(status(&app, &signed).await, 200);

    let app = App::new().service(web::scope("/in").wrap(layer()).service(resource()));
    let app = test::init_service(app).await;
    assert_eq!(status(&app, &forged).await, 401);
    assert_eq!(status(&app, &signed).await, 200);

    let app = App::new().service(web::scope("/in").service(resource().wrap(layer())));
    let app = test::init_service(app).await;
    assert_eq!(status(&app, &forged).await, 401);
    assert_eq!(status(&app, &signed).await, 200);
}

/// actix panics if a request is routed while a clone of it exists, and a middleware in between may delay the
/// routing.
#[actix_web::test]
async fn a_middleware_in_between_may_delay_the_routing() {
    let late = from_fn(|request, next: actix_web::middleware::Next<_>| async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        next.call(request).await
    });
    let scope =
        web::scope("/in").wrap(late).service(web::resource("/hook").route(web::post().to(ok)));
    let app = test::init_service(App::new().wrap(layer()).service(scope)).await;
    let response = test::call_service(&app, request(&testing::scrapest(SECRET).sign())).await;
    assert_eq!(response.status(), 200);
    assert_eq!(test::read_body(response).await, "handled");
}

#[actix_web::test]
async fn a_refusal_is_ok_with_its_reason_in_the_extensions() {
    let app = App::new().service(web::resource("/in/hook").route(web::post().to(ok)).wrap(layer()));
    let app = test::init_service(app).await;
    let forged = testing::scrapest("another secret, or none").sign();
    let response = app.call(request(&forged)).await.unwrap();
    let reason = *response.response().extensions().get::<Rejection>().unwrap();
    assert_eq!(reason.kind(), RejectionKind::WrongSignature);
    assert_eq!(response.into_body().try_into_bytes().ok().unwrap(), "unauthorized");
}

#[actix_web::test]
async fn bytes_json_and_payload_still_work_byte_for_byte() {
    let body = br#"{"id": "1", "event": "mention.created", "timestamp": TIME, "data": {"n":1.0}}"#;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs().to_string();
    let body = String::from_utf8_lossy(body).replace("TIME", &now);
    let echo = |body: web::Bytes| async move { body };
    let stream = |payload: web::Payload| async move { HttpResponse::Ok().streaming(payload) };
    let json = |json: web::Json<serde_json::Value>| async move { json["data"]["n"].to_string() };
    for (handler, expected) in [
        (web::post().to(echo), body.as_str()),
        (web::post().to(stream), body.as_str()),
        (web::post().to(json), "1.0"),
    ] {
        let resource = web::resource("/in/hook").route(handler).wrap(layer());
        let app = test::init_service(App::new().service(resource)).await;
        let signed = testing::scrapest(SECRET).with_body(body.clone()).sign();
        let answer = test::call_and_read_body(&app, request(&signed)).await;
        assert_eq!(answer, expected);
    }
}

#[actix_web::test]
async fn a_handler_need_not_be_send() {
    let handler = |event: scrapest::Event| async move {
        let text = Rc::new(event.tweet().and_then(|tweet| tweet.text.clone()).unwrap());
        tokio::task::yield_now().await;
        text.to_string()
    };
    let resource = web::resource("/in/hook").route(web::post().to(handler)).wrap(layer());
    let app = test::init_service(App::new().service(resource)).await;
    let answer = test::call_and_read_body(&app, request(&testing::scrapest(SECRET).sign())).await;
    assert_eq!(answer, "The future is electric...");
}

#[actix_web::test]
async fn an_extractor_without_the_layer_is_a_500() {
    let app = test::init_service(App::new().route("/in/hook", web::post().to(ok))).await;
    assert_eq!(status(&app, &testing::scrapest(SECRET).sign()).await, 500);
}

#[actix_web::test]
async fn a_broken_payload_is_a_422_unless_the_handler_decides_and_its_retry_runs() {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let broken = format!(r#"{{"event": "tweet.created", "timestamp": {now}, "data": {{}}}}"#);
    let signed = testing::scrapest(SECRET).with_body(broken).sign();

    let typed = |_: scrapest::Event| async { HttpResponse::Ok().finish() };
    let resource = web::resource("/in/hook").route(web::post().to(typed)).wrap(layer());
    let app = test::init_service(App::new().service(resource)).await;
    assert_eq!(status(&app, &signed).await, 422);
    assert_eq!(status(&app, &signed).await, 422, "released, not swallowed");

    let deciding = |event: Result<scrapest::Event, EventError>| async move {
        assert_eq!(event.unwrap_err().kind(), EventErrorKind::Payload);
        HttpResponse::Accepted().finish()
    };
    let resource = web::resource("/in/hook").route(web::post().to(deciding)).wrap(layer());
    let app = test::init_service(App::new().service(resource)).await;
    assert_eq!(status(&app, &signed).await, 202);

    let other = |_: scrapebadger::Event| async { HttpResponse::Ok().finish() };
    let resource = web::resource("/in/hook").route(web::post().to(other)).wrap(layer());
    let app = test::init_service(App::new().service(resource)).await;
    assert_eq!(status(&app, &signed).await, 500, "an event of the wrong sender");
}

#[actix_web::test]
async fn a_handlers_own_error_is_passed_on_and_releases_the_delivery() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let handler = move |_: Delivery| {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            match run {
                0 => Err(actix_web::error::ErrorBadGateway("upstream")),
                _ => Ok(HttpResponse::Ok().finish()),
            }
        }
    };
    let resource = web::resource("/in/hook").route(web::post().to(handler)).wrap(layer());
    let app = test::init_service(App::new().service(resource)).await;
    let signed = testing::scrapest(SECRET).sign();
    assert_eq!(status(&app, &signed).await, 502);
    assert_eq!(status(&app, &signed).await, 200);
    assert_eq!(status(&app, &signed).await, 200);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

/// The handler has consumed the request, so actix receives an error that carries the response.
#[actix_web::test]
async fn a_panic_is_a_500_with_its_reason_and_the_retry_runs() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let handler = move |_: Delivery| {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            tokio::task::yield_now().await;
            assert!(run > 0, "the first run panics");
            HttpResponse::Ok().finish()
        }
    };
    let resource = web::resource("/in/hook").route(web::post().to(handler)).wrap(layer());
    let app = test::init_service(App::new().service(resource)).await;
    let signed = testing::scrapest(SECRET).sign();
    let error = app.call(request(&signed)).await.err().unwrap();
    let response = error.error_response();
    assert_eq!(response.status(), 500);
    let reason = *response.extensions().get::<Rejection>().unwrap();
    assert_eq!(reason.kind(), RejectionKind::HandlerPanicked);
    assert_eq!(status(&app, &signed).await, 200);
}

#[actix_web::test]
async fn a_handler_past_the_answer_deadline_continues_and_the_retry_succeeds() {
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (beginning, ending) = (Arc::clone(&begun), Arc::clone(&ended));
    let handler = move |_: Delivery| {
        beginning.fetch_add(1, Ordering::SeqCst);
        let ending = Arc::clone(&ending);
        async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            ending.fetch_add(1, Ordering::SeqCst);
            HttpResponse::Ok().finish()
        }
    };
    let layer = layer().with_answer_deadline(Duration::from_millis(100));
    let resource = web::resource("/in/hook").route(web::post().to(handler)).wrap(layer.clone());
    let app = test::init_service(App::new().service(resource)).await;
    let signed = testing::scrapest(SECRET).sign();
    let response = app.call(request(&signed)).await.err().unwrap().error_response();
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    assert!(layer.drain(Duration::from_secs(5)).await);
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert_eq!(status(&app, &signed).await, 200);
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}
