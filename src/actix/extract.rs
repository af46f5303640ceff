//! The arguments that a handler can take.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError};

use crate::delivery::Delivery;
use crate::event::EventError;
use crate::event::extract::{delivered, typed};
#[cfg(doc)]
use crate::layer::WebhookLayer;
use crate::{scrapebadger, scrapest};

/// Answers 500 if the handler is not behind a [`WebhookLayer`].
impl FromRequest for Delivery {
    type Error = EventError;
    type Future = Ready<Result<Self, EventError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(delivered(request.extensions().get()).cloned())
    }
}

/// Answers 422 if the event is of a known kind with a broken payload; take `Result<Event, EventError>` to handle
/// that case. Answers 500 if the handler is not behind a [`ScrapestWebhookLayer`](crate::ScrapestWebhookLayer).
impl FromRequest for scrapest::Event {
    type Error = EventError;
    type Future = Ready<Result<Self, EventError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(typed(request.extensions().get()))
    }
}

/// Answers 422 if the event is of a known kind with a broken payload; take `Result<Event, EventError>` to handle
/// that case. Answers 500 if the handler is not behind a [`ScrapeBadgerWebhookLayer`](crate::ScrapeBadgerWebhookLayer).
impl FromRequest for scrapebadger::Event {
    type Error = EventError;
    type Future = Ready<Result<Self, EventError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(typed(request.extensions().get()))
    }
}

/// Answers with the status and a short text; the details are in the log, not in the answer.
impl ResponseError for EventError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).body(self.public_text())
    }
}
