//! How far a request has come, as far as those outside of its future must know.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

use crate::observe::MetersOfLayer;

/// What it would mean to drop the request's future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Nothing is held in the store: it does no harm.
    Idle,
    /// Something is, or may be, held or recorded: it would be left to the lease's end.
    Held,
    /// The same, and the handler is running: the sender is not kept waiting for it for ever.
    Running,
}

#[derive(Debug)]
pub(crate) struct RunState {
    /// A [`Phase`].
    phase: AtomicU8,
    lease_lost: AtomicBool,
    detached: AtomicBool,
    arrived: OnceLock<Instant>,
    span: tracing::Span,
    meters: MetersOfLayer,
}

impl RunState {
    pub(crate) fn new(span: tracing::Span, meters: MetersOfLayer) -> Arc<Self> {
        Arc::new(Self {
            meters,
            phase: AtomicU8::new(Phase::Idle as u8),
            lease_lost: AtomicBool::new(false),
            detached: AtomicBool::new(false),
            arrived: OnceLock::new(),
            span,
        })
    }

    /// One of its own for the same request.
    pub(crate) fn beside(&self) -> Arc<Self> {
        let beside = Self::new(self.span.clone(), self.meters.clone());
        beside.arrived_by(self.arrived());
        beside
    }

    /// When the request came: what it may take counts from there.
    pub(crate) fn arrived(&self) -> Instant {
        *self.arrived.get_or_init(Instant::now)
    }

    /// The same for one who knows what time it is. The clock is not asked before anything waits or is measured:
    /// until then next to nothing has passed.
    pub(crate) fn arrived_by(&self, now: Instant) -> Instant {
        *self.arrived.get_or_init(|| now)
    }

    pub(crate) fn span(&self) -> &tracing::Span {
        &self.span
    }

    /// What this says and does belongs to the run. Where nobody listens it is done and no more.
    pub(crate) fn in_span<T>(&self, work: impl FnOnce() -> T) -> T {
        match self.span.is_disabled() {
            true => work(),
            false => self.span.in_scope(work),
        }
    }

    pub(crate) fn meters(&self) -> &MetersOfLayer {
        &self.meters
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

    pub(crate) fn lose_lease(&self) {
        self.lease_lost.store(true, Ordering::Release);
    }

    pub(crate) fn is_lease_lost(&self) -> bool {
        self.lease_lost.load(Ordering::Acquire)
    }

    pub(crate) fn detach(&self) {
        self.detached.store(true, Ordering::Release);
    }

    /// Whether the client is gone, or was answered already: then nobody waits for an answer.
    pub(crate) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Acquire)
    }
}
