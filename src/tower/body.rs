use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use pin_project_lite::pin_project;

use super::exchange::BoxError;
use crate::pipeline::Remainder;

/// The body of a verified request, byte for byte as it was signed. Reading it never fails.
///
/// In [observe-only mode](crate::WebhookLayer::with_insecure_observe_only) the body is not verified but passed on as
/// received: its end, or an error, may still be to come.
#[derive(Debug, Default)]
pub struct VerifiedBody(Incoming);

#[derive(Debug)]
enum Incoming {
    Whole(Full<Bytes>),
    /// The part that was read, followed by the rest. The mutex is never locked; it makes the body `Sync`.
    Begun(Mutex<UnsyncBoxBody<Bytes, BoxError>>),
}

impl Default for Incoming {
    fn default() -> Self {
        Self::Whole(Full::default())
    }
}

impl VerifiedBody {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self(Incoming::Whole(Full::new(bytes)))
    }

    pub(super) fn unverified<B>(remainder: Remainder<BoxError>, rest: Pin<Box<B>>) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let pieces = |read: Vec<Bytes>| stream::iter(read).map(|bytes| Ok(Frame::data(bytes)));
        let body = match remainder {
            Remainder::Whole(bytes) => return Self::new(bytes),
            Remainder::Begun(read) if read.is_empty() => rest.map_err(Into::into).boxed_unsync(),
            Remainder::Begun(read) => {
                let rest = BodyStream::new(rest.map_err(Into::into));
                StreamBody::new(pieces(read).chain(rest)).boxed_unsync()
            }
            Remainder::Broken(read, error) => {
                let error = stream::once(ready(Err(error)));
                StreamBody::new(pieces(read).chain(error)).boxed_unsync()
            }
        };
        Self(Incoming::Begun(Mutex::new(body)))
    }
}

impl Body for VerifiedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Incoming::Whole(body) => {
                Pin::new(body).poll_frame(cx).map_err(|never: Infallible| match never {})
            }
            Incoming::Begun(body) => {
                Pin::new(body.get_mut().unwrap_or_else(PoisonError::into_inner)).poll_frame(cx)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Incoming::Whole(body) => body.is_end_stream(),
            Incoming::Begun(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Incoming::Whole(body) => body.size_hint(),
            Incoming::Begun(_) => SizeHint::default(),
        }
    }
}

pin_project! {
    /// The body of a response: the inner service's, or one of the layer's own short ones.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        content: Content<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = ContentProjection]
    enum Content<B> {
        Inner { #[pin] body: B },
        Own { #[pin] body: Full<Bytes> },
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn inner(body: B) -> Self {
        Self { content: Content::Inner { body } }
    }

    pub(super) fn own(bytes: Bytes) -> Self {
        Self { content: Content::Own { body: Full::new(bytes) } }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().content.project() {
            ContentProjection::Inner { body } => body.poll_frame(cx),
            ContentProjection::Own { body } => {
                body.poll_frame(cx).map_err(|never: Infallible| match never {})
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Inner { body } => body.is_end_stream(),
            Content::Own { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Inner { body } => body.size_hint(),
            Content::Own { body } => body.size_hint(),
        }
    }
}
