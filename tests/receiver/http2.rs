//! HTTP/2, where a client can cancel a request without closing its connection. No task and no claim is left
//! behind, in whatever phase it does.
//!
//! On axum, which supports HTTP/2 without TLS.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use scrapest_webhook::ScrapestWebhookLayer;
use scrapest_webhook::testing::SignedRequest;
use support::watched::Watched;
use support::{Axum, Framework, Handler, PATH, Server, eventually, genuine, layer};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::body::genuine_of;

struct Client {
    sender: SendRequest<Body>,
    connection: tokio::task::JoinHandle<()>,
}

impl Client {
    async fn to(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (sender, connection) =
            Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(async move { _ = connection.await });
        let client = Self { sender, connection };
        // One round trip, so that the server's task for the connection exists too.
        let unsigned = Request::post(format!("http://localhost{PATH}")).body(Body::empty());
        assert_eq!(client.send(unsigned.unwrap()).await.unwrap().0, StatusCode::UNAUTHORIZED);
        client
    }

    /// Returns the status and body of the answer, or `None` if the stream was reset.
    async fn send(&self, request: Request<Body>) -> Option<(StatusCode, Bytes)> {
        let answer = self.sender.clone().send_request(request).await.ok()?;
        let (parts, body) = answer.into_parts();
        Some((parts.status, body.collect().await.ok()?.to_bytes()))
    }

    /// Starts the request in a task; aborting the task resets its stream.
    fn begin(&self, request: Request<Body>) -> tokio::task::JoinHandle<()> {
        let mut sender = self.sender.clone();
        tokio::spawn(async move {
            let answer = sender.send_request(request).await;
            let _ = answer.map(|answer| answer.status());
        })
    }
}

fn http(request: &SignedRequest) -> Request<Body> {
    request.clone().into_http(&format!("http://localhost{PATH}"))
}

/// The request with a body that is sent in pieces, as long as the sender exists.
fn in_pieces(request: &SignedRequest) -> (Request<Body>, mpsc::Sender<Bytes>) {
    let (sender, mut pieces) = mpsc::channel(1);
    let stream = futures_util::stream::poll_fn(move |cx| {
        pieces.poll_recv(cx).map(|piece| piece.map(|piece| Ok::<_, Infallible>(Frame::data(piece))))
    });
    (http(request).map(|_| Body::new(StreamBody::new(stream))), sender)
}

/// A handler that answers 200 after this time.
fn handler_of(millis: u64) -> Handler {
    Handler::new(move |_, _| async move {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        200
    })
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Checks that nothing runs any more, and that the retry gets the answer that the earlier runs imply.
async fn nothing_is_left_behind(
    layer: &ScrapestWebhookLayer,
    client: &Client,
    request: &SignedRequest,
    tasks_before: usize,
) {
    assert!(layer.drain(Duration::from_secs(5)).await, "a run is left");
    eventually("no task is left", || tasks() <= tasks_before).await;
    let (status, body) = client.send(http(request)).await.expect("an answer to the retry");
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_over_http_2_is_like_any_other() {
    let handler = Handler::ok();
    let server = Axum::serve(layer(), handler.clone()).await;
    let client = Client::to(&server).await;
    let request = genuine_of(1_048_576);
    let status = async |request| client.send(request).await.expect("an answer").0.as_u16();
    assert_eq!(status(http(&request)).await, 200);
    assert_eq!(status(http(&request)).await, 200, "a duplicate");
    assert_eq!(handler.deliveries()[0].body(), request.body());
    assert_eq!(status(http(&genuine_of(1_048_577))).await, 413);
    // Without a length.
    let (long, pieces) = in_pieces(&genuine().sign());
    let endless = async { while pieces.send(Bytes::from_static(&[b' '; 16_384])).await.is_ok() {} };
    let (answer, ()) = tokio::join!(client.send(long), endless);
    assert!(answer.is_none_or(|(status, _)| status == 413));
    assert_eq!(status(http(&genuine().sign().with_body("{}"))).await, 401);
    assert_eq!(handler.runs(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_reset_during_its_body_leaves_nothing_behind() {
    let (handler, layer) = (Handler::ok(), layer().with_bytes_in_flight(1_048_576));
    let server = Axum::serve(layer.clone(), handler.clone()).await;
    let client = Client::to(&server).await;
    let request = genuine().sign();
    let before = tasks();
    let (first, pieces) = in_pieces(&request);
    let begun = client.begin(first);
    pieces.send(Bytes::from(vec![b' '; 1_000_000])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    begun.abort();
    drop(pieces);
    let _ = begun.await;
    // Its share of the bytes in flight is free again too.
    let large = genuine_of(1_000_000);
    eventually_ok(&client, &large).await;
    nothing_is_left_behind(&layer, &client, &request, before).await;
    assert_eq!((handler.runs(), handler.deliveries()[1].attempt()), (2, 1));
}

async fn eventually_ok(client: &Client, request: &SignedRequest) {
    for _ in 0..200 {
        if client.send(http(request)).await.is_some_and(|(status, _)| status == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never accepted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_reset_while_waiting_for_another_leaves_nothing_behind() {
    let (handler, layer) = (handler_of(600), layer());
    let server = Axum::serve(layer.clone(), handler.clone()).await;
    let client = Client::to(&server).await;
    let request = genuine().sign();
    let before = tasks();
    let running = client.begin(http(&request));
    eventually("the handler has begun", || handler.runs() == 1).await;
    // More than may wait at once: if the first ones still took up places, the last would get a 503 at once.
    for _ in 0..3 {
        let waiting: Vec<_> = (0..14).map(|_| client.begin(http(&request))).collect();
        tokio::time::sleep(Duration::from_millis(60)).await;
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }
    let (status, _) = client.send(http(&request)).await.expect("an answer");
    assert_eq!((status, handler.runs(), handler.ended()), (StatusCode::OK, 1, 1));
    running.await.unwrap();
    nothing_is_left_behind(&layer, &client, &request, before).await;
    assert_eq!(handler.runs(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_reset_during_its_handler_leaves_nothing_behind() {
    let (handler, layer) = (handler_of(300), layer());
    let server = Axum::serve(layer.clone(), handler.clone()).await;
    let client = Client::to(&server).await;
    let request = genuine().sign();
    let before = tasks();
    let begun = client.begin(http(&request));
    eventually("the handler has begun", || handler.runs() == 1).await;
    begun.abort();
    let _ = begun.await;
    assert!(layer.drain(Duration::from_secs(5)).await);
    assert_eq!(handler.ended(), 1, "it has run to its end");
    nothing_is_left_behind(&layer, &client, &request, before).await;
    assert_eq!(handler.runs(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_after_a_reset_lets_the_retry_run() {
    let handler = Handler::new(|_, before| async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if before == 0 { 500 } else { 200 }
    });
    let layer = layer();
    let server = Axum::serve(layer.clone(), handler.clone()).await;
    let client = Client::to(&server).await;
    let request = genuine().sign();
    let before = tasks();
    let begun = client.begin(http(&request));
    eventually("the handler has begun", || handler.runs() == 1).await;
    begun.abort();
    nothing_is_left_behind(&layer, &client, &request, before).await;
    assert_eq!((handler.runs(), handler.deliveries()[1].attempt()), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_reset_during_the_claim_leaves_nothing_behind() {
    let store = Watched::slow(Duration::from_millis(50));
    let (handler, layer) = (Handler::ok(), layer().with_store(store.clone()));
    let server = Axum::serve(layer.clone(), handler.clone()).await;
    let client = Client::to(&server).await;
    let request = genuine().sign();
    let before = tasks();
    // At each call of an attempt: two claims, two completions.
    for questions in 1..=4 {
        let request = genuine().sign();
        let asked = store.asked().len();
        let begun = client.begin(http(&request));
        eventually("the store is asked", || store.asked().len() >= asked + questions).await;
        begun.abort();
        let _ = begun.await;
        assert!(layer.drain(Duration::from_secs(5)).await);
        assert_eq!((handler.runs(), handler.ended()), (questions, questions));
        nothing_is_left_behind(&layer, &client, &request, before).await;
        assert_eq!(handler.runs(), questions, "the retry is a duplicate");
    }
    nothing_is_left_behind(&layer, &client, &request, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_with_streams_in_all_phases_leaves_nothing_behind() {
    let (handler, layer) = (handler_of(300), layer());
    let server = Axum::serve(layer.clone(), handler.clone()).await;
    let before = tasks();
    let client = Client::to(&server).await;
    let requests: Vec<_> = (0..30).map(|_| genuine().sign()).collect();
    let (unsent, pieces) = in_pieces(&genuine().sign());
    let unsent = client.begin(unsent);
    let mut begun: Vec<_> = requests.iter().map(|request| client.begin(http(request))).collect();
    begun.extend(requests.iter().map(|request| client.begin(http(request))));
    eventually("all handlers have begun", || handler.runs() == 30).await;
    client.connection.abort();
    assert!(layer.drain(Duration::from_secs(5)).await);
    assert_eq!((handler.runs(), handler.ended()), (30, 30));
    drop(pieces);
    for task in begun.into_iter().chain([unsent]) {
        let _ = task.await;
    }
    drop(client);
    eventually("no task is left", || tasks() <= before).await;
    for request in requests {
        assert_eq!(server.send(&request).await.status, 200);
    }
    assert_eq!(handler.runs(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_reset_streams_loses_and_duplicates_nothing() {
    let (handler, layer) = (handler_of(5), layer());
    let server = Axum::serve(layer.clone(), handler.clone()).await;
    let requests: Vec<_> = (0..100).map(|_| genuine().sign()).collect();
    for (index, request) in (0_u64..).zip(&requests) {
        let client = Client::to(&server).await;
        let begun = client.begin(http(request));
        // From before it was sent until after it was answered.
        tokio::time::sleep(Duration::from_micros(index * 100)).await;
        begun.abort();
    }
    assert!(layer.drain(Duration::from_secs(5)).await);
    for request in &requests {
        assert_eq!(server.send(request).await.status, 200);
    }
    assert_eq!((handler.runs(), handler.ended()), (100, 100));
}
