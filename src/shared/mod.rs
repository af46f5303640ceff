//! What all requests of a layer, and of its clones, have in common: their limits and their end.

mod waiters;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub(crate) use self::waiters::Place;
use self::waiters::Waiters;
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
    /// Every run, and every completion in the background, holds a receiver.
    runs: Arc<watch::Sender<()>>,
    pending_completions: Arc<Semaphore>,
    pending_releases: Arc<Semaphore>,
}

/// A body that was read whole, and its share of the bytes in flight until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// A body that is shared once it has to wait, and not before: most never do.
#[derive(Debug)]
pub(crate) enum Kept {
    Alone(Body),
    Shared(Arc<Body>),
}

impl Kept {
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

/// What [`drained`](Shared::drained) waits for the end of.
#[derive(Debug)]
pub(crate) struct Running(#[expect(dead_code, reason = "held for its end")] watch::Receiver<()>);

impl Body {
    pub(crate) fn new(bytes: Bytes, share: Option<OwnedSemaphorePermit>) -> Self {
        Self { bytes, _share: share }
    }
}

impl Shared {
    pub(crate) fn new(bytes_in_flight: usize) -> Self {
        Self {
            bytes_in_flight: cap(bytes_in_flight),
            waiters: Arc::default(),
            runs: Arc::new(watch::Sender::new(())),
            pending_completions: cap(PENDING),
            pending_releases: cap(PENDING),
        }
    }

    /// From now on, for requests that are yet to come.
    pub(crate) fn set_bytes_in_flight(&mut self, limit: usize) {
        self.bytes_in_flight = cap(limit);
    }

    /// Adds so many bytes to the share of a body, if there is room for them.
    pub(crate) fn take_bytes(
        &self,
        share: &mut Option<OwnedSemaphorePermit>,
        bytes: usize,
    ) -> Result<(), RejectionKind> {
        let bytes = u32::try_from(bytes).map_err(|_| RejectionKind::BodyTooLarge)?;
        let more = Arc::clone(&self.bytes_in_flight)
            .try_acquire_many_owned(bytes)
            .map_err(|_| RejectionKind::BytesInFlight)?;
        match share {
            Some(share) => share.merge(more),
            None => *share = Some(more),
        }
        Ok(())
    }

    /// A place among those who wait for `key`, and the body: the one that is held there already, if the
    /// bytes are the same.
    pub(crate) fn wait_for(&self, key: Key, body: Kept) -> Result<(Place, Kept), RejectionKind> {
        let mut body = body.shared();
        let place = self.waiters.join(key, &mut body)?;
        Ok((place, Kept::Shared(body)))
    }

    pub(crate) fn run(&self) -> Running {
        Running(self.runs.subscribe())
    }

    /// A place for a completion that is to be told to the store later, if there is one.
    pub(crate) fn complete_later(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pending_completions).try_acquire_owned().ok()
    }

    /// Likewise for a release.
    pub(crate) fn release_later(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pending_releases).try_acquire_owned().ok()
    }

    /// Whether within `grace` nothing runs any more.
    pub(crate) async fn drained(&self, grace: Duration) -> bool {
        tokio::time::timeout(grace, self.runs.closed()).await.is_ok()
    }
}

fn cap(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)))
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
