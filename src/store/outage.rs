//! One line when a store stops answering and one when it answers again, however many ask meanwhile.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant};

use super::StoreError;

/// How long a store must answer without an error to count as back: one that answers every other question
/// is not two lines a question.
const STEADY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Failing>>);

#[derive(Debug)]
struct Failing {
    since: Instant,
    last: Instant,
    failures: u64,
}

impl Outage {
    /// Takes note of an answer, and hands it on.
    pub(super) fn note<T>(
        &self,
        store: &dyn fmt::Debug,
        answer: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &answer {
            Ok(_) => self.answered(store),
            Err(error) => self.failed(store, error),
        }
        answer
    }

    pub(super) fn failed(&self, store: &dyn fmt::Debug, error: &StoreError) {
        let now = Instant::now();
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failing) = &mut *failing {
            (failing.last, failing.failures) = (now, failing.failures + 1);
            return;
        }
        *failing = Some(Failing { since: now, last: now, failures: 1 });
        drop(failing);
        tracing::warn!(?store, %error, "delivery store fails; deliveries wait for it or are told to come later");
    }

    fn answered(&self, store: &dyn fmt::Debug) {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.as_ref().is_none_or(|failing| failing.last.elapsed() < STEADY) {
            return;
        }
        let Some(Failing { since, last, failures }) = failing.take() else { return };
        drop(failing);
        tracing::info!(?store, failures, lasted = ?(last - since), "delivery store answers again");
    }
}
