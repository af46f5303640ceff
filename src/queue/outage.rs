//! Logs one line when the database stops answering and one when it answers again, however many requests fail in
//! between.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::error::QueueError;

/// Since when the database does not answer, and how many requests failed.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<(Instant, u64)>>);

impl Outage {
    /// Records whether the database answered, and returns its answer.
    pub(super) fn note<T>(
        &self,
        what: &'static str,
        answer: Result<T, QueueError>,
    ) -> Result<T, QueueError> {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (&answer, &mut *failing) {
            (Ok(_), None) => {}
            (Ok(_), Some((since, failures))) => {
                let lasted = since.elapsed();
                tracing::info!(failures, ?lasted, "queue answers again");
                *failing = None;
            }
            (Err(_), Some((_, failures))) => *failures += 1,
            (Err(error), None) => {
                tracing::warn!(%error, what, "queue fails: deliveries are answered 503, and jobs wait");
                *failing = Some((Instant::now(), 1));
            }
        }
        answer
    }
}
