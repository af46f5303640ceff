//! What runs, and the end of it when the process is to stop.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Runs {
    /// How many run, or wait in the background for the store.
    running: AtomicUsize,
    /// How many wait for the last of them: usually 0, and then nobody is told of it.
    draining: AtomicUsize,
    /// Whether nothing may begin any more.
    closed: AtomicBool,
    /// Whether what still runs is to end.
    ending: AtomicBool,
    /// The last run has ended, or what still runs is to end.
    changed: Notify,
}

/// What [`Runs::drained`] waits for the end of. What runs within a request borrows, what goes on in the background
/// shares.
#[derive(Debug)]
pub(crate) struct Running<R: Deref<Target = Runs>>(R);

impl Runs {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            running: AtomicUsize::new(0),
            draining: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            changed: Notify::new(),
        })
    }

    /// Counted first, and asked then: otherwise a shutdown in between would find that nothing runs.
    pub(super) fn begin_unless_closed(&self) -> Option<Running<&Self>> {
        let running = Running::begin(self);
        (!self.is_closed()).then_some(running)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    pub(super) async fn drained(&self, grace: Duration) -> bool {
        let _draining = Draining::begin(&self.draining);
        tokio::time::timeout(grace, self.until(Self::is_idle)).await.is_ok()
    }

    async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        loop {
            // It hears of every change from here on, so that none is missed after the question.
            let changed = self.changed.notified();
            if is_so(self) {
                return;
            }
            changed.await;
        }
    }

    fn is_idle(&self) -> bool {
        self.running.load(Ordering::SeqCst) == 0
    }
}

impl<R: Deref<Target = Runs>> Running<R> {
    pub(super) fn begin(runs: R) -> Self {
        runs.running.fetch_add(1, Ordering::SeqCst);
        Self(runs)
    }

    /// Waits until what still runs is to end.
    pub(crate) async fn is_to_end(&self) {
        self.0.until(|runs| runs.ending.load(Ordering::SeqCst)).await;
    }
}

impl<R: Deref<Target = Runs>> Drop for Running<R> {
    fn drop(&mut self) {
        let is_last = self.0.running.fetch_sub(1, Ordering::SeqCst) == 1;
        if is_last && self.0.draining.load(Ordering::SeqCst) > 0 {
            self.0.changed.notify_waiters();
        }
    }
}

/// Somebody waits for the last end, until this is dropped.
struct Draining<'a>(&'a AtomicUsize);

impl<'a> Draining<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
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
                    found_nothing.store(runs.is_idle(), Ordering::SeqCst);
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
