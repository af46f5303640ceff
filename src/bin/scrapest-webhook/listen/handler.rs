//! What stands behind the layer: an accepted delivery is printed, or forwarded and then printed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use scrapest_webhook::Delivery;
use scrapest_webhook::queue::{Incoming, Queue};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::forward::Forward;
use super::lines::{self, Lines};

/// How long a forwarded delivery waits for its line: past the run limit it would count as one that failed.
const LINE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) lines: Lines,
    pub(super) forward: Option<Forward>,
    pub(super) queue: Option<Queue>,
}

pub(super) async fn on_delivery(
    State(receiver): State<Arc<Receiver>>,
    delivery: Delivery,
    headers: HeaderMap,
    incoming: Incoming,
) -> Response {
    if let Some(queue) = &receiver.queue {
        return receiver.stored(queue, &delivery, incoming).await;
    }
    match &receiver.forward {
        Some(forward) => receiver.forwarded(forward, &delivery, &headers).await,
        None => receiver.printed(&delivery).await.into_response(),
    }
}

impl Receiver {
    /// The line is all there is: without it the sender has to send again.
    async fn printed(&self, delivery: &Delivery) -> StatusCode {
        let Some(event) = lines::event(delivery) else {
            tracing::warn!("delivery refused: it is authentic, but its body is no JSON");
            return StatusCode::UNPROCESSABLE_ENTITY;
        };
        match self.print(delivery, Some(event)).await {
            Ok(()) => StatusCode::NO_CONTENT,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What counts is what the upstream said. A line that cannot be written undoes nothing, and is said once, where
    /// that failed; for one that nobody reads the sender does not wait.
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

    /// What counts is whether it is stored.
    async fn stored(&self, queue: &Queue, delivery: &Delivery, incoming: Incoming) -> Response {
        let accepted = queue.accept()(incoming).await;
        if accepted.is_stored() {
            self.print_in_time(delivery, "stored").await;
        }
        accepted.into_response()
    }

    /// Its line, for which the sender does not wait if nobody reads it.
    async fn print_in_time(&self, delivery: &Delivery, done: &str) {
        let event = lines::event(delivery);
        if event.is_none() {
            tracing::warn!("the body is no JSON: it was {done}, its line has no event");
        }
        if timeout(LINE, self.print(delivery, event)).await.is_err() {
            tracing::warn!("its line was left out: standard output is not being read");
        }
    }

    async fn print(&self, delivery: &Delivery, event: Option<&RawValue>) -> Result<()> {
        self.lines.print(lines::accepted(delivery, event)?).await
    }
}
