//! Counts running handlers and background work, and waits for them at shutdown.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Runs {
    /// The number of runs, including those that wait in the background for the store.
    running: AtomicUsize,
    /// The number of callers that wait for the last run to end: usually 0, and then no notification is needed.
    draining: AtomicUsize,
    /// Whether new runs are refused.
    closed: AtomicBool,
    /// Whether the runs that are left must end.
    ending: AtomicBool,
    /// Notified when the last run has ended, or when the runs that are left must end.
    changed: Notify,
}

/// One run, which [`Runs::drained`] waits for. A run within a request borrows the counter; a run in the background
/// shares it.
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

    /// Counts the run before it checks the flag: otherwise a shutdown in between would find that nothing runs.
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
            // This future sees every change from here on, so a change after the check is not missed.
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

    /// Waits until the runs that are left must end.
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

/// Counts a caller that waits for the last run, until this is dropped.
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
    fn no_run_starts_after_a_shutdown_has_found_none_running() {
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
                    // Long enough for the other thread's check.
                    (0..50).for_each(|_| std::hint::spin_loop());
                    assert!(!found_nothing.load(Ordering::SeqCst));
                    drop(running);
                }
            }
        });
    }
}
