//! A limit on the failures of an address; those who succeed are exempt.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;
use lru::LruCache;
use tokio::time::Instant;

use crate::config_error::ConfigError;
use crate::rejection::{RejectionKind, Reply};

/// Those who failed last, some 100 bytes each. Who fails from more addresses than this is not held up.
const FAILING: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Those who sent something authentic last; more than senders have addresses.
const AUTHENTIC: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

#[derive(Debug)]
pub(crate) struct Failures {
    /// `None` if it was to allow none at all, which [`check`](Self::check) says.
    limiter: Option<RateLimiter<Question, Table, Uptime, NoOpMiddleware<Duration>>>,
    authentic: Mutex<LruCache<IpNet, ()>>,
}

impl Failures {
    pub(crate) fn new(per_minute: u32) -> Self {
        let limiter = NonZeroU32::new(per_minute).map(|per_minute| {
            let table = Table(Mutex::new(LruCache::new(FAILING)));
            RateLimiter::new(Quota::per_minute(per_minute), table, Uptime(Instant::now()))
        });
        Self { limiter, authentic: Mutex::new(LruCache::new(AUTHENTIC)) }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.limiter {
            Some(_) => Ok(()),
            None => Err(ConfigError::new(
                "failed_auth_limit",
                "is 0, expected at least 1 a minute: the genuine sender may fail once, too",
            )),
        }
    }

    /// Under what the failures of this address are to be counted, unless there were too many.
    pub(super) fn admit(&self, address: IpAddr) -> Result<IpNet, Reply> {
        let of = block(address);
        if let Err(wait) = self.ask(Question { of, counts: false })
            && !lock(&self.authentic).contains(&of)
        {
            return Err(Reply::later(RejectionKind::Throttled, wait));
        }
        Ok(of)
    }

    pub(super) fn count(&self, of: IpNet) {
        // One more than the limit: those of a crowd were all let in before the first of them failed.
        _ = self.ask(Question { of, counts: true });
    }

    pub(super) fn exempt(&self, of: IpNet) {
        lock(&self.authentic).put(of, ());
    }

    /// How long to wait if another failure would be one too many.
    fn ask(&self, question: Question) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let asked = limiter.check_key(&question);
        asked.map_err(|until| until.wait_time_from(limiter.clock().now()))
    }
}

/// Who has an IPv6 address has 2⁶⁴ of them.
fn block(address: IpAddr) -> IpNet {
    let network = IpNet::from(address);
    let block = match network {
        IpNet::V4(_) => Ok(network),
        IpNet::V6(_) => IpNet::new(address, 64),
    };
    block.unwrap_or(network).trunc()
}

/// Of the limiter: whether `of` may fail once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Question {
    of: IpNet,
    /// Whether it has, or would.
    counts: bool,
}

/// The limiter's memory: bounded, so that no number of addresses fills ours.
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

/// Nothing under the locks can panic half-way, so a poisoned one is as good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Time since the layer was made, by the runtime's clock.
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

    use super::{AUTHENTIC, FAILING, Failures, block};

    #[test]
    fn no_number_of_addresses_fills_the_memory() {
        let failures = Failures::new(1);
        let address = |number: usize| block(Ipv4Addr::from_bits(number as u32).into());
        for number in 0..=FAILING.get() {
            failures.count(address(number));
            failures.exempt(address(number));
        }
        let is_held_up = |number| failures.admit(address(number).addr()).is_err();
        assert!(!is_held_up(0), "the first one is forgotten");
        assert!(is_held_up(1), "and no other");
        let exempt = FAILING.get() - AUTHENTIC.get();
        assert!(is_held_up(exempt) && !is_held_up(exempt + 1), "so many are exempt");
    }
}
