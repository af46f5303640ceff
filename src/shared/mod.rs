//! What all requests of a layer, and of its clones, have in common: their limits and their end.

mod runs;
mod waiters;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use self::runs::Running;
use self::runs::Runs;
pub(crate) use self::waiters::Place;
use self::waiters::Waiters;
use crate::observe::Level;
use crate::rejection::RejectionKind;
use crate::store::Key;

/// What waits in the background for a store that is down: so many completions, and as many releases, which must not
/// take the place of a completion. Each is some 200 bytes.
const PENDING: usize = 10_000;

/// Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    bytes_in_flight: Arc<Semaphore>,
    waiters: Arc<Waiters>,
    /// `None`: as many as come.
    concurrent_runs: Option<Arc<Semaphore>>,
    runs: Arc<Runs>,
    pending_completions: Arc<Semaphore>,
    pending_releases: Arc<Semaphore>,
    warned: Arc<AtomicBool>,
}

/// A body that was read whole, and its share of the bytes in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    _share: Share,
}

/// A body that is shared once it has to wait, and not before: most never do.
#[derive(Debug)]
pub(crate) enum SharedBody {
    Alone(Body),
    Shared(Arc<Body>),
}

impl SharedBody {
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

/// Of the bytes in flight, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    bytes: Option<OwnedSemaphorePermit>,
    level: Level,
}

/// A place among the handlers that may run at one time, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(
    #[expect(dead_code, reason = "held for its end")] Option<OwnedSemaphorePermit>,
);

impl Body {
    pub(crate) fn new(bytes: Bytes, share: Share) -> Self {
        Self { bytes, _share: share }
    }
}

impl Share {
    pub(crate) fn none(level: Level) -> Self {
        Self { bytes: None, level }
    }
}

impl Shared {
    pub(crate) fn new(bytes_in_flight: usize) -> Self {
        Self {
            bytes_in_flight: cap(bytes_in_flight),
            waiters: Arc::default(),
            concurrent_runs: None,
            runs: Runs::new(),
            pending_completions: cap(PENDING),
            pending_releases: cap(PENDING),
            warned: Arc::default(),
        }
    }

    /// From now on, for requests that are yet to come.
    pub(crate) fn set_bytes_in_flight(&mut self, limit: usize) {
        self.bytes_in_flight = cap(limit);
    }

    /// Likewise.
    pub(crate) fn set_max_concurrent_runs(&mut self, runs: usize) {
        self.concurrent_runs = Some(cap(runs));
    }

    /// Likewise.
    pub(crate) fn set_max_waiters(&mut self, per_key: usize, in_all: usize) {
        self.waiters = Arc::new(Waiters::new(per_key, in_all));
    }

    /// Adds so many bytes to the share of a body, if there is room for them.
    pub(crate) fn take_bytes(&self, share: &mut Share, count: usize) -> Result<(), RejectionKind> {
        let bytes = u32::try_from(count).map_err(|_| RejectionKind::BodyTooLarge)?;
        let more = Arc::clone(&self.bytes_in_flight)
            .try_acquire_many_owned(bytes)
            .map_err(|_| RejectionKind::BytesInFlight)?;
        match &mut share.bytes {
            Some(bytes) => bytes.merge(more),
            none => *none = Some(more),
        }
        share.level.raise(count);
        Ok(())
    }

    /// A place among those who wait for `key`, and the body: the one that is held there already, if the
    /// bytes are the same.
    pub(crate) fn wait_for(
        &self,
        key: Key,
        body: SharedBody,
    ) -> Result<(Place, SharedBody), RejectionKind> {
        let mut body = body.shared();
        let place = self.waiters.join(key, &mut body)?;
        Ok((place, SharedBody::Shared(body)))
    }

    /// A place for one more handler, if there is one.
    pub(crate) fn slot(&self) -> Result<Slot, RejectionKind> {
        let Some(runs) = &self.concurrent_runs else { return Ok(Slot(None)) };
        let slot = Arc::clone(runs).try_acquire_owned();
        slot.map(|slot| Slot(Some(slot))).map_err(|_| RejectionKind::TooManyRuns)
    }

    pub(crate) fn run(&self) -> Running {
        self.runs.begin()
    }

    /// A place for a completion that is to be told to the store later, if there is one.
    pub(crate) fn complete_later(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pending_completions).try_acquire_owned().ok()
    }

    /// Likewise for a release.
    pub(crate) fn release_later(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pending_releases).try_acquire_owned().ok()
    }

    /// Whether what is to be said once about a layer was not said yet.
    #[cfg(any(feature = "tower", feature = "actix"))]
    pub(crate) fn is_first_warning(&self) -> bool {
        !self.warned.swap(true, Ordering::Relaxed)
    }

    /// Whether within `grace` nothing runs any more.
    pub(crate) async fn drained(&self, grace: Duration) -> bool {
        self.runs.drained(grace).await
    }

    /// From now on nothing begins.
    pub(crate) fn close(&self) {
        self.runs.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.runs.is_closed()
    }

    /// What still runs is ended, and released.
    pub(crate) fn end_runs(&self) {
        self.runs.end();
    }
}

fn cap(most: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
}

#[cfg(test)]
mod tests {
    use super::{PENDING, Shared};

    #[test]
    fn releases_that_wait_leave_the_places_of_completions_free() {
        let shared = Shared::new(1);
        let releases: Vec<_> = (0..PENDING).map_while(|_| shared.release_later()).collect();
        assert_eq!(releases.len(), PENDING);
        assert!(shared.release_later().is_none(), "their number is bounded");
        assert!(shared.complete_later().is_some());
    }
}
