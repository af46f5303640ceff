//! What the pipeline asks of a framework, answered with the types of `http`.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::LengthLimitError;
use tower_service::Service;

use super::{ResponseBody, VerifiedBody};
use crate::delivery::Delivery;
use crate::pipeline::{BodyError, Exchange};
use crate::provider::{Headers, Lookup};
use crate::rejection::Reply;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(super) struct HttpExchange<S, B> {
    parts: Parts,
    /// Boxed, so that a body that is not `Unpin` can be polled.
    body: Pin<Box<B>>,
    service: S,
}

impl<S, B> HttpExchange<S, B> {
    pub(super) fn new(request: Request<B>, service: S) -> Self {
        let (parts, body) = request.into_parts();
        Self { parts, body: Box::pin(body), service }
    }
}

impl<S, B, ResBody> Exchange for HttpExchange<S, B>
where
    S: Service<Request<VerifiedBody>, Response = Response<ResBody>>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn method(&self) -> &str {
        self.parts.method.as_str()
    }

    fn path(&self) -> &str {
        self.parts.uri.path()
    }

    fn headers(&self) -> Headers<'_> {
        Headers::new(&self.parts.headers)
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            return Poll::Ready(match ready!(self.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Some(Ok(data)),
                    // Trailers: not signed, and nobody asked for them.
                    Err(_) => continue,
                },
                Some(Err(error)) => Some(Err(classify(&*error.into()))),
                None => None,
            });
        }
    }

    fn outer(&self) -> Option<Delivery> {
        self.parts.extensions.get().cloned()
    }

    async fn call(mut self, delivery: Delivery) -> Self::Output {
        let body = VerifiedBody::new(delivery.body().clone());
        self.parts.extensions.insert(delivery);
        let response = self.service.call(Request::from_parts(self.parts, body)).await?;
        Ok(response.map(ResponseBody::inner))
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
        self.get_all(name).iter().for_each(|value| found(value.as_bytes()));
    }
}
