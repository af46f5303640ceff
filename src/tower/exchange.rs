//! Implements [`Exchange`] with the types of `http`.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::{Body, Frame};
use http_body_util::{Empty, LengthLimitError};
use pin_project_lite::pin_project;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use super::{ResponseBody, VerifiedBody};
use crate::access::PeerAddr;
use crate::delivery::Delivery;
use crate::pipeline::{BodyError, Exchange, ReadAhead, Unread};
use crate::provider::{Headers, Lookup};
use crate::rejection::Reply;
use crate::run_state::{Phase, RunState};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Boxed: it is large and moved several times on its way to the handler, and a body that is not `Unpin` is polled in
/// it.
pub(super) struct HttpExchange<S, B>(Pin<Box<Begun<S, B>>>);

pin_project! {
    struct Begun<S, B> {
        // Gets the handler's body once that is known.
        request: Request<VerifiedBody>,
        #[pin]
        body: B,
        read_ahead: ReadAhead<BoxError>,
        service: Option<S>,
    }
}

impl<S, B> HttpExchange<S, B> {
    pub(super) fn new(request: Request<B>, service: S) -> Self {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, VerifiedBody::default());
        Self(Box::pin(Begun {
            request,
            body,
            read_ahead: ReadAhead::new(),
            service: Some(service),
        }))
    }
}

impl<S, B> HttpExchange<S, B>
where
    S: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
{
    /// Reads and drops the rest of a refused body, in parallel with the answer. Otherwise hyper would close the
    /// connection while the client is still writing, and a client that reads only afterwards would not get the
    /// answer. Not needed for HTTP/2, nor for a client that waits for `100 Continue`.
    fn read_on(mut self, unread: Unread) {
        let Begun { request, body, read_ahead, .. } = &*self.0;
        let over = read_ahead.is_at_end() || body.is_end_stream();
        let too_long = body.size_hint().lower() > unread.at_most as u64;
        let waits = request.headers().contains_key(header::EXPECT);
        let over = over || unread.until <= Instant::now();
        if over || too_long || waits || request.version() > Version::HTTP_11 {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        *self.0.as_mut().project().service = None;
        runtime.spawn(async move {
            let mut left = unread.at_most;
            let length = |frame: Frame<Bytes>| frame.data_ref().map_or(0, Bytes::len);
            let reading = async {
                while let Some(length) = poll_fn(|cx| {
                    let frame = self.0.as_mut().project().body.poll_frame(cx);
                    frame.map(|frame| frame?.ok().map(length))
                })
                .await
                {
                    let Some(rest) = left.checked_sub(length) else { return };
                    left = rest;
                    // Yields, so that a body that is always ready cannot delay the deadline's check.
                    consume_budget().await;
                }
            };
            _ = timeout_at(unread.until, reading).await;
        });
    }
}

/// The rest of the body.
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

impl<S, B, ResBody> Exchange for HttpExchange<S, B>
where
    S: Service<Request<VerifiedBody>, Response = Response<ResBody>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn peer(&self) -> Option<IpAddr> {
        let extensions = self.0.request.extensions();
        let told = extensions.get().map(|PeerAddr(address)| *address);
        #[cfg(feature = "axum")]
        let told = told.or_else(|| crate::axum::peer(extensions));
        told
    }

    fn method(&self) -> &str {
        self.0.request.method().as_str()
    }

    fn path(&self) -> &str {
        let request = &self.0.request;
        let path = request.uri().path();
        #[cfg(feature = "axum")]
        let path = crate::axum::original_path(request.extensions()).unwrap_or(path);
        path
    }

    fn query(&self) -> &str {
        self.0.request.uri().query().unwrap_or_default()
    }

    fn headers(&self) -> Headers<'_> {
        Headers::new(self.0.request.headers())
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let this = self.0.as_mut().project();
            let piece = match ready!(this.body.poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Some(Ok(data)),
                    // Trailers are not signed, and no handler needs them.
                    Err(_) => continue,
                },
                Some(Err(error)) => Some(Err(error.into())),
                None => None,
            };
            return Poll::Ready(this.read_ahead.next(piece, |error| classify(&**error)));
        }
    }

    fn outer(&self) -> Option<Delivery> {
        self.0.request.extensions().get().cloned()
    }

    fn call(mut self, delivery: Delivery) -> impl Future<Output = Self::Output> {
        let run = Arc::clone(delivery.run());
        let request = self.0.as_mut().project().request;
        *request.body_mut() = VerifiedBody::new(delivery.body().clone());
        request.extensions_mut().insert(delivery);
        #[cfg(feature = "axum")]
        crate::axum::lift_body_limit(request);
        Call::Waiting { begun: self.0, run: Some(run) }
    }

    fn put_back(&mut self, bytes: Bytes) {
        self.0.as_mut().project().read_ahead.put_back(bytes);
    }

    fn pass(mut self) -> impl Future<Output = Self::Output> {
        let this = self.0.as_mut().project();
        let kept = std::mem::replace(this.read_ahead, ReadAhead::new()).into_remainder();
        let (request, service) = (std::mem::take(this.request), this.service.take());
        let request = request.map(|_| VerifiedBody::unverified(kept, self.0));
        let (body, read_ahead) = (Empty::<Bytes>::new(), ReadAhead::new());
        Call::Waiting { begun: Box::pin(Begun { request, body, read_ahead, service }), run: None }
    }

    fn status(output: &Self::Output) -> Option<u16> {
        output.as_ref().ok().map(|response| response.status().as_u16())
    }

    fn answer(self, reply: Reply, unread: Unread) -> Self::Output {
        self.read_on(unread);
        Self::answer_late(reply)
    }

    fn answer_late(reply: Reply) -> Self::Output {
        let mut response = Response::new(());
        // The statuses of the table are all valid.
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
    /// Calls a service once it is ready. The request stays in its box until then, because moving it costs more than
    /// the call.
    #[project = CallProjection]
    enum Call<S: Service<Request<VerifiedBody>>, B> {
        Waiting { begun: Pin<Box<Begun<S, B>>>, run: Option<Arc<RunState>> },
        Called { #[pin] future: S::Future },
    }
}

impl<S, B, ResBody> Future for Call<S, B>
where
    S: Service<Request<VerifiedBody>, Response = Response<ResBody>>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.as_mut().project() {
                CallProjection::Called { future } => {
                    return future.poll(cx).map_ok(|response| response.map(ResponseBody::inner));
                }
                CallProjection::Waiting { begun, run } => {
                    let begun = begun.as_mut().project();
                    // Polled again after the service panicked. `Future` does not define the result.
                    let Some(service) = begun.service else { return Poll::Pending };
                    if let Err(error) = ready!(service.poll_ready(cx)) {
                        return Poll::Ready(Err(error));
                    }
                    if let Some(run) = run {
                        run.enter(Phase::Running);
                    }
                    let Some(mut service) = begun.service.take() else { return Poll::Pending };
                    let future = service.call(std::mem::take(begun.request));
                    self.set(Self::Called { future });
                }
            }
        }
    }
}

/// An outer body limit reports itself in the error or in one of its causes.
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

    fn all<'a>(&'a self, found: &mut dyn FnMut(&str, &'a [u8])) {
        for (name, value) in self {
            found(name.as_str(), value.as_bytes());
        }
    }
}
