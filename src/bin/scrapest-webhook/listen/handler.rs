//! The handler behind the layer, which prints an accepted delivery, or forwards and then prints it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use scrapest_webhook::Delivery;
use scrapest_webhook::queue::{Incoming, Queue};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::exchange::RunSlot;
use super::forward::Forward;
use super::lines::{self, Lines};

/// How long a forwarded delivery waits for its line. The run limit includes this: see `settings::AFTER_FORWARD`.
const LINE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) lines: Lines,
    pub(super) forward: Option<Arc<Forward>>,
    pub(super) queue: Option<Queue>,
    /// Whether each accepted event is printed as a line of JSON. Otherwise the lines are for people, and printed
    /// elsewhere.
    pub(super) prints_events: bool,
}

pub(super) async fn on_delivery(
    State(receiver): State<Arc<Receiver>>,
    slot: Option<Extension<RunSlot>>,
    delivery: Delivery,
    headers: HeaderMap,
    incoming: Incoming,
) -> Response {
    let since = Instant::now();
    let seen = |took| {
        if let Some(Extension(slot)) = &slot {
            slot.set(&delivery, took);
        }
    };
    // The request may be answered before the run has ended.
    seen(None);
    let response = match (&receiver.queue, &receiver.forward) {
        (Some(queue), _) => receiver.stored(queue, &delivery, incoming).await,
        (None, Some(forward)) => receiver.forwarded(forward, &delivery, &headers).await,
        (None, None) => receiver.printed(&delivery).await.into_response(),
    };
    seen(Some(since.elapsed()));
    response
}

impl Receiver {
    /// Prints the line. It is the only effect, so the sender has to retry if it cannot be written.
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

    /// Forwards the delivery and returns the upstream's response. A line that cannot be written does not change
    /// it, and is logged once by the writer. The sender does not wait for a slow reader of the lines.
    async fn forwarded(
        &self,
        forward: &Forward,
        delivery: &Delivery,
        headers: &HeaderMap,
    ) -> Response {
        let answer = forward.post(delivery, headers).await;
        if answer.is_success() {
            self.print_in_time(delivery, "forwarded").await;
        }
        answer.into_response()
    }

    /// Stores the delivery, which determines the response.
    async fn stored(&self, queue: &Queue, delivery: &Delivery, incoming: Incoming) -> Response {
        let accepted = queue.accept()(incoming).await;
        if accepted.is_stored() {
            self.print_in_time(delivery, "stored").await;
        }
        accepted.into_response()
    }

    /// Prints the line of the delivery. The sender does not wait for a slow reader of the lines.
    async fn print_in_time(&self, delivery: &Delivery, done: &str) {
        if !self.prints_events {
            return;
        }
        let event = lines::event(delivery);
        if event.is_none() {
            tracing::warn!(
                "the body is not JSON: the delivery was {done}, but its line has no event"
            );
        }
        if timeout(LINE, self.print(delivery, event)).await.is_err() {
            tracing::warn!(
                "the line of a delivery was left out, because standard output is not being read"
            );
        }
    }

    async fn print(&self, delivery: &Delivery, event: Option<&RawValue>) -> Result<()> {
        self.lines.print(lines::accepted(delivery, event)?).await
    }
}
