//! The receiver as an actix-web middleware, and the arguments that a handler can take.
//!
//! 1. Call `.wrap(layer)` on an `App`, a `Scope` or a `Resource`. Clone one layer into every worker's `App`, so that
//!    all workers share its store and its limits.
//! 2. The payload is read raw and passed on byte for byte: `web::Bytes`, `web::Json<T>` and `web::Payload` still
//!    work.
//! 3. [`scrapest::Event`], [`scrapebadger::Event`] and [`Delivery`] are extractors.
//!
//! A refusal is `Ok`, with its [`Rejection`](crate::Rejection) in the response's extensions. The exception is a
//! handler that has kept the request (it panicked, or exceeded its deadline or its limit): actix cannot make a
//! `ServiceResponse` without the request, so the result is an `Err` that carries the response.
//!
//! ```
//! use actix_web::{App, HttpResponse, http::StatusCode, test, web};
//! use scrapest_webhook::{ScrapestWebhookLayer, scrapest, testing};
//!
//! async fn on_event(event: scrapest::Event) -> HttpResponse {
//!     assert_eq!(event.kind(), Some("tweet.created"));
//!     HttpResponse::NoContent().finish()
//! }
//!
//! # #[actix_web::main] async fn main() {
//! let secret = "whsec_3fb1c8a0d94e4a7fb2c6";
//! let layer = ScrapestWebhookLayer::new(secret);
//! let resource = web::resource("/").route(web::post().to(on_event)).wrap(layer);
//! let app = test::init_service(App::new().service(resource)).await;
//!
//! for (secret, status) in [(secret, 204), ("another secret, or none", 401)] {
//!     let signed = testing::scrapest(secret).sign();
//!     let response = test::call_service(&app, signed.into_actix("/").to_request()).await;
//!     assert_eq!(response.status(), status);
//! }
//! # }
//! ```

mod extract;
mod limits;

use std::fmt;
use std::future::{Future, Ready, poll_fn, ready};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::error::{InternalError, PayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::rt::System;
use actix_web::{Error, HttpMessage, HttpResponse};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tracing::instrument::Instrumented;

use crate::access::PeerAddr;
use crate::delivery::Delivery;
use crate::layer::WebhookLayer;
use crate::observe;
use crate::pipeline::{BodyError, DetachOnDrop, Exchange, ReadAhead, Remainder, Unread, receive};
use crate::provider::{Headers, Lookup, Provider};
use crate::receiver::Receiver;
use crate::rejection::Reply;
use crate::run_state::{Phase, RunState};
#[cfg(doc)]
use crate::{scrapebadger, scrapest};

/// # Panics
///
/// If the settings contradict each other; see [`WebhookLayer::check`].
impl<S, B, P> Transform<S, ServiceRequest> for WebhookLayer<P>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
    P: Provider,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = WebhookMiddleware<S, P>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(WebhookMiddleware { service: Rc::new(service), receiver: self.checked() }))
    }
}

/// A service behind a [`WebhookLayer`]. It is called only for authentic, fresh deliveries, never twice at the same
/// time for one delivery, and never again after it succeeded.
pub struct WebhookMiddleware<S, P> {
    service: Rc<S>,
    receiver: Arc<Receiver<P>>,
}

impl<S, B, P> Service<ServiceRequest> for WebhookMiddleware<S, P>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
    P: Provider,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = ResponseFuture<B>;

    /// Always ready: the inner service's readiness is checked after the claim.
    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let payload = request.take_payload();
        let service = Rc::clone(&self.service);
        let exchange = ActixExchange { request, payload, read_ahead: ReadAhead::new(), service };
        let span = observe::span(self.receiver.provider.name());
        let run = RunState::new(span);
        let answer_within = self.receiver.answer_deadline();
        let meters = self.receiver.meters.clone();
        let received = receive(Arc::clone(&self.receiver), exchange, Arc::clone(&run));
        // actix does not drop a handler when its client leaves; a late run continues in a task.
        let late = ActixExchange::<S>::answer_late;
        ResponseFuture(DetachOnDrop::new(
            Box::pin(received),
            run,
            answer_within,
            meters,
            spawn,
            late,
        ))
    }
}

impl<S, P> fmt::Debug for WebhookMiddleware<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookMiddleware").finish_non_exhaustive()
    }
}

type Answer<B> = Result<ServiceResponse<EitherBody<B>>, Error>;

/// The future of the response. If it is dropped while its handler runs, the run moves to a task.
pub struct ResponseFuture<B>(DetachOnDrop<dyn Future<Output = Answer<B>>>);

impl<B> Future for ResponseFuture<B> {
    type Output = Answer<B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<B> fmt::Debug for ResponseFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// Implements [`Exchange`] with actix's types.
struct ActixExchange<S> {
    request: ServiceRequest,
    payload: Payload,
    read_ahead: ReadAhead<PayloadError>,
    service: Rc<S>,
}

impl<S, B> Exchange for ActixExchange<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Output = Answer<B>;

    fn peer(&self) -> Option<IpAddr> {
        let told = self.request.extensions().get().map(|PeerAddr(address)| *address);
        told.or_else(|| self.request.peer_addr().map(|address| address.ip()))
    }

    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn path(&self) -> &str {
        self.request.path()
    }

    fn query(&self) -> &str {
        self.request.query_string()
    }

    fn headers(&self) -> Headers<'_> {
        Headers::new(self.request.headers())
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let piece = std::task::ready!(Pin::new(&mut self.payload).poll_next(cx));
        Poll::Ready(self.read_ahead.next(piece, |error| match error {
            PayloadError::Overflow => BodyError::TooLarge,
            _ => BodyError::Incomplete,
        }))
    }

    fn outer(&self) -> Option<Delivery> {
        self.request.extensions().get().cloned()
    }

    async fn call(mut self, delivery: Delivery) -> Self::Output {
        poll_fn(|cx| self.service.poll_ready(cx)).await?;
        delivery.run().enter(Phase::Running);
        limits::lift(&mut self.request, delivery.body().len());
        self.request.set_payload(Payload::from(delivery.body().clone()));
        self.request.extensions_mut().insert(delivery);
        let response = self.service.call(self.request).await?;
        Ok(response.map_into_left_body())
    }

    fn put_back(&mut self, bytes: Bytes) {
        self.read_ahead.put_back(bytes);
    }

    async fn pass(mut self) -> Self::Output {
        let pieces = |read: Vec<Bytes>| stream::iter(read).map(Ok);
        let payload = match self.read_ahead.into_remainder() {
            Remainder::Whole(bytes) => Payload::from(bytes),
            Remainder::Begun(read) if read.is_empty() => self.payload,
            Remainder::Begun(read) => {
                Payload::Stream { payload: pieces(read).chain(self.payload).boxed_local() }
            }
            Remainder::Broken(read, error) => {
                let error = stream::once(ready(Err(error)));
                Payload::Stream { payload: pieces(read).chain(error).boxed_local() }
            }
        };
        self.request.set_payload(payload);
        let response = self.service.call(self.request).await?;
        Ok(response.map_into_left_body())
    }

    fn status(output: &Self::Output) -> Option<u16> {
        output.as_ref().ok().map(|response| response.status().as_u16())
    }

    /// actix reads the rest of a refused body by itself before it closes the connection.
    fn answer(self, reply: Reply, _: Unread) -> Self::Output {
        Ok(self.request.into_response(write(reply)).map_into_right_body())
    }

    /// Keeping a clone of the request to make a response from it would make actix's routing panic.
    fn answer_late(reply: Reply) -> Self::Output {
        let reason = reply.rejection;
        Err(InternalError::from_response(reason, write(reply)).into())
    }
}

/// Moves the run to a task, and returns whether it could. The run is not `Send`, so it needs actix's runtime or a
/// local task.
fn spawn<B: 'static>(run: Instrumented<Pin<Box<dyn Future<Output = Answer<B>>>>>) -> bool {
    let is_local = System::try_current().is_some() || tokio::task::try_id().is_some();
    // A `spawn_blocking` thread passes this check and then panics in `spawn`.
    is_local && catch_unwind(AssertUnwindSafe(|| drop(actix_web::rt::spawn(run)))).is_ok()
}

fn write(reply: Reply) -> HttpResponse {
    // The statuses of the table are all valid.
    let status = StatusCode::from_u16(reply.rejection.status()).unwrap_or_default();
    let mut response = HttpResponse::build(status);
    reply.headers(|name, value| {
        response.insert_header((name, value));
    });
    response.extensions_mut().insert(reply.rejection);
    response.body(reply.into_body())
}

impl Lookup for HeaderMap {
    fn each<'a>(&'a self, name: &str, found: &mut dyn FnMut(&'a [u8])) {
        // `get_all` ignores case. In this map, finding one name is cheap and iterating over all headers is slow.
        self.get_all(name).for_each(|value| found(value.as_bytes()));
    }

    fn all<'a>(&'a self, found: &mut dyn FnMut(&str, &'a [u8])) {
        self.iter().for_each(|(name, value)| found(name.as_str(), value.as_bytes()));
    }
}
