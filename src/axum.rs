//! What an axum handler takes as its arguments: the typed event, or the delivery.
//!
//! `Bytes`, `Json<T>` and the like go on working behind the layer: the body is handed on as it was.

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

/// The address of the other end, where the server was told to keep it; or that of a test.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let connected = extensions.get().map(|ConnectInfo(address): &ConnectInfo<SocketAddr>| address);
    let mocked = || extensions.get().map(|MockConnectInfo(address)| address);
    connected.or_else(mocked).map(SocketAddr::ip)
}

/// The path as the client sent it: [`Router::nest`](axum::Router::nest) strips what it matched.
pub(crate) fn original_path(extensions: &Extensions) -> Option<&str> {
    extensions.get().map(|OriginalUri(uri)| uri.path())
}

/// The layer has bounded the body already: no extractor shall refuse what was accepted.
pub(crate) fn lift_body_limit<B>(request: &mut Request<B>) {
    DefaultBodyLimit::disable().apply(request);
}

/// 500 if the handler does not sit behind a [`WebhookLayer`](crate::WebhookLayer).
impl<S: Sync> FromRequestParts<S> for Delivery {
    type Rejection = EventError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, EventError> {
        delivered(parts.extensions.get()).cloned()
    }
}

/// 422 if the event is of a known kind with a broken payload; take `Result<Event, EventError>` to decide
/// otherwise. 500 if the handler does not sit behind a
/// [`ScrapestWebhookLayer`](crate::ScrapestWebhookLayer).
impl<S: Sync> FromRequestParts<S> for scrapest::Event {
    type Rejection = EventError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, EventError> {
        typed(parts.extensions.get())
    }
}

/// 422 if the event is of a known kind with a broken payload; take `Result<Event, EventError>` to decide
/// otherwise. 500 if the handler does not sit behind a
/// [`ScrapeBadgerWebhookLayer`](crate::ScrapeBadgerWebhookLayer).
impl<S: Sync> FromRequestParts<S> for scrapebadger::Event {
    type Rejection = EventError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, EventError> {
        typed(parts.extensions.get())
    }
}

/// The status and a word on it; what exactly is wrong stands in the log, not in the answer.
impl IntoResponse for EventError {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, self.public_text()).into_response()
    }
}
