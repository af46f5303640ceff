//! What runs, and the end of it when the process is to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

#[derive(Debug)]
pub(super) struct Runs {
    /// Whether what still runs is to end; every run, and every completion in the background, holds a
    /// receiver.
    ending: watch::Sender<bool>,
    /// Whether nothing may begin any more.
    closed: AtomicBool,
}

/// What [`Runs::drained`] waits for the end of.
#[derive(Debug)]
pub(crate) struct Running(watch::Receiver<bool>);

impl Runs {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { ending: watch::Sender::new(false), closed: AtomicBool::new(false) })
    }

    pub(super) fn begin(&self) -> Running {
        Running(self.ending.subscribe())
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn end(&self) {
        self.ending.send_replace(true);
    }

    pub(super) async fn drained(&self, grace: Duration) -> bool {
        tokio::time::timeout(grace, self.ending.closed()).await.is_ok()
    }
}

impl Running {
    /// Waits until what still runs is to end.
    pub(crate) async fn is_to_end(&self) {
        // An error would be a sender that is gone: then nobody tells it to end.
        if self.0.clone().wait_for(|ending| *ending).await.is_err() {
            std::future::pending().await
        }
    }
}
