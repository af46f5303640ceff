//! The layer in axum's four positions, in a `ServiceBuilder`, and around a function.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::Frame;
use scrapest_webhook::service::VerifiedBody;
use scrapest_webhook::{Delivery, Rejection, RejectionKind};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use super::{Runs, genuine, http, layer, send, status};

/// Sends a genuine delivery, its duplicate and a GET, and checks the answers.
async fn serves(app: Router, runs: &Runs) -> Response<Body> {
    let request = genuine().sign();
    for _ in 0..2 {
        assert_eq!(status(&app, &request).await, 200);
    }
    assert_eq!(runs.count(), 1);
    assert_eq!(status(&app, &request.with_body("{}")).await, 401);
    let mut get = http(&genuine().sign());
    *get.method_mut() = Method::GET;
    let answer = app.oneshot(get).await.unwrap();
    assert_eq!((answer.status(), runs.count()), (StatusCode::METHOD_NOT_ALLOWED, 1));
    assert_eq!(answer.headers()["allow"], "POST");
    answer
}

macro_rules! handler {
    ($runs:expr) => {{
        let runs = $runs.clone();
        post(move |delivery: Delivery, body: Bytes| async move {
            assert_eq!(*delivery.body(), body);
            runs.begin();
        })
    }};
}

#[tokio::test]
async fn router_layer_covers_every_route_and_the_fallback() {
    let runs = Runs::default();
    let app = Router::new().route("/", handler!(runs)).layer(layer());
    let answer = serves(app.clone(), &runs).await;
    // The layer's own answer, as it is before routing by method.
    let rejection = answer.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.kind(), RejectionKind::MethodNotAllowed);
    let nowhere = Request::post("/nowhere").body(Body::empty()).unwrap();
    assert_eq!(app.oneshot(nowhere).await.unwrap().status(), 401);
}

#[tokio::test]
async fn router_route_layer_does_not_cover_the_fallback() {
    let runs = Runs::default();
    let app = Router::new().route("/", handler!(runs)).route_layer(layer());
    serves(app.clone(), &runs).await;
    let nowhere = Request::post("/nowhere").body(Body::empty()).unwrap();
    assert_eq!(app.oneshot(nowhere).await.unwrap().status(), 404);
}

#[tokio::test]
async fn method_router_layer_also_answers_other_methods() {
    let runs = Runs::default();
    let app = Router::new().route("/", handler!(runs).layer(layer()));
    let answer = serves(app, &runs).await;
    assert!(answer.extensions().get::<Rejection>().is_some());
}

#[tokio::test]
async fn method_router_route_layer_lets_axum_answer_other_methods() {
    let runs = Runs::default();
    let app = Router::new().route("/", handler!(runs).route_layer(layer()));
    let answer = serves(app, &runs).await;
    assert!(answer.extensions().get::<Rejection>().is_none());
}

#[tokio::test]
async fn the_layer_works_in_a_service_builder_with_others() {
    let runs = Runs::default();
    let stack = ServiceBuilder::new().concurrency_limit(8).layer(layer()).concurrency_limit(4);
    let app = Router::new().route("/", handler!(runs).route_layer(stack));
    serves(app, &runs).await;
}

#[tokio::test]
async fn around_a_service_fn_any_body_type_is_accepted_and_returned() {
    let runs = Runs::default();
    let counted = runs.clone();
    let service = layer().layer(service_fn(move |request: Request<VerifiedBody>| {
        let runs = counted.clone();
        async move {
            let delivery = request.extensions().get::<Delivery>().unwrap().clone();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(*delivery.body(), body);
            runs.begin();
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"done"))))
        }
    }));
    let request = genuine().sign();
    for answer in ["done", ""] {
        let whole = request.clone().into_http::<Full<Bytes>>("/");
        let response = service.clone().oneshot(whole).await.unwrap();
        let (parts, body) = response.into_parts();
        assert_eq!((parts.status, runs.count()), (StatusCode::OK, 1));
        assert_eq!(body.collect().await.unwrap().to_bytes(), answer);
    }
    let limited =
        |bytes| genuine().sign().into_http::<Full<Bytes>>("/").map(|b| Limited::new(b, bytes));
    let answer = service.clone().oneshot(limited(10)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE, "the limit stood around the layer");
    assert_eq!(service.oneshot(limited(10_000)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_exceeded_body_limit_is_413_however_deeply_it_is_wrapped() {
    let runs = Runs::default();
    let app = Router::new().route("/", handler!(runs).route_layer(layer()));
    let request = http(&genuine().sign());
    // Like a body limit in front of the router: inside axum's own body, which is inside another.
    let request = request.map(|body| Body::new(Body::new(Limited::new(body, 10))));
    assert_eq!(app.oneshot(request).await.unwrap().status(), 413);
    assert_eq!(runs.count(), 0);
}

#[tokio::test]
async fn trailers_are_not_part_of_the_body() {
    let runs = Runs::default();
    let app = Router::new().route("/", handler!(runs).route_layer(layer()));
    let signed = genuine().sign();
    let (head, tail) = signed.body().split_at(20);
    let frames = [
        Frame::data(Bytes::copy_from_slice(head)),
        Frame::data(Bytes::new()),
        Frame::data(Bytes::copy_from_slice(tail)),
        Frame::trailers(
            [("x-scrapest-signature".parse().unwrap(), "sha256=".parse().unwrap())]
                .into_iter()
                .collect(),
        ),
    ];
    let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, Infallible>)));
    let answer = app.oneshot(http(&signed).map(|_| Body::new(body))).await.unwrap();
    assert_eq!((answer.status().as_u16(), runs.count()), (200, 1));
}

#[tokio::test]
async fn a_body_of_endless_empty_frames_is_cut_at_its_deadline() {
    let app = Router::new().route(
        "/",
        post(|| async {}).route_layer(layer().with_body_deadline(Duration::from_millis(50))),
    );
    let empty =
        futures_util::stream::repeat_with(|| Ok::<_, Infallible>(Frame::data(Bytes::new())));
    let request = http(&genuine().sign()).map(|_| Body::new(StreamBody::new(empty)));
    let answer = tokio::spawn(app.oneshot(request));
    // Spawned, because a body that is always ready must not keep other tasks of this thread from running.
    assert_eq!(answer.await.unwrap().unwrap().status(), 408);
}

#[tokio::test]
async fn clones_of_a_layer_on_two_routes_share_their_deliveries() {
    let runs = Runs::default();
    let shared = layer();
    let app = Router::new()
        .route("/", handler!(runs).route_layer(shared.clone()))
        .route("/other", handler!(runs).route_layer(shared));
    let request = genuine().sign();
    assert_eq!(status(&app, &request).await, 200);
    let other = request.clone().into_http::<Body>("/other");
    let answer = app.clone().oneshot(other).await.unwrap();
    let kind = answer.extensions().get::<Rejection>().map(Rejection::kind);
    assert_eq!((kind, runs.count()), (Some(RejectionKind::Duplicate), 1));
    // Two layers that were created separately share nothing.
    let apart = Router::new().route("/", handler!(runs).route_layer(layer()));
    assert!(send(&apart, &request).await.extensions().get::<Rejection>().is_none());
    assert_eq!(runs.count(), 2);
}
