//! What the pipeline asks of a framework, answered with the types of `http`.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::LengthLimitError;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{ResponseBody, VerifiedBody};
use crate::access::PeerAddr;
use crate::delivery::Delivery;
use crate::pipeline::{BodyError, Exchange, ReadAhead};
use crate::provider::{Headers, Lookup};
use crate::rejection::Reply;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Boxed: it is moved about on its way to the handler, and large; and a body that is not `Unpin` is polled.
pub(super) struct HttpExchange<S, B>(Pin<Box<Begun<S, B>>>);

pin_project! {
    struct Begun<S, B> {
        parts: Parts,
        #[pin]
        body: B,
        read_ahead: ReadAhead<BoxError>,
        service: Option<S>,
    }
}

impl<S, B> HttpExchange<S, B> {
    pub(super) fn new(request: Request<B>, service: S) -> Self {
        let (parts, body) = request.into_parts();
        Self(Box::pin(Begun { parts, body, read_ahead: ReadAhead::new(), service: Some(service) }))
    }
}

/// What is left of the body.
impl<S, B: Body> Body for Begun<S, B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }
}

impl<S, B> Begun<S, B> {
    /// The request, with another body, and who is to answer it.
    fn take<T>(self: Pin<&mut Self>, body: T) -> Option<(S, Request<T>)> {
        let this = self.project();
        let parts = std::mem::replace(this.parts, Request::new(()).into_parts().0);
        Some((this.service.take()?, Request::from_parts(parts, body)))
    }
}

impl<S, B, ResBody> Exchange for HttpExchange<S, B>
where
    S: Service<Request<VerifiedBody>, Response = Response<ResBody>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn peer(&self) -> Option<IpAddr> {
        let extensions = &self.0.parts.extensions;
        let told = extensions.get().map(|PeerAddr(address)| *address);
        #[cfg(feature = "axum")]
        let told = told.or_else(|| crate::axum::peer(extensions));
        told
    }

    fn method(&self) -> &str {
        self.0.parts.method.as_str()
    }

    fn path(&self) -> &str {
        self.0.parts.uri.path()
    }

    fn query(&self) -> &str {
        self.0.parts.uri.query().unwrap_or_default()
    }

    fn headers(&self) -> Headers<'_> {
        Headers::new(&self.0.parts.headers)
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let this = self.0.as_mut().project();
            let piece = match ready!(this.body.poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Some(Ok(data)),
                    // Trailers: not signed, and nobody asked for them.
                    Err(_) => continue,
                },
                Some(Err(error)) => Some(Err(error.into())),
                None => None,
            };
            return Poll::Ready(this.read_ahead.next(piece, |error| classify(&**error)));
        }
    }

    fn outer(&self) -> Option<Delivery> {
        self.0.parts.extensions.get().cloned()
    }

    fn call(mut self, delivery: Delivery) -> impl Future<Output = Self::Output> {
        let body = VerifiedBody::new(delivery.body().clone());
        self.0.as_mut().project().parts.extensions.insert(delivery);
        Call::of(self.0.as_mut().take(body))
    }

    fn put_back(&mut self, bytes: Bytes) {
        self.0.as_mut().project().read_ahead.put_back(bytes);
    }

    fn pass(mut self) -> impl Future<Output = Self::Output> {
        let kept = std::mem::replace(self.0.as_mut().project().read_ahead, ReadAhead::new())
            .into_remainder();
        let call = self.0.as_mut().take(());
        let body = VerifiedBody::unverified(kept, self.0);
        Call::of(call.map(|(service, request)| (service, request.map(|()| body))))
    }

    fn status(output: &Self::Output) -> Option<u16> {
        output.as_ref().ok().map(|response| response.status().as_u16())
    }

    fn answer(self, reply: Reply) -> Self::Output {
        Self::answer_late(reply)
    }

    fn answer_late(reply: Reply) -> Self::Output {
        let mut response = Response::new(());
        // Every status of the table is one.
        *response.status_mut() = StatusCode::from_u16(reply.rejection.status()).unwrap_or_default();
        reply.headers(|name, value| {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(name, value);
            }
        });
        response.extensions_mut().insert(reply.rejection);
        Ok(response.map(|()| ResponseBody::own(reply.into_body())))
    }
}

pin_project! {
    /// A service that is called when this is first polled. An `async` block would keep the room for the
    /// request beside that for the service's future.
    #[project = CallProjection]
    enum Call<S: Service<Request<VerifiedBody>>> {
        Ready { call: Option<(S, Request<VerifiedBody>)> },
        Called { #[pin] future: S::Future },
    }
}

impl<S: Service<Request<VerifiedBody>>> Call<S> {
    fn of(call: Option<(S, Request<VerifiedBody>)>) -> Self {
        Self::Ready { call }
    }
}

impl<S, B> Future for Call<S>
where
    S: Service<Request<VerifiedBody>, Response = Response<B>>,
{
    type Output = Result<Response<ResponseBody<B>>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.as_mut().project() {
                CallProjection::Called { future } => {
                    return future.poll(cx).map_ok(|response| response.map(ResponseBody::inner));
                }
                CallProjection::Ready { call } => match call.take() {
                    Some((mut service, request)) => {
                        let future = service.call(request);
                        self.set(Self::Called { future });
                    }
                    // Polled again after a panic of the service, which `Future` leaves open.
                    None => return Poll::Pending,
                },
            }
        }
    }
}

/// A limit that stands around the layer says so in the error or in one of its causes.
fn classify(error: &(dyn std::error::Error + 'static)) -> BodyError {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    match causes.any(|cause| cause.is::<LengthLimitError>()) {
        true => BodyError::TooLarge,
        false => BodyError::Incomplete,
    }
}

impl Lookup for HeaderMap {
    fn each<'a>(&'a self, name: &str, found: &mut dyn FnMut(&'a [u8])) {
        // Requests have few headers: comparing names is cheaper than hashing one.
        for (other, value) in self {
            if other.as_str().eq_ignore_ascii_case(name) {
                found(value.as_bytes());
            }
        }
    }
}
