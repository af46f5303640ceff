//! How far a request has come, as far as those outside of its future must know.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

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
            span,
        })
    }

    pub(crate) fn span(&self) -> &tracing::Span {
        &self.span
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
