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

    /// Counted first, and asked then: otherwise a shutdown in between would find that nothing runs.
    pub(super) fn begin_unless_closed(&self) -> Option<Running> {
        let running = self.begin();
        (!self.is_closed()).then_some(running)
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::Runs;

    const ROUNDS: usize = 20_000;

    #[test]
    fn nothing_begins_once_a_shutdown_has_found_that_nothing_runs() {
        let rounds: Vec<_> = (0..ROUNDS).map(|_| (Runs::new(), AtomicBool::new(false))).collect();
        let ready = AtomicUsize::new(0);
        let together = |round: usize| {
            ready.fetch_add(1, Ordering::SeqCst);
            while ready.load(Ordering::SeqCst) < 2 * (round + 1) {
                std::thread::yield_now();
            }
        };
        std::thread::scope(|threads| {
            threads.spawn(|| {
                for (round, (runs, found_nothing)) in rounds.iter().enumerate() {
                    together(round);
                    runs.close();
                    found_nothing.store(runs.ending.is_closed(), Ordering::SeqCst);
                }
            });
            for (round, (runs, found_nothing)) in rounds.iter().enumerate() {
                together(round);
                if let Some(running) = runs.begin_unless_closed() {
                    // Long enough for the other thread to look.
                    (0..50).for_each(|_| std::hint::spin_loop());
                    assert!(!found_nothing.load(Ordering::SeqCst));
                    drop(running);
                }
            }
        });
    }
}
