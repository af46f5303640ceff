//! The target of a missing delivery.

use anyhow::{Context, Result, ensure};
use scrapest_webhook::Delivery;
use scrapest_webhook::queue::Queue;

use crate::listen::forward::Forward;

pub(super) enum Target {
    Service(Forward),
    Queue(Queue),
    /// For a dry run.
    None,
}

impl Target {
    /// Passes on the delivery. `Ok` means that it was accepted: the service answered 2xx, or the job is stored.
    pub(super) async fn take(&self, delivery: Delivery) -> Result<()> {
        match self {
            Self::Service(service) => {
                let answer = service.post_reconciled(&delivery).await;
                ensure!(answer.is_success(), "the service answers {}", answer.status());
            }
            // A job that exists already counts as stored.
            Self::Queue(queue) => _ = queue.push(&delivery).await.context("--queue")?,
            Self::None => {}
        }
        Ok(())
    }
}
