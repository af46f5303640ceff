//! State shared by all requests of a layer and of its clones: limits, and shutdown.

mod in_flight;
mod runs;
mod test_events;
mod waiters;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::in_flight::BytesInFlight;
pub(crate) use self::in_flight::{NoRoom, Share};
pub(crate) use self::runs::{Running, Runs};
pub(crate) use self::test_events::{RunKeys, TestEvents};
pub(crate) use self::waiters::WaiterGuard;
use self::waiters::Waiters;
use crate::rejection::RejectionKind;
use crate::store::Key;

/// The maximum number of completions that wait in the background for a store that is down, and the same number of
/// releases, which must not take the place of completions. Each takes about 200 bytes.
const PENDING: usize = 10_000;

/// Cheap to clone; clones share the state.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    bytes_in_flight: Arc<BytesInFlight>,
    waiters: Arc<Waiters>,
    /// `None`: no limit.
    concurrent_runs: Option<Arc<Semaphore>>,
    runs: Arc<Runs>,
    pending_completions: Arc<Semaphore>,
    pending_releases: Arc<Semaphore>,
    pub(crate) test_events: Arc<TestEvents>,
}

/// A complete body, and its share of the bytes in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    _share: Share,
}

/// A body that becomes shared only when its request has to wait, because most never do.
#[derive(Debug)]
pub(crate) enum HeldBody {
    Alone(Body),
    Shared(Arc<Body>),
}

impl HeldBody {
    pub(crate) fn bytes(&self) -> &Bytes {
        match self {
            Self::Alone(body) => &body.bytes,
            Self::Shared(body) => &body.bytes,
        }
    }

    fn shared(self) -> Arc<Body> {
        match self {
            Self::Alone(body) => Arc::new(body),
            Self::Shared(body) => body,
        }
    }
}

/// The right to run one handler, given back on drop.
#[derive(Debug)]
pub(crate) struct RunPermit(
    #[expect(dead_code, reason = "its drop returns the permit")] Option<OwnedSemaphorePermit>,
);

impl Body {
    pub(crate) fn new(bytes: Bytes, share: Share) -> Self {
        Self { bytes, _share: share }
    }
}

impl Limits {
    pub(crate) fn new(bytes_in_flight: usize) -> Self {
        Self {
            bytes_in_flight: BytesInFlight::new(bytes_in_flight),
            waiters: Arc::default(),
            concurrent_runs: None,
            runs: Runs::new(),
            pending_completions: cap(PENDING),
            pending_releases: cap(PENDING),
            test_events: Arc::new(TestEvents::new(5, 20)),
        }
    }

    /// Applies to future requests.
    pub(crate) fn set_bytes_in_flight(&mut self, limit: usize) {
        self.bytes_in_flight = BytesInFlight::new(limit);
    }

    /// Applies to future requests.
    pub(crate) fn set_max_concurrent_runs(&mut self, runs: usize) {
        self.concurrent_runs = Some(cap(runs));
    }

    /// Applies to future requests.
    pub(crate) fn set_test_events(&mut self, per_minute: u32, in_all: u16) {
        self.test_events = Arc::new(TestEvents::new(per_minute, in_all));
    }

    /// Applies to future requests.
    pub(crate) fn set_max_waiters(&mut self, per_key: usize, in_all: usize) {
        self.waiters = Arc::new(Waiters::new(per_key, in_all));
    }

    /// Adds `count` bytes to the share of a body that may grow to `body_limit`.
    pub(crate) fn take_bytes(
        &self,
        share: &mut Share,
        count: usize,
        body_limit: usize,
    ) -> Result<(), NoRoom> {
        self.bytes_in_flight.take(share, count, body_limit)
    }

    /// Registers a waiter for `key`, and returns the body that it shares with the other waiters if the bytes are the
    /// same.
    pub(crate) fn wait_for(
        &self,
        key: Key,
        body: HeldBody,
    ) -> Result<(WaiterGuard, HeldBody), RejectionKind> {
        let mut body = body.shared();
        let place = self.waiters.join(key, &mut body)?;
        Ok((place, HeldBody::Shared(body)))
    }

    /// Returns a permit for one more handler, if one is free.
    pub(crate) fn run_permit(&self) -> Result<RunPermit, RejectionKind> {
        let Some(runs) = &self.concurrent_runs else { return Ok(RunPermit(None)) };
        let permit = Arc::clone(runs).try_acquire_owned();
        permit.map(|permit| RunPermit(Some(permit))).map_err(|_| RejectionKind::TooManyRuns)
    }

    /// Starts a run that a shutdown waits for. Refused after a shutdown has begun.
    pub(crate) fn begin(&self) -> Result<Running<&Runs>, RejectionKind> {
        self.runs.begin_unless_closed().ok_or(RejectionKind::ShuttingDown)
    }

    /// Starts a run that may begin after a shutdown has begun, and that the shutdown waits for.
    pub(crate) fn run(&self) -> Running<Arc<Runs>> {
        Running::begin(Arc::clone(&self.runs))
    }

    /// Returns a permit for a completion in the background, if one is free.
    pub(crate) fn complete_later(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pending_completions).try_acquire_owned().ok()
    }

    /// Returns a permit for a release in the background, if one is free.
    pub(crate) fn release_later(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pending_releases).try_acquire_owned().ok()
    }

    /// Waits until nothing runs, for at most `grace`, and returns whether that happened.
    pub(crate) async fn drained(&self, grace: Duration) -> bool {
        self.runs.drained(grace).await
    }

    /// Refuses new runs from now on.
    pub(crate) fn close(&self) {
        self.runs.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.runs.is_closed()
    }

    /// Ends the runs that are left; their deliveries are released.
    pub(crate) fn end_runs(&self) {
        self.runs.end();
    }
}

fn cap(most: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
}

#[cfg(test)]
mod tests {
    use super::{Limits, PENDING};

    #[test]
    fn waiting_releases_do_not_use_the_permits_of_completions() {
        let shared = Limits::new(1);
        let releases: Vec<_> = (0..PENDING).map_while(|_| shared.release_later()).collect();
        assert_eq!(releases.len(), PENDING);
        assert!(shared.release_later().is_none(), "their number is bounded");
        assert!(shared.complete_later().is_some());
    }
}
