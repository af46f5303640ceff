//! The answers that the layer gives in the handler's place, and their statuses, in one table.

use std::fmt;
use std::time::Duration;

use crate::provider::Challenge;

/// Why the layer answered in the handler's place.
///
/// It is in the extensions of the response, for the application's own logs and metrics. The sender does not see it:
/// all authentication failures get the same 401.
///
/// ```
/// use axum::{Router, body::Body, extract::Request, http::StatusCode, middleware, response::Response, routing::post};
/// use scrapest_webhook::{Rejection, RejectionKind, ScrapestWebhookLayer, scrapest, testing};
/// use tower::ServiceExt;
///
/// async fn on_event(_event: scrapest::Event) {}
///
/// async fn log_refusals(request: Request, next: middleware::Next) -> Response {
///     let response = next.run(request).await;
///     if let Some(rejection) = response.extensions().get::<Rejection>() {
///         println!("refused with {}: {rejection}", rejection.status());
///     }
///     response
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let layer = ScrapestWebhookLayer::new("whsec_3fb1c8a0d94e4a7fb2c6");
/// let app = Router::new()
///     .route("/", post(on_event).route_layer(layer))
///     .layer(middleware::from_fn(log_refusals));
///
/// let forged = testing::scrapest("the secret of somebody else").sign().into_http::<Body>("/");
/// let response = app.oneshot(forged).await.unwrap();
/// assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
/// let rejection = response.extensions().get::<Rejection>().unwrap();
/// assert_eq!(rejection.kind(), RejectionKind::WrongSignature);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    kind: RejectionKind,
    retry_after: Option<Duration>,
}

impl Rejection {
    /// The reason.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.kind.status()
    }

    /// The time after which the sender should retry, as in the answer's `Retry-After`: whole seconds, at least one.
    /// `None` if there is no such header.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.map(whole_seconds)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())
    }
}

macro_rules! rejection_kinds {
    ($($(#[$doc:meta])* $kind:ident $status:literal $label:literal $body:literal;)*) => {
        /// The reasons for a [`Rejection`]. Three of them are not refusals: a duplicate, a challenge, and an event
        /// that was filtered out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RejectionKind { $($(#[$doc])* $kind,)* }

        impl RejectionKind {
            /// All kinds, in the order of the pipeline.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            pub(crate) const COUNT: usize = Self::ALL.len();

            /// The status of the answer.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$kind => $status,)* }
            }

            /// A short fixed label, for logs and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $label,)* }
            }

            const fn body(self) -> &'static str {
                match self { $(Self::$kind => $body,)* }
            }
        }
    };
}

rejection_kinds! {
    /// An allow-list is set, and the server does not provide the client's address.
    NoPeerAddress 500 "no_peer_address" "internal error";
    /// A trusted proxy names no client, names it in an unreadable form, or names two clients in two headers.
    UnreadableForwarding 403 "unreadable_forwarding" "forbidden";
    /// The address is not on the allow-list.
    AddressNotAllowed 403 "address_not_allowed" "forbidden";
    /// Too many requests from this address failed authentication.
    Throttled 429 "throttled" "too many requests";
    /// The method is not POST.
    MethodNotAllowed 405 "method_not_allowed" "expected POST";
    /// The body is compressed or otherwise encoded; it is never inflated.
    ContentEncoding 415 "content_encoding" "expected no content-encoding";
    /// The body is longer than the limit, or its `Content-Length` is.
    BodyTooLarge 413 "body_too_large" "body too large";
    /// The request has no signature header, or no token.
    MissingSignature 401 "missing_signature" "unauthorized";
    /// The request has more than one signature header, or more than one token.
    RepeatedSignature 401 "repeated_signature" "unauthorized";
    /// The signature header, or the token, does not have the right shape.
    MalformedSignature 401 "malformed_signature" "unauthorized";
    /// The body did not arrive within its deadline, or arrived more slowly than the minimum rate.
    BodyTooSlow 408 "body_too_slow" "body too slow";
    /// The body ended before it was complete.
    BodyIncomplete 400 "body_incomplete" "body incomplete";
    /// The bodies of all requests together reached the limit on bytes in flight.
    BytesInFlight 503 "bytes_in_flight" "busy, try again";
    /// The layer is for several webhooks and finds none for the id or the path of the request.
    UnknownWebhook 401 "unknown_webhook" "unauthorized";
    /// The signature was made for other bytes or with another secret, or the token is wrong.
    WrongSignature 401 "wrong_signature" "unauthorized";
    /// The request is authentic, but none of its timestamps is signed.
    NoSignedTimestamp 401 "no_signed_timestamp" "unauthorized";
    /// The request is authentic, but a timestamp is too old, too far ahead, or unreadable.
    Stale 401 "stale" "unauthorized";
    /// An event that the sender's settings filter out, acknowledged without the handler.
    Filtered 200 "filtered" "";
    /// A challenge, which was answered.
    Challenge 200 "challenge" "";
    /// A duplicate of a completed delivery, or a replay of one.
    Duplicate 200 "duplicate" "";
    /// The limit on concurrent handlers is reached.
    TooManyRuns 503 "too_many_runs" "busy, try again";
    /// Another attempt at the delivery was still running when the answer was due.
    InProgress 503 "in_progress" "in progress, try again";
    /// Too many duplicates are waiting for the running attempt.
    TooManyWaiting 503 "too_many_waiting" "in progress, try again";
    /// The service behind the layer was not ready in time; the handler was not called.
    NotReady 503 "not_ready" "busy, try again";
    /// The receiver is shutting down, or shut down before the handler ended.
    ShuttingDown 503 "shutting_down" "unavailable, try again";
    /// The delivery store did not answer in time.
    StoreDown 503 "store_down" "unavailable, try again";
    /// The handler had not finished when the answer was due; it continues.
    AnswerDeadline 503 "answer_deadline" "in progress, try again";
    /// The handler reached its run limit and was dropped.
    RunLimit 503 "run_limit" "unavailable, try again";
    /// The handler panicked.
    HandlerPanicked 500 "handler_panicked" "internal error";
    /// The handler reported a success, but the transaction in which it completed the delivery was not committed.
    NotCommitted 500 "not_committed" "internal error";
}

impl RejectionKind {
    /// Whether this is a refusal. The other kinds are answers in the handler's place, and nothing is wrong.
    #[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "used only as metric labels"))]
    pub(crate) const fn is_refusal(self) -> bool {
        !matches!(self, Self::Filtered | Self::Duplicate | Self::Challenge)
    }
}

/// An answer of the layer. An adapter writes it in its framework's types.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) rejection: Rejection,
    challenge: Option<Challenge>,
}

impl Reply {
    pub(crate) fn later(kind: RejectionKind, retry_after: Duration) -> Self {
        Self { rejection: Rejection { kind, retry_after: Some(retry_after) }, challenge: None }
    }

    pub(crate) fn challenge(challenge: Challenge) -> Self {
        Self { challenge: Some(challenge), ..RejectionKind::Challenge.into() }
    }

    pub(crate) fn kind(&self) -> RejectionKind {
        self.rejection.kind
    }

    /// Sets the headers, with names in lower case. The framework sets `content-length`.
    pub(crate) fn headers(&self, mut set: impl FnMut(&'static str, &str)) {
        match &self.challenge {
            Some(challenge) => set("content-type", challenge.content_type),
            None if self.kind().body().is_empty() => {}
            None => set("content-type", "text/plain; charset=utf-8"),
        }
        match self.kind() {
            RejectionKind::Challenge => {
                set("x-content-type-options", "nosniff");
                set("cache-control", "no-store");
            }
            // RFC 9110 §15.5.6 and §15.5.16 require these two.
            RejectionKind::MethodNotAllowed => set("allow", "POST"),
            RejectionKind::ContentEncoding => set("accept-encoding", "identity"),
            _ => {}
        }
        if let Some(wait) = self.rejection.retry_after {
            set("retry-after", &whole_seconds(wait).as_secs().to_string());
        }
    }

    pub(crate) fn into_body(self) -> bytes::Bytes {
        match self.challenge {
            Some(challenge) => challenge.answer,
            None => bytes::Bytes::from_static(self.rejection.kind.body().as_bytes()),
        }
    }
}

/// Rounds up to whole seconds, which RFC 9110 §10.2.3 requires, so that the retry does not come too early.
fn whole_seconds(wait: Duration) -> Duration {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Duration::from_secs(seconds.max(1))
}

impl From<RejectionKind> for Reply {
    fn from(kind: RejectionKind) -> Self {
        // A 503 for which no better time is known.
        let retry_after = (kind.status() == 503).then_some(Duration::from_secs(1));
        Self { rejection: Rejection { kind, retry_after }, challenge: None }
    }
}
