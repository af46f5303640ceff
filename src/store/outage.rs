//! Logs one line when a store stops answering and one when it answers again, however many requests fail in
//! between.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant};

use super::StoreError;

/// How long a store must answer without an error to count as recovered. A store that fails at every second request
/// then does not log two lines each time.
const STEADY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Outage {
    failing: Mutex<Option<Failing>>,
    /// Whether an outage is in progress. A successful answer usually reads only this, and takes no shared lock.
    is_failing: AtomicBool,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    last: Instant,
    failures: u64,
}

impl Outage {
    /// Records whether the store answered, and returns its answer.
    pub(super) fn note<T>(
        &self,
        store: &dyn fmt::Debug,
        answer: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &answer {
            Ok(_) => self.answered(store),
            // For example while the handler's own transaction completes the delivery. The caller logs this.
            Err(error) if error.is_of_one_record() => {}
            Err(error) => self.failed(store, error),
        }
        answer
    }

    pub(super) fn failed(&self, store: &dyn fmt::Debug, error: &StoreError) {
        let now = Instant::now();
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_failing.store(true, Ordering::Relaxed);
        if let Some(failing) = &mut *failing {
            (failing.last, failing.failures) = (now, failing.failures + 1);
            return;
        }
        *failing = Some(Failing { since: now, last: now, failures: 1 });
        drop(failing);
        tracing::warn!(
            ?store,
            %error,
            "delivery store fails: deliveries wait for it, or are answered 503 for a retry"
        );
    }

    fn answered(&self, store: &dyn fmt::Debug) {
        if !self.is_failing.load(Ordering::Relaxed) {
            return;
        }
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.as_ref().is_none_or(|failing| failing.last.elapsed() < STEADY) {
            return;
        }
        let Some(Failing { since, last, failures }) = failing.take() else { return };
        self.is_failing.store(false, Ordering::Relaxed);
        drop(failing);
        tracing::info!(?store, failures, lasted = ?(last - since), "delivery store answers again");
    }
}
