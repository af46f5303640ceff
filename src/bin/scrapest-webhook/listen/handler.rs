//! The handler behind the layer: an accepted delivery is printed, or forwarded and then printed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use scrapest_webhook::Delivery;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::exchange::RunSlot;
use super::forward::Forward;
use super::lines::{self, Lines};

/// How long a forwarded delivery waits for its line. The run limit leaves room for it: see `settings::AFTER_FORWARD`.
const LINE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) lines: Lines,
    pub(super) forward: Option<Arc<Forward>>,
    /// Whether each accepted event is a line of JSON. Else the lines are for people, and written elsewhere.
    pub(super) prints_events: bool,
}

pub(super) async fn on_delivery(
    State(receiver): State<Arc<Receiver>>,
    slot: Option<Extension<RunSlot>>,
    delivery: Delivery,
    headers: HeaderMap,
) -> Response {
    let since = Instant::now();
    let seen = |took| {
        if let Some(Extension(slot)) = &slot {
            slot.set(&delivery, took);
        }
    };
    // It may be answered before it has ended.
    seen(None);
    let response = match &receiver.forward {
        Some(forward) => receiver.forwarded(forward, &delivery, &headers).await,
        None => receiver.printed(&delivery).await.into_response(),
    };
    seen(Some(since.elapsed()));
    response
}

impl Receiver {
    /// The line is the only effect: without it the sender has to send again.
    async fn printed(&self, delivery: &Delivery) -> StatusCode {
        let Some(event) = lines::event(delivery) else {
            tracing::warn!("delivery refused: it is authentic, but its body is not JSON");
            return StatusCode::UNPROCESSABLE_ENTITY;
        };
        if !self.prints_events {
            return StatusCode::NO_CONTENT;
        }
        match self.print(delivery, Some(event)).await {
            Ok(()) => StatusCode::NO_CONTENT,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The upstream's answer counts. A line that cannot be written changes nothing and is logged once, where it failed.
    /// The sender does not wait for a line that is not read.
    async fn forwarded(
        &self,
        forward: &Forward,
        delivery: &Delivery,
        headers: &HeaderMap,
    ) -> Response {
        let answer = forward.post(delivery, headers).await;
        if answer.is_success() {
            let event = lines::event(delivery);
            if event.is_none() {
                tracing::warn!("the body is not JSON: it was forwarded, its line has no event");
            }
            if self.prints_events && timeout(LINE, self.print(delivery, event)).await.is_err() {
                tracing::warn!("its line was left out: standard output is not being read");
            }
        }
        answer.into_response()
    }

    async fn print(&self, delivery: &Delivery, event: Option<&RawValue>) -> Result<()> {
        self.lines.print(lines::accepted(delivery, event)?).await
    }
}
