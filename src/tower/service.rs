use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::exchange::BoxError;
use super::{ResponseBody, ResponseFuture, VerifiedBody};
use crate::provider::Provider;
use crate::receiver::Receiver;

/// A service behind a [`WebhookLayer`](crate::WebhookLayer). It is called only for authentic, fresh deliveries, never
/// twice at the same time for one delivery, and never again after it succeeded.
///
/// A refusal is never an `Err`; all errors come from the inner service. A refusal carries a
/// [`Rejection`](crate::Rejection) in the response's extensions. Needs a tokio runtime with time enabled.
pub struct WebhookService<S, P> {
    inner: S,
    receiver: Arc<Receiver<P>>,
}

impl<S, P> WebhookService<S, P> {
    pub(super) fn new(inner: S, receiver: Arc<Receiver<P>>) -> Self {
        Self { inner, receiver }
    }

    /// Returns the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the inner service for changes.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service without the receiver.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, P, ReqBody, ResBody> Service<Request<ReqBody>> for WebhookService<S, P>
where
    S: Service<Request<VerifiedBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    P: Provider,
    ReqBody: Body<Data = Bytes> + Send + 'static,
    ReqBody::Error: Into<BoxError>,
    ResBody: Send + 'static,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<ResBody, S::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // The inner service's readiness is checked after the claim: unauthenticated requests must not use up its
        // capacity.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        ResponseFuture::new(Arc::clone(&self.receiver), request, self.inner.clone())
    }
}

impl<S: Clone, P> Clone for WebhookService<S, P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), receiver: Arc::clone(&self.receiver) }
    }
}

impl<S: fmt::Debug, P: fmt::Debug> fmt::Debug for WebhookService<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookService")
            .field("inner", &self.inner)
            .field("receiver", &self.receiver)
            .finish()
    }
}
