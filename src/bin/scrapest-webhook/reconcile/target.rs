//! Where a missing delivery goes.

use anyhow::{Context, Result, ensure};
use scrapest_webhook::Delivery;
use scrapest_webhook::queue::Queue;

use crate::listen::forward::Forward;

pub(super) enum Target {
    Service(Forward),
    Queue(Queue),
    /// Of a dry run.
    None,
}

impl Target {
    /// It has been taken once this is `Ok`: by a 2xx of the service, or by a job that is stored.
    pub(super) async fn take(&self, delivery: Delivery) -> Result<()> {
        match self {
            Self::Service(service) => {
                let answer = service.post_reconciled(&delivery).await;
                ensure!(answer.is_success(), "the service answers {}", answer.status());
            }
            // One that is there already is as good.
            Self::Queue(queue) => _ = queue.push(&delivery).await.context("--queue")?,
            Self::None => {}
        }
        Ok(())
    }
}
