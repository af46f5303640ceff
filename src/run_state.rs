//! The progress of a request, as far as code outside its future must know it.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The phase of a request, which decides how its future may be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Nothing is claimed in the store: dropping does no harm.
    Idle,
    /// A claim or a record exists or may exist: it would block the delivery until the lease ends.
    Held,
    /// As [`Held`](Self::Held), and the handler is running: the sender does not wait for it indefinitely.
    Running,
}

#[derive(Debug)]
pub(crate) struct RunState {
    /// A [`Phase`].
    phase: AtomicU8,
    lease_lost: AtomicBool,
    detached: AtomicBool,
    /// Whether the first timer, which all limits of a run share, has ended.
    outlived_first_timer: AtomicBool,
    /// Whether the handler completed the delivery in a transaction of its own.
    completed_in: AtomicBool,
    /// When the request arrived, as [`since_start`]; [`UNKNOWN`] until the time is first needed.
    arrived: AtomicI64,
    /// When the lease ends, as [`since_start`]; [`NO_LEASE`] while nothing is claimed.
    lease_until: AtomicI64,
    /// When the lease ends by the wall clock, in milliseconds since 1970: the monotonic clock stops while a machine
    /// is suspended.
    lease_until_by_wall: AtomicU64,
    span: tracing::Span,
}

const NO_LEASE: i64 = i64::MAX;
const UNKNOWN: i64 = i64::MIN;

/// A point in time by both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) instant: Instant,
    unix_millis: u64,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { instant: Instant::now(), unix_millis: since_1970() }
    }
}

impl RunState {
    pub(crate) fn new(span: tracing::Span) -> Arc<Self> {
        Arc::new(Self {
            phase: AtomicU8::new(Phase::Idle as u8),
            lease_lost: AtomicBool::new(false),
            detached: AtomicBool::new(false),
            outlived_first_timer: AtomicBool::new(false),
            completed_in: AtomicBool::new(false),
            arrived: AtomicI64::new(UNKNOWN),
            lease_until: AtomicI64::new(NO_LEASE),
            lease_until_by_wall: AtomicU64::new(u64::MAX),
            span,
        })
    }

    /// Makes an independent state for the same request.
    pub(crate) fn beside(&self) -> Arc<Self> {
        let beside = Self::new(self.span.clone());
        beside.arrived_by(self.arrived());
        beside
    }

    /// Returns when the request arrived. All its time limits count from there.
    pub(crate) fn arrived(&self) -> Instant {
        match self.arrived.load(Ordering::Relaxed) {
            UNKNOWN => self.arrived_by(Instant::now()),
            arrived => at(arrived),
        }
    }

    /// Returns when the request arrived; if that is not known yet, sets it to `now`. The clock is not read until
    /// something waits or is measured, and until then almost no time has passed.
    pub(crate) fn arrived_by(&self, now: Instant) -> Instant {
        match self.arrived.load(Ordering::Relaxed) {
            UNKNOWN => {
                // Only the request's own future can be first, so there is no race.
                self.arrived.store(since_start(now), Ordering::Relaxed);
                now
            }
            arrived => at(arrived),
        }
    }

    pub(crate) fn span(&self) -> &tracing::Span {
        &self.span
    }

    /// Runs `work` in the span of the run. If the span is disabled, it only runs `work`.
    pub(crate) fn in_span<T>(&self, work: impl FnOnce() -> T) -> T {
        match self.span.is_disabled() {
            true => work(),
            false => self.span.in_scope(work),
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Idle,
            1 => Phase::Held,
            _ => Phase::Running,
        }
    }

    /// Sets the lease, which lasts for this long from `since`, when the store was asked for it.
    pub(crate) fn hold_lease(&self, since: Moment, lease: Duration) {
        let by_wall = since.unix_millis.saturating_add(as_u64(lease.as_millis()));
        self.lease_until_by_wall.store(by_wall, Ordering::Relaxed);
        let until = since_start(since.instant).saturating_add(as_i64(lease));
        self.lease_until.store(until, Ordering::Release);
    }

    /// From now on another attempt may run the delivery, whatever the time.
    pub(crate) fn lose_lease(&self) {
        self.lease_lost.store(true, Ordering::Release);
    }

    /// Whether another attempt may run the delivery: because of an event, or because the lease has ended, even if the
    /// thread was blocked or the machine suspended in the meantime.
    pub(crate) fn is_lease_lost(&self) -> bool {
        if self.lease_lost.load(Ordering::Acquire) {
            return true;
        }
        match self.lease_until.load(Ordering::Acquire) {
            NO_LEASE => false,
            until => {
                since_start(Instant::now()) >= until
                    || since_1970() >= self.lease_until_by_wall.load(Ordering::Relaxed)
            }
        }
    }

    /// From now on the run succeeds by the commit of that transaction, not by its answer.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn complete_in(&self) {
        self.completed_in.store(true, Ordering::Release);
    }

    pub(crate) fn is_completed_in(&self) -> bool {
        self.completed_in.load(Ordering::Acquire)
    }

    pub(crate) fn detach(&self) {
        self.detached.store(true, Ordering::Release);
    }

    /// From now on the answer deadline needs its own timer: the one that all limits of a run share has ended.
    pub(crate) fn outlive_first_timer(&self) {
        self.outlived_first_timer.store(true, Ordering::Release);
    }

    pub(crate) fn has_outlived_first_timer(&self) -> bool {
        self.outlived_first_timer.load(Ordering::Acquire)
    }

    /// Whether the client is gone or was already answered, so that no client waits for an answer.
    pub(crate) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Acquire)
    }
}

fn since_1970() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    as_u64(since.as_millis())
}

/// Returns nanoseconds since the first request of the process, negative before it: a number that fits into an atomic.
fn since_start(instant: Instant) -> i64 {
    match instant.checked_duration_since(*START) {
        Some(since) => as_i64(since),
        // In tests, a paused clock can start earlier.
        None => -as_i64(START.duration_since(instant)),
    }
}

fn at(since_start: i64) -> Instant {
    let distance = Duration::from_nanos(since_start.unsigned_abs());
    if since_start < 0 { *START - distance } else { *START + distance }
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Converts durations of up to about 292 years.
fn as_i64(duration: Duration) -> i64 {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(NO_LEASE);
    let nanos =
        seconds.saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into());
    nanos.min(NO_LEASE - 1)
}

fn as_u64(number: u128) -> u64 {
    // About 500,000,000 years.
    u64::try_from(number).unwrap_or(u64::MAX)
}
