//! The arguments that an axum handler can take: the typed event or the delivery.
//!
//! `Bytes`, `Json<T>` and other body extractors work behind the layer too, because the body is passed on unchanged.

use std::net::{IpAddr, SocketAddr};

use axum::extract::connect_info::{ConnectInfo, MockConnectInfo};
use axum::extract::{DefaultBodyLimit, FromRequestParts, OriginalUri};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Extensions, Request, StatusCode};

use crate::delivery::Delivery;
use crate::event::EventError;
use crate::event::extract::{delivered, typed};
use crate::{scrapebadger, scrapest};

/// Returns the peer's address, if the server keeps it, or that of a test.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let connected = extensions.get().map(|ConnectInfo(address): &ConnectInfo<SocketAddr>| address);
    let mocked = || extensions.get().map(|MockConnectInfo(address)| address);
    connected.or_else(mocked).map(SocketAddr::ip)
}

/// Returns the path as the client sent it: [`Router::nest`](axum::Router::nest) strips the prefix that it matched.
pub(crate) fn original_path(extensions: &Extensions) -> Option<&str> {
    extensions.get().map(|OriginalUri(uri)| uri.path())
}

/// Lifts axum's body limit: the layer has already limited the body, and no extractor may refuse a body that it
/// accepted.
pub(crate) fn lift_body_limit<B>(request: &mut Request<B>) {
    DefaultBodyLimit::disable().apply(request);
}

/// Answers 500 if the handler is not behind a [`WebhookLayer`](crate::WebhookLayer).
impl<S: Sync> FromRequestParts<S> for Delivery {
    type Rejection = EventError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, EventError> {
        delivered(parts.extensions.get()).cloned()
    }
}

/// Answers 422 if the event is of a known kind with a broken payload; take `Result<Event, EventError>` to handle
/// that case. Answers 500 if the handler is not behind a [`ScrapestWebhookLayer`](crate::ScrapestWebhookLayer).
impl<S: Sync> FromRequestParts<S> for scrapest::Event {
    type Rejection = EventError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, EventError> {
        typed(parts.extensions.get())
    }
}

/// Answers 422 if the event is of a known kind with a broken payload; take `Result<Event, EventError>` to handle
/// that case. Answers 500 if the handler is not behind a [`ScrapeBadgerWebhookLayer`](crate::ScrapeBadgerWebhookLayer).
impl<S: Sync> FromRequestParts<S> for scrapebadger::Event {
    type Rejection = EventError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, EventError> {
        typed(parts.extensions.get())
    }
}

/// Answers with the status and a short text; the details are in the log, not in the answer.
impl IntoResponse for EventError {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, self.public_text()).into_response()
    }
}
