//! Lets a run outlive its client: when its future is dropped, the run moves to a task.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep_until};
use tracing::Instrument;
use tracing::instrument::Instrumented;

use crate::observe::MetersOfLayer;
use crate::rejection::{RejectionKind, Reply};
use crate::run_state::{Phase, RunState};

/// The pipeline's future as the framework polls it. If it is dropped or late while a claim may exist, it continues in
/// a task. A delivery whose client stays needs no task.
pub(crate) struct DetachOnDrop<F: ?Sized + Future> {
    future: Option<Pin<Box<F>>>,
    run: Arc<RunState>,
    answer_within: Duration,
    meters: MetersOfLayer,
    /// Created only after a handler has waited for a long time.
    timer: Option<Pin<Box<Sleep>>>,
    spawn: fn(Instrumented<Pin<Box<F>>>) -> bool,
    late: fn(Reply) -> F::Output,
}

impl<F: ?Sized + Future> DetachOnDrop<F> {
    /// `spawn` moves the future to a task and returns whether it could. `late` writes the answer for a handler that
    /// is late. Both are called in the span of the run.
    pub(crate) fn new(
        future: Pin<Box<F>>,
        run: Arc<RunState>,
        answer_within: Duration,
        meters: MetersOfLayer,
        spawn: fn(Instrumented<Pin<Box<F>>>) -> bool,
        late: fn(Reply) -> F::Output,
    ) -> Self {
        Self { future: Some(future), run, answer_within, meters, timer: None, spawn, late }
    }

    fn detach(&mut self) {
        let Some(future) = self.future.take() else { return };
        self.run.detach();
        let has_runtime = tokio::runtime::Handle::try_current().is_ok();
        let future = future.instrument(self.run.span().clone());
        if !has_runtime || !(self.spawn)(future) {
            self.run.lose_lease();
            self.run.in_span(|| {
                tracing::warn!(
                    "a handler was dropped before it finished, because there is no runtime to continue it: its \
                     delivery runs again after its lease has ended; with actix, use `#[actix_web::main]` or \
                     `#[actix_web::test]`"
                );
            });
        }
    }
}

impl<F: ?Sized + Future> Future for DetachOnDrop<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        // Taken out, so that a future that panics is not moved to a task and polled again.
        let Some(mut future) = this.future.take() else {
            // Polled again after its end. `Future` does not define the result.
            return Poll::Pending;
        };
        if let Poll::Ready(output) = this.run.in_span(|| future.as_mut().poll(cx)) {
            this.run.in_span(|| drop(future));
            return Poll::Ready(output);
        }
        this.future = Some(future);
        // Before that, the run's own timer wakes this future in time.
        if this.run.phase() != Phase::Running || !this.run.has_outlived_first_timer() {
            return Poll::Pending;
        }
        let deadline = this.run.arrived() + this.answer_within;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.detach();
        let reply = Reply::from(RejectionKind::AnswerDeadline);
        crate::observe::late(&this.run, &this.meters, &reply);
        Poll::Ready((this.late)(reply))
    }
}

impl<F: ?Sized + Future> Drop for DetachOnDrop<F> {
    fn drop(&mut self) {
        if self.run.phase() != Phase::Idle {
            self.detach();
        }
        let Self { run, future, .. } = self;
        run.in_span(|| *future = None);
    }
}

impl<F: ?Sized + Future> fmt::Debug for DetachOnDrop<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetachOnDrop").field("run", &self.run).finish_non_exhaustive()
    }
}
