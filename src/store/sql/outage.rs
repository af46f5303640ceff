//! Says once that a store does not answer, and once that it does again.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the last thing heard of the store was an error.
#[derive(Debug, Default)]
pub(crate) struct Outage(AtomicBool);

impl Outage {
    /// Takes note of how a question ended, and logs it if that is news.
    pub(crate) fn note<T, E: fmt::Display>(&self, store: &dyn fmt::Debug, result: &Result<T, E>) {
        match result {
            Err(error) if !self.0.swap(true, Ordering::Relaxed) => tracing::warn!(
                ?store,
                %error,
                "delivery store does not answer; deliveries are refused until it does"
            ),
            Ok(_) if self.0.swap(false, Ordering::Relaxed) => {
                tracing::info!(?store, "delivery store answers again");
            }
            _ => {}
        }
    }
}
