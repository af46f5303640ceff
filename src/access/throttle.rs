//! Limits the failed authentications of an address. An address whose delivery was handled is exempt.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;
use lru::LruCache;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::networks::block;
use crate::config_error::ConfigError;
use crate::rejection::{RejectionKind, Reply};

/// The number of recently failed addresses that are remembered, about 100 bytes each. A client with more addresses
/// than this is not limited.
const FAILING: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The number of recently exempt addresses that are remembered: more than senders have.
const PROVEN: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

#[derive(Debug)]
pub(crate) struct Failures {
    /// `None` if the limit is 0, which [`check`](Self::check) refuses.
    limiter: Option<RateLimiter<Question, Table, Uptime, NoOpMiddleware<Duration>>>,
    proven: Mutex<LruCache<IpNet, ()>>,
    open: Mutex<HashMap<IpNet, Open>>,
}

/// The admitted requests of one address that have not yet proved to be authentic.
#[derive(Debug, Default)]
struct Open {
    count: u32,
    /// Wakes the requests that wait because each of these may fail.
    closed: Arc<Notify>,
}

/// An admitted request that has not been authenticated yet. If it is dropped in this state, it counts as a failure.
#[derive(Debug)]
pub(super) struct Attempt {
    failures: Arc<Failures>,
    of: IpNet,
    /// Whether it still counts against the limit.
    is_open: bool,
}

/// The result for a request that asks for admission.
enum Asked {
    Admitted(Attempt),
    /// The request must wait until an open one is closed.
    Waits(Arc<Notify>),
    Refused(Reply),
}

impl Failures {
    pub(crate) fn new(per_minute: u32) -> Self {
        let limiter = NonZeroU32::new(per_minute).map(|per_minute| {
            let table = Table(Mutex::new(LruCache::new(FAILING)));
            RateLimiter::new(Quota::per_minute(per_minute), table, Uptime(Instant::now()))
        });
        Self { limiter, proven: Mutex::new(LruCache::new(PROVEN)), open: Mutex::default() }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.limiter {
            Some(_) => Ok(()),
            None => Err(ConfigError::new(
                "failed_auth_limit",
                "is 0, expected at least 1 per minute: the genuine sender may fail once as well",
            )),
        }
    }

    /// Admits a request of this address, unless there were too many failures. If as many requests are open as may
    /// fail, it waits for one of them to close. A crowd of genuine requests is then admitted, and a crowd of forged
    /// ones is not.
    pub(super) async fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        patience: Instant,
    ) -> Result<Attempt, Reply> {
        let of = block(address);
        loop {
            let closed = match self.ask_to_open(of) {
                Asked::Admitted(attempt) => return Ok(attempt),
                Asked::Refused(reply) => return Err(reply),
                Asked::Waits(closed) => closed,
            };
            let notified = closed.notified();
            // A request may have closed in between.
            match self.ask_to_open(of) {
                Asked::Admitted(attempt) => return Ok(attempt),
                Asked::Refused(reply) => return Err(reply),
                Asked::Waits(now) if !Arc::ptr_eq(&now, &closed) => continue,
                Asked::Waits(_) => {}
            }
            if timeout_at(patience, notified).await.is_err() {
                return Err(Reply::later(RejectionKind::Throttled, Duration::from_secs(1)));
            }
        }
    }

    fn ask_to_open(self: &Arc<Self>, of: IpNet) -> Asked {
        let admitted = |is_open| Attempt { failures: Arc::clone(self), of, is_open };
        if lock(&self.proven).contains(&of) {
            return Asked::Admitted(admitted(false));
        }
        let mut open = lock(&self.open);
        let count = open.get(&of).map_or(0, |open| open.count);
        if self.may_fail(of, count + 1).is_ok() {
            open.entry(of).or_default().count += 1;
            return Asked::Admitted(admitted(true));
        }
        match (self.may_fail(of, 1), open.get(&of)) {
            (Ok(()), Some(open)) => Asked::Waits(Arc::clone(&open.closed)),
            (answer, _) => {
                let wait = answer.err().unwrap_or_default();
                Asked::Refused(Reply::later(RejectionKind::Throttled, wait))
            }
        }
    }

    /// Whether `of` may fail `times` more times. The error is the time to wait, or zero if it never may.
    fn may_fail(&self, of: IpNet, times: u32) -> Result<(), Duration> {
        let (Some(limiter), Some(times)) = (&self.limiter, NonZeroU32::new(times)) else {
            return Ok(());
        };
        match limiter.check_key_n(&Question { of, counts: false }, times) {
            Ok(asked) => asked.map_err(|until| until.wait_time_from(limiter.clock().now())),
            Err(_) => Err(Duration::ZERO),
        }
    }

    fn count(&self, of: IpNet) {
        if let Some(limiter) = &self.limiter {
            _ = limiter.check_key(&Question { of, counts: true });
        }
    }

    fn exempt(&self, of: IpNet) {
        lock(&self.proven).put(of, ());
    }

    fn close(&self, of: IpNet, failed: bool) {
        if failed {
            self.count(of);
        }
        let mut open = lock(&self.open);
        let Some(one) = open.get_mut(&of) else { return };
        one.count -= 1;
        let closed = Arc::clone(&one.closed);
        let was_last = one.count == 0;
        if was_last {
            open.remove(&of);
        }
        drop(open);
        // After a failure, or if no open request is left to wake the others, all waiters check again.
        match failed || was_last {
            true => closed.notify_waiters(),
            false => closed.notify_one(),
        }
    }
}

impl Attempt {
    /// Does not count this request as a failure.
    pub(super) fn forgive(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.failures.close(self.of, false);
        }
    }

    /// Exempts the address from the limit, because a delivery from it was claimed and handled.
    pub(super) fn exempt(&self) {
        self.failures.exempt(self.of);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.is_open {
            self.failures.close(self.of, true);
        }
    }
}

/// A query to the limiter: whether `of` may fail once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Question {
    of: IpNet,
    /// `true` counts a failure; `false` only asks.
    counts: bool,
}

/// The limiter's memory. It is bounded, so that no number of addresses can fill the process's memory.
#[derive(Debug)]
struct Table(Mutex<LruCache<IpNet, Nanos>>);

impl StateStore for Table {
    type Key = Question;

    fn measure_and_replace<T, F, E>(&self, question: &Question, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut table = lock(&self.0);
        let (answer, next) = measure(table.peek(&question.of).copied())?;
        if question.counts {
            table.put(question.of, next);
        }
        Ok(answer)
    }
}

/// No code panics while it holds a lock, so a poisoned lock is still valid.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time since the layer was made, by the runtime's clock.
#[derive(Clone, Debug)]
struct Uptime(Instant);

impl Clock for Uptime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use super::{Asked, FAILING, Failures, PROVEN, block};

    #[test]
    fn memory_is_bounded_for_any_number_of_addresses() {
        let failures = Arc::new(Failures::new(1));
        let address = |number: usize| block(Ipv4Addr::from_bits(number as u32).into());
        for number in 0..=FAILING.get() {
            failures.count(address(number));
            failures.exempt(address(number));
        }
        let is_held_up =
            |number| matches!(failures.ask_to_open(address(number)), Asked::Refused(_));
        assert!(is_held_up(1), "the second one is remembered");
        // Checked second, because an admitted request that is dropped is a failure and takes a place.
        assert!(!is_held_up(0), "the first one is forgotten, and no other");
        let exempt = FAILING.get() - PROVEN.get();
        assert!(is_held_up(exempt) && !is_held_up(exempt + 1), "so many are exempt");
        assert!(failures.open.lock().unwrap().is_empty(), "what has ended is not kept");
    }
}
