//! Limits log lines to one, or to a few per minute, instead of one per request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// Logs once. Clones share the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct WarnOnce(Arc<AtomicBool>);

impl WarnOnce {
    pub(crate) fn then(&self, say: impl FnOnce()) {
        // Read first, so that a flood of requests does not contend for the cache line.
        if !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Relaxed) {
            say();
        }
    }
}

/// Logs a few times per minute. Clones share the state.
#[derive(Clone, Debug)]
pub(crate) struct WarnSometimes {
    per_minute: u32,
    window: Arc<Mutex<Window>>,
}

/// A minute that starts with its first line.
#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl WarnSometimes {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute, window: Arc::default() }
    }

    /// Returns `Some` if a line may be logged now, with the number of lines left out since the last one.
    pub(crate) fn allows(&self) -> Option<u64> {
        let now = Instant::now();
        // No code panics while it holds the lock, so a poisoned lock is still valid.
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.began.is_none_or(|began| now.duration_since(began) >= MINUTE) {
            (window.began, window.lines) = (Some(now), 0);
        }
        if window.lines >= self.per_minute {
            window.left_out += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::WarnSometimes;

    #[tokio::test(start_paused = true)]
    async fn lines_per_minute_are_limited_and_suppressed_ones_are_counted() {
        let sometimes = WarnSometimes::new(2);
        let allowed = || (0..5).filter_map(|_| sometimes.allows()).collect::<Vec<_>>();
        assert_eq!(allowed(), [0, 0]);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(sometimes.clone().allows(), None, "a clone is the same");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(allowed(), [4, 0]);
    }
}
