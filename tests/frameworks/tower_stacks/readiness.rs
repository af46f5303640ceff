//! tower's contract for callers of a service: they call only a service that is ready, and pass its errors on.

use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{Empty, Full, StreamBody};
use scrapest_webhook::service::VerifiedBody;
use scrapest_webhook::{Delivery, Rejection, RejectionKind};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use super::{Runs, genuine, http, layer};

type Never = Result<Frame<Bytes>, std::convert::Infallible>;

/// A service of which only the polled instance becomes ready; a clone must be polled again.
struct Strict {
    ready: bool,
    runs: Runs,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false, runs: self.runs.clone() }
    }
}

impl Service<Request<VerifiedBody>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = String;
    type Future = Ready<Result<Self::Response, String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<VerifiedBody>) -> Self::Future {
        assert!(self.ready, "called without having been asked");
        self.ready = false;
        self.runs.begin();
        ready(Ok(Response::default()))
    }
}

#[tokio::test]
async fn the_service_that_reported_ready_is_the_one_called() {
    let runs = Runs::default();
    let mut service = layer().layer(Strict { ready: false, runs: runs.clone() });
    for run in 1..=3 {
        let ready = ServiceExt::<Request<Body>>::ready(&mut service).await.unwrap();
        let answer = ready.call(http(&genuine().sign())).await.unwrap();
        assert_eq!((answer.status().as_u16(), runs.count()), (200, run));
    }
}

#[tokio::test]
async fn an_inner_service_error_is_passed_on_and_the_retry_runs() {
    let runs = Runs::default();
    let counted = runs.clone();
    let service = layer().layer(service_fn(move |_: Request<VerifiedBody>| {
        let before = counted.begin();
        async move {
            match before {
                0 => Err("the database is on fire"),
                _ => Ok(Response::new(Empty::<Bytes>::new())),
            }
        }
    }));
    let request = genuine().sign();
    let error = service.clone().oneshot(http(&request)).await.unwrap_err();
    assert_eq!(error, "the database is on fire");
    assert_eq!(service.clone().oneshot(http(&request)).await.unwrap().status(), 200);
    assert_eq!(service.clone().oneshot(http(&request)).await.unwrap().status(), 200);
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn a_panic_in_call_is_a_500_like_any_other_panic() {
    let runs = Runs::default();
    let counted = runs.clone();
    let service = layer().layer(service_fn(move |_: Request<VerifiedBody>| {
        assert!(counted.begin() > 0, "the first one panics");
        ready(Ok::<_, std::convert::Infallible>(Response::new(Body::empty())))
    }));
    let request = genuine().sign();
    assert_eq!(service.clone().oneshot(http(&request)).await.unwrap().status(), 500);
    assert_eq!(service.clone().oneshot(http(&request)).await.unwrap().status(), 200);
    assert_eq!(runs.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_inside_or_outside_lets_every_request_through() {
    for inside in [true, false] {
        let busy = Arc::new(AtomicBool::new(false));
        let runs = Runs::default();
        let (one_at_a_time, counted) = (Arc::clone(&busy), runs.clone());
        let handler = service_fn(move |_: Request<VerifiedBody>| {
            let (busy, runs) = (Arc::clone(&one_at_a_time), counted.clone());
            async move {
                assert!(!busy.swap(true, Ordering::SeqCst), "two at one time");
                tokio::time::sleep(Duration::from_millis(100)).await;
                busy.store(false, Ordering::SeqCst);
                runs.begin();
                Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
            }
        });
        let builder = ServiceBuilder::new();
        let service = match inside {
            true => builder.layer(layer()).concurrency_limit(1).service(handler).boxed_clone(),
            false => builder.concurrency_limit(1).layer(layer()).service(handler).boxed_clone(),
        };
        // With duplicates among them: a request that waits for another must not keep the other from running.
        let requests: Vec<_> = (0..10).map(|_| genuine().sign()).collect();
        let all = requests.iter().chain(&requests);
        let answers = all.map(|request| service.clone().oneshot(http(request)));
        for answer in futures_util::future::join_all(answers).await {
            assert_eq!(answer.unwrap().status(), 200);
        }
        assert_eq!(runs.count(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unauthenticated_client_takes_no_permit_of_an_inner_limit() {
    let handler = service_fn(async |_: Request<VerifiedBody>| {
        Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
    });
    let service = ServiceBuilder::new().layer(layer()).concurrency_limit(1).service(handler);
    let slow =
        http(&genuine().sign()).map(|_| Body::new(StreamBody::new(stream::pending::<Never>())));
    let mut slow = pin!(service.clone().oneshot(slow));
    let polled = std::future::poll_fn(|cx| Poll::Ready(slow.as_mut().poll(cx))).await;
    assert!(polled.is_pending(), "its body does not come");
    let began = Instant::now();
    let answer = service.clone().oneshot(http(&genuine().sign())).await.unwrap();
    assert_eq!((answer.status().as_u16(), began.elapsed()), (200, Duration::ZERO));
    assert_eq!(slow.await.unwrap().status(), 408);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_ready_in_time_is_a_503_and_its_delivery_is_released() {
    let runs = Runs::default();
    let counted = runs.clone();
    let handler = service_fn(move |_: Request<VerifiedBody>| {
        let before = counted.begin();
        async move {
            if before == 0 {
                tokio::time::sleep(Duration::from_secs(30)).await;
            }
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        }
    });
    let layer = layer();
    let service = ServiceBuilder::new().layer(layer.clone()).concurrency_limit(1).service(handler);
    let first = tokio::spawn(service.clone().oneshot(http(&genuine().sign())));
    tokio::task::yield_now().await;
    let (request, began) = (genuine().sign(), Instant::now());
    for _ in 0..2 {
        let answer = service.clone().oneshot(http(&request)).await.unwrap();
        let rejection = answer.extensions().get::<Rejection>().unwrap();
        assert_eq!((answer.status().as_u16(), rejection.kind()), (503, RejectionKind::NotReady));
    }
    assert_eq!(began.elapsed(), Duration::from_secs(8), "twice the answer deadline");
    assert_eq!(runs.count(), 1, "its handler was not called");
    assert_eq!(first.await.unwrap().unwrap().status(), 503, "late, and it goes on");
    assert!(layer.drain(Duration::from_secs(60)).await);
    assert_eq!(service.oneshot(http(&request)).await.unwrap().status(), 200);
    assert_eq!(runs.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_kept_while_the_service_is_not_ready() {
    let runs = Runs::default();
    let counted = runs.clone();
    let handler = service_fn(move |request: Request<VerifiedBody>| {
        let delivery = request.extensions().get::<Delivery>().unwrap().clone();
        let before = counted.begin();
        async move {
            if before == 0 {
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            assert!(!delivery.is_lease_lost());
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        }
    });
    let layer = layer().with_lease(Duration::from_secs(1));
    let service = ServiceBuilder::new().layer(layer).concurrency_limit(1).service(handler);
    let (first, second) = (genuine().sign(), genuine().sign());
    let answers = [&first, &second, &second].map(|one| service.clone().oneshot(http(one)));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert_eq!(runs.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_around_the_layer_ends_the_wait_and_not_the_run() {
    let runs = Runs::default();
    let counted = runs.clone();
    let layer = layer();
    let service = layer.layer(service_fn(move |_: Request<VerifiedBody>| {
        let runs = counted.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            runs.begin();
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        }
    }));
    let request = genuine().sign();
    let answer = service.clone().oneshot(http(&request));
    assert!(tokio::time::timeout(Duration::from_secs(1), answer).await.is_err());
    assert!(layer.drain(Duration::from_secs(60)).await);
    assert_eq!(service.oneshot(http(&request)).await.unwrap().status(), 200);
    assert_eq!(runs.count(), 1);
}
