//! The handler of the application. It only records each event.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use scrapest_webhook::Delivery;

/// The delivery whose handler fails the first time.
pub(crate) const FAILS_FIRST: &str = "dlv-fails-first";
/// The delivery whose handler is slow enough for a duplicate to arrive during the run.
pub(crate) const SLOW: &str = "dlv-slow";

/// One line per run of the handler.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub(crate) fn runs(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn since(&self, runs: usize) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[runs..].to_vec()
    }

    fn write(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// Returns the status to answer with, for either framework.
pub(crate) async fn handle(
    journal: &Journal,
    delivery: &Delivery,
    kind: Option<&str>,
    text: Option<&str>,
) -> u16 {
    let kind = kind.unwrap_or("an event without a kind");
    journal.write(match text {
        Some(text) => format!("{kind} \"{text}\""),
        None => kind.to_owned(),
    });
    match delivery.id() {
        Some(FAILS_FIRST) if delivery.attempt() == 1 => 500,
        Some(SLOW) => {
            tokio::time::sleep(Duration::from_millis(150)).await;
            204
        }
        _ => 204,
    }
}
