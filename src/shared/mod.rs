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

/// Completions that wait in the background for a store that is down. Each is some 200 bytes.
const PENDING_COMPLETIONS: usize = 10_000;

/// Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    bytes_in_flight: Arc<Semaphore>,
    waiters: Arc<Waiters>,
    /// Every run, and every completion in the background, holds a receiver.
    runs: Arc<watch::Sender<()>>,
    pending_completions: Arc<Semaphore>,
}

/// A body that was read whole, and its share of the bytes in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
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
            pending_completions: Arc::new(Semaphore::new(PENDING_COMPLETIONS)),
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

    /// A place among those who wait for `key`. `body` is exchanged for the one that is held there
    /// already, if the bytes are the same.
    pub(crate) fn wait_for(&self, key: Key, body: &mut Arc<Body>) -> Result<Place, RejectionKind> {
        self.waiters.join(key, body)
    }

    pub(crate) fn run(&self) -> Running {
        Running(self.runs.subscribe())
    }

    /// A place for what is to be told to the store later, if there is one.
    pub(crate) fn settle_later(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pending_completions).try_acquire_owned().ok()
    }

    /// Whether within `grace` nothing runs any more.
    pub(crate) async fn drained(&self, grace: Duration) -> bool {
        tokio::time::timeout(grace, self.runs.closed()).await.is_ok()
    }
}

fn cap(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)))
}
