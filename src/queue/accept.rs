//! The handler that stores a delivery and answers 202.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::Queue;
use super::job::{KeptHeaders, NewJob};
use crate::delivery::Delivery;
#[cfg(any(feature = "axum", feature = "actix"))]
use crate::event::{EventError, extract::delivered};

/// The input of the ready-made handler [`Queue::accept`]: the delivery, and the headers that a worker may need
/// (`content-type`, `traceparent`, `tracestate`). An extractor for axum and actix-web.
#[derive(Clone, Debug)]
pub struct Incoming {
    delivery: Delivery,
    headers: KeptHeaders,
}

/// The response of the ready-made handler: 202 if the job is stored now or was stored before, 503 with
/// `Retry-After` otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    is_stored: bool,
}

/// The future of the ready-made handler.
pub type AcceptFuture = Pin<Box<dyn Future<Output = Accepted> + Send>>;

/// After how many seconds a sender may retry while jobs cannot be stored.
#[cfg(any(feature = "axum", feature = "actix"))]
const RETRY_AFTER: &str = "5";

/// The maximum length of a header that is kept, in bytes. A `tracestate` has up to 512 characters.
#[cfg(any(feature = "axum", feature = "actix"))]
const LONGEST_HEADER: usize = 512;

impl Queue {
    /// Returns a ready-made handler, which stores the delivery and answers 202, or 503 with `Retry-After` while
    /// deliveries cannot be stored. A delivery that was stored before gets 202 and does not become a second job.
    ///
    /// In axum, behind a layer of this crate:
    ///
    /// ```
    /// # use axum::{Router, routing::post};
    /// # use scrapest_webhook::{ScrapestWebhookLayer, queue::Queue};
    /// # fn app(queue: &Queue, layer: ScrapestWebhookLayer) -> Router {
    /// Router::new().route("/webhooks/scrapest", post(queue.accept()).route_layer(layer))
    /// # }
    /// ```
    ///
    /// In actix-web, `web::post().to(queue.accept())`.
    pub fn accept(
        &self,
    ) -> impl Fn(Incoming) -> AcceptFuture + Clone + Send + Sync + 'static + use<> {
        let queue = self.clone();
        move |incoming: Incoming| {
            let queue = queue.clone();
            Box::pin(async move {
                let job = NewJob::new(&incoming.delivery, incoming.headers);
                // The queue has already logged the cause.
                Accepted { is_stored: queue.store(Arc::new(job)).await.is_ok() }
            })
        }
    }
}

#[cfg(any(feature = "axum", feature = "actix"))]
impl Incoming {
    fn new<'a>(delivery: &Delivery, header: impl Fn(&'static str) -> Option<&'a [u8]>) -> Self {
        let text = |name| {
            let text = std::str::from_utf8(header(name)?).ok()?;
            (text.len() <= LONGEST_HEADER && !text.contains('\0')).then(|| text.to_owned())
        };
        let headers = KeptHeaders {
            content_type: text("content-type"),
            traceparent: text("traceparent").filter(|text| is_traceparent(text)),
            tracestate: text("tracestate"),
        };
        Self { delivery: delivery.clone(), headers }
    }
}

/// Whether `text` has the format of <https://www.w3.org/TR/trace-context/>: version, trace, parent, flags.
#[cfg(any(feature = "axum", feature = "actix"))]
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let is_hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    matches!(parts[..], [version, trace, parent, flags, ..]
        if is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2))
}

impl Accepted {
    /// Whether the delivery is stored, by this request or an earlier one.
    #[must_use]
    pub fn is_stored(self) -> bool {
        self.is_stored
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> axum::extract::FromRequestParts<S> for Incoming {
    type Rejection = EventError;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, EventError> {
        let delivery = delivered(parts.extensions.get())?;
        Ok(Self::new(delivery, |name| parts.headers.get(name).map(http::HeaderValue::as_bytes)))
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Accepted {
    fn into_response(self) -> axum::response::Response {
        match self.is_stored {
            true => http::StatusCode::ACCEPTED.into_response(),
            false => {
                let later = [(http::header::RETRY_AFTER, RETRY_AFTER)];
                (http::StatusCode::SERVICE_UNAVAILABLE, later, "unavailable, try again")
                    .into_response()
            }
        }
    }
}

#[cfg(feature = "actix")]
impl actix_web::FromRequest for Incoming {
    type Error = EventError;
    type Future = std::future::Ready<Result<Self, EventError>>;

    fn from_request(
        request: &actix_web::HttpRequest,
        _: &mut actix_web::dev::Payload,
    ) -> Self::Future {
        use actix_web::HttpMessage;

        let extensions = request.extensions();
        let header = |name| Some(request.headers().get(name)?.as_bytes());
        std::future::ready(delivered(extensions.get()).map(|delivery| Self::new(delivery, header)))
    }
}

#[cfg(feature = "actix")]
impl actix_web::Responder for Accepted {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &actix_web::HttpRequest) -> actix_web::HttpResponse {
        match self.is_stored {
            true => actix_web::HttpResponse::Accepted().finish(),
            false => actix_web::HttpResponse::ServiceUnavailable()
                .insert_header(("retry-after", RETRY_AFTER))
                .body("unavailable, try again"),
        }
    }
}
