//! How long a failed job waits for its next attempt.

use std::time::Duration;

/// Waits that double from the first to the longest. Each has a jitter of ±25 %, so that jobs that failed together
/// do not retry together.
///
/// Default: 2 s at first, at most 1 h. With the default of 50 attempts a job is retried for more than a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Waits `first` after the first failed attempt, then twice as long each time, but at most `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The wait after a failed attempt. `failed` earlier attempts failed as well.
    pub(super) fn after(self, failed: u32) -> Duration {
        let doubled = 2_u32.checked_pow(failed).and_then(|factor| self.first.checked_mul(factor));
        let wait = doubled.map_or(self.longest, |wait| wait.min(self.longest));
        wait.mul_f64(rand::random_range(0.75..=1.25))
    }

    pub(super) fn longest(self) -> Duration {
        self.longest
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_secs(2), Duration::from_secs(3_600))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;

    #[test]
    fn waits_double_up_to_a_maximum_with_at_most_a_quarter_of_jitter() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        for (failed, expected) in [(0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0), (4, 10.0), (4_000, 10.0)]
        {
            let waits: Vec<_> = (0..100).map(|_| backoff.after(failed).as_secs_f64()).collect();
            let (least, most) = (0.7499 * expected, 1.2501 * expected);
            assert!(waits.iter().all(|wait| (least..most).contains(wait)), "{failed}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "no jitter: {waits:?}");
        }
    }

    #[test]
    fn fifty_attempts_last_longer_than_a_day_at_the_shortest_jitter() {
        let backoff = Backoff::default();
        let mut total = 0.0;
        for failed in 0..49 {
            let shortest = (0..50).map(|_| backoff.after(failed).as_secs_f64());
            total += shortest.fold(f64::INFINITY, f64::min);
        }
        assert!(total > 86_400.0, "{total}");
    }
}
