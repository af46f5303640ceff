//! A run that outlives its client: the future that is being dropped moves itself to a task.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::rejection::{RejectionKind, Reply};

/// Nothing is held in the store: to be dropped does no harm.
const IDLE: u8 = 0;
/// Something is, or may be, held or recorded: to be dropped would leave it to the lease's end.
const HELD: u8 = 1;
/// The same, and the handler is running: the sender is not kept waiting for it for ever.
const RUNNING: u8 = 2;

/// How far a request has come, as far as those outside of its future must know.
#[derive(Debug)]
pub(crate) struct RunState {
    phase: AtomicU8,
    lease_lost: AtomicBool,
    detached: AtomicBool,
    span: tracing::Span,
}

impl RunState {
    pub(crate) fn new(span: tracing::Span) -> Arc<Self> {
        Arc::new(Self {
            phase: AtomicU8::new(IDLE),
            lease_lost: AtomicBool::new(false),
            detached: AtomicBool::new(false),
            span,
        })
    }

    pub(crate) fn span(&self) -> &tracing::Span {
        &self.span
    }

    pub(crate) fn is_lease_lost(&self) -> bool {
        self.lease_lost.load(Ordering::Acquire)
    }

    pub(super) fn lose_lease(&self) {
        self.lease_lost.store(true, Ordering::Release);
    }

    pub(super) fn hold(&self) {
        self.phase.store(HELD, Ordering::Release);
    }

    pub(super) fn let_go(&self) {
        self.phase.store(IDLE, Ordering::Release);
    }

    pub(super) fn begin(&self) {
        self.phase.store(RUNNING, Ordering::Release);
    }

    /// Whether the client is gone, or was answered already: then nobody waits for an answer.
    pub(super) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Acquire)
    }

    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Acquire)
    }
}

/// The pipeline's future as the client's connection sees it. Dropped, or late, while something is held,
/// it goes on in a task; there is no task for a delivery whose client stays.
pub(crate) struct Attended<F: ?Sized + Future> {
    future: Option<Pin<Box<F>>>,
    run: Arc<RunState>,
    deadline: Instant,
    /// Only once a handler has waited for something.
    timer: Option<Pin<Box<Sleep>>>,
    spawn: fn(Pin<Box<F>>),
    late: fn(Reply) -> F::Output,
}

impl<F: ?Sized + Future> Attended<F> {
    /// `spawn` runs the future on whatever it needs; `late` writes the answer of a handler that is.
    pub(crate) fn new(
        future: Pin<Box<F>>,
        run: Arc<RunState>,
        answer_deadline: Duration,
        spawn: fn(Pin<Box<F>>),
        late: fn(Reply) -> F::Output,
    ) -> Self {
        let deadline = Instant::now() + answer_deadline;
        Self { future: Some(future), run, deadline, timer: None, spawn, late }
    }

    fn detach(&mut self) {
        // Without a runtime, at the end of the process, nothing can go on: the lease's end does it.
        if let Some(future) = self.future.take()
            && tokio::runtime::Handle::try_current().is_ok()
        {
            self.run.detached.store(true, Ordering::Release);
            (self.spawn)(future);
        }
    }
}

impl<F: ?Sized + Future> Future for Attended<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        let Some(future) = &mut this.future else {
            // Polled again after its end, which `Future` leaves open.
            return Poll::Pending;
        };
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            this.future = None;
            return Poll::Ready(output);
        }
        if this.run.phase() != RUNNING {
            return Poll::Pending;
        }
        let deadline = this.deadline;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.detach();
        let reply = Reply::from(RejectionKind::AnswerDeadline);
        crate::observe::late(this.run.span(), &reply);
        Poll::Ready((this.late)(reply))
    }
}

impl<F: ?Sized + Future> Drop for Attended<F> {
    fn drop(&mut self) {
        if self.run.phase() != IDLE {
            self.detach();
        }
    }
}

impl<F: ?Sized + Future> fmt::Debug for Attended<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attended").field("run", &self.run).finish_non_exhaustive()
    }
}
