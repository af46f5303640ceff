use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tower_service::Service;
use tracing::instrument::Instrumented;

use super::exchange::{BoxError, HttpExchange};
use super::{ResponseBody, VerifiedBody};
use crate::observe;
use crate::pipeline::{DetachOnDrop, Exchange, receive};
use crate::provider::Provider;
use crate::receiver::Receiver;
use crate::run_state::RunState;

type Answer<B, E> = Result<Response<ResponseBody<B>>, E>;
type Run<B, E> = dyn Future<Output = Answer<B, E>> + Send;

/// The future of the response. If it is dropped while its handler runs, the run moves to a task.
pub struct ResponseFuture<B, E>(DetachOnDrop<Run<B, E>>);

impl<B: Send + 'static, E: Send + 'static> ResponseFuture<B, E> {
    pub(super) fn new<S, P, ReqBody>(
        receiver: Arc<Receiver<P>>,
        request: http::Request<ReqBody>,
        service: S,
    ) -> Self
    where
        S: Service<http::Request<VerifiedBody>, Response = Response<B>, Error = E> + Send + 'static,
        S::Future: Send,
        P: Provider,
        ReqBody: Body<Data = Bytes> + Send + 'static,
        ReqBody::Error: Into<BoxError>,
    {
        let span = observe::span(receiver.provider.name());
        let run = RunState::new(span);
        let (answer_within, meters) = (receiver.answer_deadline(), receiver.meters.clone());
        let exchange = HttpExchange::new(request, service);
        let received = Box::pin(receive(receiver, exchange, Arc::clone(&run)));
        let late = HttpExchange::<S, ReqBody>::answer_late;
        Self(DetachOnDrop::new(received, run, answer_within, meters, spawn, late))
    }
}

impl<B, E> Future for ResponseFuture<B, E> {
    type Output = Answer<B, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<B, E> fmt::Debug for ResponseFuture<B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

fn spawn<B: Send + 'static, E: Send + 'static>(run: Instrumented<Pin<Box<Run<B, E>>>>) -> bool {
    tokio::spawn(run);
    true
}

#[cfg(test)]
mod tests {
    use tracing::Span;

    use super::*;
    use crate::ScrapeBadgerWebhookLayer;

    /// glibc keeps freed blocks of up to 1,032 bytes per thread. A larger allocation per delivery costs ten times as
    /// much.
    #[test]
    fn a_delivery_future_fits_into_the_allocator_cache() {
        let layer = ScrapeBadgerWebhookLayer::new("a-secret-of-some-24-bytes");
        let request = http::Request::new(axum::body::Body::empty());
        let exchange = HttpExchange::new(request, axum::Router::new());
        let future = receive(layer.checked(), exchange, RunState::new(Span::none()));
        assert!(size_of_val(&future) <= 1_032, "{} bytes", size_of_val(&future));
    }
}
