//! The mode that refuses nothing: which requests reach the handler, and that deliveries are recorded.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::routing::any;
use futures_util::future::join_all;
use http_body_util::StreamBody;
use hyper::body::Frame;
use scrapest_webhook::ScrapestWebhookLayer;
use support::connection::{Connection, chunked_text};
use support::in_process::http;
use support::watched::{Asked, Watched};
use support::{Framework, Handler, Plain, client, eventually, genuine, layer, seconds_ago};
use tokio::time::sleep;
use tower::ServiceExt;

use crate::body::genuine_of;

fn observing() -> ScrapestWebhookLayer {
    layer().with_insecure_observe_only()
}

async fn an_invalid_request_reaches_the_handler_unchanged<F: Framework>() {
    let handler = Plain::new(|before| async move { [201, 418][before % 2] });
    let server = F::serve_plain(observing(), handler.clone()).await;
    let once = genuine().sign();
    let requests = [
        once.clone(),
        // A duplicate, and a replay.
        once.clone(),
        once.clone().with_header("x-scrapest-delivery-id", "another"),
        genuine().sign().with_body("forged"),
        genuine().with_time(seconds_ago(99_999)).sign(),
        genuine().with_kind("webhook.verification").sign(),
        genuine().sign().with_header("x-scrapest-signature", "none"),
        genuine_of(2_000_000),
    ];
    for (place, request) in requests.iter().enumerate() {
        let answer = server.send(request).await;
        assert_eq!((answer.status, answer.body.len()), ([201, 418][place % 2], 0), "{place}");
        let given = handler.given().pop().unwrap();
        assert!(given.body.is_some_and(|body| body == *request.body()), "{place}");
        assert!(!given.has_delivery, "nobody vouches for it: {place}");
    }
    let get = [client::head("GET", std::iter::empty()), b"\r\n".to_vec()].concat();
    assert_eq!(server.send_raw(&get).await.status, 201);
    assert_eq!(handler.given().pop().unwrap().method, "GET");
}

async fn a_body_that_is_too_long_or_too_slow_arrives_whole<F: Framework>() {
    let handler = Plain::new(|_| async { 200 });
    let layer = observing().with_body_limit(10_000).with_body_deadline(Duration::from_millis(100));
    let server = F::serve_plain(layer, handler.clone()).await;
    // Its first pieces are read before it turns out to be too long.
    let request = genuine_of(100_000);
    let mut connection = Connection::to(&server).await;
    connection.write(&chunked_text(&request, 3_000, true)).await;
    assert_eq!(connection.answer().await.unwrap().status, 200);

    let slow = genuine_of(9_000);
    let text = client::text(&slow);
    let mut connection = Connection::to(&server).await;
    connection.write(&text[..text.len() - 1_000]).await;
    sleep(Duration::from_millis(400)).await;
    connection.write(&text[text.len() - 1_000..]).await;
    assert_eq!(connection.answer().await.unwrap().status, 200);

    let given: Vec<_> = handler.given().into_iter().map(|given| given.body.unwrap()).collect();
    assert!(given == [request.body(), slow.body()], "byte for byte");
}

async fn duplicates_do_not_wait_and_a_handler_may_be_slow<F: Framework>() {
    let handler = Plain::new(|_| async {
        sleep(Duration::from_secs(3)).await;
        202
    });
    let deadline = Duration::from_millis(200);
    let layer = observing().with_answer_deadline(deadline).with_max_concurrent_runs(1);
    let server = F::serve_plain(layer, handler.clone()).await;
    let request = genuine().sign();
    let asked = Instant::now();
    let answers = join_all((0..3).map(|_| server.send(&request))).await;
    assert!(answers.iter().all(|answer| answer.status == 202));
    assert_eq!(handler.given().len(), 3);
    assert!(asked.elapsed() < Duration::from_secs(9), "one after the other: {:?}", asked.elapsed());
}

async fn the_outcome_of_the_handler_is_recorded_as_usual<F: Framework>() {
    let store = Watched::default();
    let handler = Plain::new(|before| async move { [500, 200][before] });
    let server = F::serve_plain(observing().with_store(store.clone()), handler).await;
    let request = genuine().sign();
    let last = |asked: fn(&Asked) -> bool| {
        move |store: &Watched| store.asked().last().is_some_and(|(_, last)| asked(last))
    };
    let (released, completed) = (
        last(|asked| *asked == Asked::Release),
        last(|asked| matches!(asked, Asked::Complete { .. })),
    );
    assert_eq!(server.send(&request).await.status, 500);
    eventually("it is released", || released(&store)).await;
    assert_eq!(server.send(&request).await.status, 200);
    eventually("it is completed", || completed(&store)).await;

    // When the mode is turned off, deliveries from before are not handled again.
    sleep(Duration::from_millis(100)).await;
    let handler = Handler::ok();
    let server = F::serve(layer().with_store(store), handler.clone()).await;
    assert_eq!(server.send(&request).await.status, 200);
    assert_eq!(handler.runs(), 0);
}

async fn a_store_that_is_down_or_slow_delays_no_request<F: Framework>() {
    let handler = Plain::new(|_| async { 200 });
    let down = Watched::default();
    down.set_down(true);
    for store in [down, Watched::slow(Duration::from_secs(30))] {
        let server = F::serve_plain(observing().with_store(store), handler.clone()).await;
        let asked = Instant::now();
        assert_eq!(server.send(&genuine().sign()).await.status, 200);
        assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    }
}

support::for_each_framework! {
    an_invalid_request_reaches_the_handler_unchanged,
    a_body_that_is_too_long_or_too_slow_arrives_whole,
    duplicates_do_not_wait_and_a_handler_may_be_slow,
    the_outcome_of_the_handler_is_recorded_as_usual,
    a_store_that_is_down_or_slow_delays_no_request,
}

/// A handler that reads the body itself, and answers 422 if that fails.
fn reader(layer: ScrapestWebhookLayer) -> Router {
    let read = any(|body: Result<Bytes, _>| async move {
        let body: Result<Bytes, axum::extract::rejection::BytesRejection> = body;
        body.map_or(StatusCode::UNPROCESSABLE_ENTITY, |_| StatusCode::OK)
    });
    Router::new().fallback(read).layer(layer)
}

#[tokio::test]
async fn a_truncated_body_is_also_truncated_for_the_handler() {
    let pieces = [Ok(Frame::data(Bytes::from_static(b"{"))), Err("broken")];
    let body = Body::new(StreamBody::new(futures_util::stream::iter(pieces)));
    let request = http(&genuine().sign()).map(|_| body);
    let answer = reader(observing()).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
}
