//! The floor on axum.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt;
use http::StatusCode;
use http_body::Body as _;
use tower::{Layer, Service};

use super::{Floor, Gathering, ID, SIGNATURE, signature};

#[derive(Clone)]
pub struct FloorLayer(pub Arc<Floor>);

#[derive(Clone)]
pub struct FloorService<S> {
    inner: S,
    floor: Arc<Floor>,
}

impl<S> Layer<S> for FloorLayer {
    type Service = FloorService<S>;

    fn layer(&self, inner: S) -> FloorService<S> {
        FloorService { inner, floor: Arc::clone(&self.0) }
    }
}

impl<S> Service<Request> for FloorService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Detaching;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Detaching {
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let holds = Arc::new(AtomicBool::new(false));
        let run = receive(Arc::clone(&self.floor), ready, request, Arc::clone(&holds));
        Detaching { run: Some(Box::pin(run)), holds }
    }
}

type Run = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// A run that continues in a task if it is dropped while it holds a claim.
pub struct Detaching {
    run: Option<Run>,
    holds: Arc<AtomicBool>,
}

impl Future for Detaching {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(run) = &mut self.run else { return Poll::Pending };
        run.as_mut().poll(cx)
    }
}

impl Drop for Detaching {
    fn drop(&mut self) {
        if let Some(run) = self.run.take()
            && self.holds.load(Ordering::Relaxed)
        {
            tokio::spawn(run);
        }
    }
}

async fn receive<S>(
    floor: Arc<Floor>,
    inner: S,
    request: Request,
    holds: Arc<AtomicBool>,
) -> Result<Response, Infallible>
where
    S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let (mut parts, mut body) = request.into_parts();
    let header = |name| parts.headers.get(name).map(http::HeaderValue::as_bytes);
    let admitted = async {
        let signature = signature(header(SIGNATURE))?;
        let mut gathering = Gathering::new(&floor);
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            if let Ok(piece) = frame.map_err(|_| 400_u16)?.into_data() {
                gathering.add(piece)?;
            }
        }
        let body = gathering.end();
        floor.admit(signature, header(ID), &body).map(|admitted| (admitted, body))
    };
    let ((claimed, delivery), body) = match admitted.await {
        Ok(admitted) => admitted,
        Err(status) => return Ok(answer(status)),
    };
    holds.store(true, Ordering::Relaxed);
    parts.extensions.insert(delivery);
    let mut inner = inner;
    let handler = inner.call(Request::from_parts(parts, Body::from(body)));
    let mut handler = Box::pin(AssertUnwindSafe(handler).catch_unwind());
    let Some(ended) = super::in_time(&mut handler).await else {
        holds.store(false, Ordering::Relaxed);
        tokio::spawn(async move {
            let ended = handler.await.ok().and_then(Result::ok);
            floor.settle(&claimed, ended.map(|response| response.status().as_u16()));
        });
        return Ok(answer(503));
    };
    let response = match ended {
        Ok(Ok(response)) => response,
        Err(_panic) => answer(500),
    };
    floor.settle(&claimed, Some(response.status().as_u16()));
    holds.store(false, Ordering::Relaxed);
    Ok(response)
}

fn answer(status: u16) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}
