//! Step 7: runs the handler under its lease and its limit, and settles the delivery by its answer.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::claim::Claimed;
use super::identify::Identified;
use super::settle;
use crate::delivery::Delivery;
use crate::observe::Verb;
use crate::provider::Provider;
use crate::receiver::Receiver;
use crate::rejection::{RejectionKind, Reply};
use crate::run_state::{Moment, Phase, RunState};
use crate::store::{DeliveryStore, Settled};

/// A delivery with its claim, ready for the handler.
pub(super) struct Handled<'a> {
    pub(super) identified: Identified,
    pub(super) claimed: Claimed<'a>,
}

impl Handled<'_> {
    pub(super) fn delivery(&self) -> &Delivery {
        &self.identified.delivery
    }

    /// Counts from the claim, not from the handler's first wait: the handler may have computed for a long time before
    /// it.
    fn renewal_due<P: Provider>(&self, receiver: &Receiver<P>) -> Instant {
        self.claimed.since.instant + receiver.renewal()
    }
}

/// Runs the handler and settles the delivery. `handler` is the call, not yet polled; it enters [`Phase::Running`]
/// once its service is ready. `status` returns the status of its output, if there is one. If `handled` is `None`, an
/// outer layer watches over the run.
pub(super) async fn run<P: Provider, H: Future>(
    receiver: &Receiver<P>,
    mut handler: Pin<&mut Option<H>>,
    status: impl FnOnce(&H::Output) -> Option<u16>,
    handled: Option<&Handled<'_>>,
    run: &RunState,
) -> Result<H::Output, Reply> {
    let Some(handled) = handled else {
        return Ok(poll_fn(|cx| match handler.as_mut().as_pin_mut() {
            Some(handler) => handler.poll(cx),
            None => Poll::Pending,
        })
        .await);
    };
    let delivery = handled.delivery();
    if delivery.attempt() > 0 {
        run.hold_lease(handled.claimed.since, receiver.lease);
    }
    // Created at the handler's first wait: a handler that never waits needs no timer.
    let mut overseer = None;
    let ended = {
        let _running = receiver.meters().running();
        poll_fn(|cx| {
            if let Some(handler) = handler.as_mut().as_pin_mut() {
                match catch_unwind(AssertUnwindSafe(|| handler.poll(cx))) {
                    Ok(Poll::Ready(output)) => return Poll::Ready(Ok(output)),
                    Ok(Poll::Pending) => {}
                    Err(payload) => {
                        dispose(|| drop(payload));
                        return Poll::Ready(Err(RejectionKind::HandlerPanicked.into()));
                    }
                }
            }
            let overseer =
                overseer.get_or_insert_with(|| Box::pin(oversee(receiver, handled, run)));
            overseer.as_mut().poll(cx).map(|kind| Err(Reply::from(kind)))
        })
        .await
    };
    // The handler's resources are dropped before the delivery is settled and may run again.
    if !dispose(|| handler.set(None)) {
        tracing::warn!("handler panicked while it was dropped");
    }
    // From here on the answer is the handler's own, however long the record takes.
    run.enter(Phase::Held);
    let status = ended.as_ref().ok().and_then(status);
    let (held, patience) = (delivery.held(), receiver.answer_by(run));
    match status {
        Some(200..300) if run.is_completed_in() => {
            // Boxed, because most deliveries have no such transaction: a future above 1 kB costs 2,000 instructions
            // to allocate.
            if let Err(kind) = Box::pin(settle::committed(receiver, held, patience)).await {
                run.lose_lease();
                return Err(kind.into());
            }
            handled.identified.client.exempt();
        }
        Some(200..300) => {
            // If nothing has waited since the claim, the record counts from the claim, whose time is known.
            let at = overseer.is_none().then_some(handled.claimed.since.instant);
            settle::complete(receiver, held, patience, at).await;
            if delivery.fence().get() > 0 {
                handled.identified.client.exempt();
            }
        }
        _ => {
            // Work that the handler left on another thread must see the loss before the retry may run.
            run.lose_lease();
            settle::release(receiver, held.keys.all(), held.owner, patience).await;
        }
    }
    ended
}

/// Watches over a handler that waits, and returns the reason once the handler must end.
async fn oversee<P: Provider>(
    receiver: &Receiver<P>,
    handled: &Handled<'_>,
    run: &RunState,
) -> RejectionKind {
    let limit = Instant::now() + receiver.run_limit;
    // One timer for the earliest of the three times, because most handlers end before it.
    let first = limit.min(receiver.answer_by(run)).min(handled.renewal_due(receiver));
    let mut ending = pin!(handled.claimed.running.is_to_end());
    if let Either::Right(_) = select(pin!(sleep_until(first)), ending.as_mut()).await {
        return RejectionKind::ShuttingDown;
    }
    run.outlive_first_timer();
    // Boxed: it is large, and most handlers never need it.
    Box::pin(oversee_long(receiver, handled, run, limit, ending)).await
}

/// Continues [`oversee`] after its first timer: keeps the lease, with one timer for each of the three times.
async fn oversee_long<P: Provider>(
    receiver: &Receiver<P>,
    handled: &Handled<'_>,
    run: &RunState,
    limit: Instant,
    ending: Pin<&mut impl Future<Output = ()>>,
) -> RejectionKind {
    let kept =
        timeout_at(limit, keep_lease(receiver, handled, run)).map(|_| RejectionKind::RunLimit);
    let ending = ending.map(|()| RejectionKind::ShuttingDown);
    let unready = async {
        sleep_until(receiver.answer_by(run)).await;
        match run.phase() {
            Phase::Running => pending().await,
            _ => RejectionKind::NotReady,
        }
    };
    let ended = async { select(pin!(kept), ending).await.factor_first().0 };
    select(pin!(ended), pin!(unready)).await.factor_first().0
}

/// Drops a value of the handler, and returns whether it did so without a panic: the delivery is settled in any case.
fn dispose(of: impl FnOnce()) -> bool {
    // The payload of this second panic is never dropped, because its drop might panic too.
    catch_unwind(AssertUnwindSafe(of)).map_err(std::mem::forget).is_ok()
}

/// The shortest and the longest pause between two renewals while the store does not answer.
const LEAST_PAUSE: Duration = Duration::from_millis(50);
const MOST_PAUSE: Duration = Duration::from_secs(1);

/// Renews the lease after each third of it, and informs the handler when the lease is certainly lost.
async fn keep_lease<P: Provider>(
    receiver: &Receiver<P>,
    handled: &Handled<'_>,
    run: &RunState,
) -> Infallible {
    let held = handled.delivery().held();
    let mut held_until = handled.claimed.since.instant + receiver.lease;
    let mut due = handled.renewal_due(receiver);
    loop {
        sleep_until(due).await;
        let since = Moment::now();
        let asked = since.instant;
        // If the answer is lost, there is still time for another renewal.
        let limit = held_until.min(asked + receiver.renewal());
        let renewed = receiver.store.renew_all(held.keys.all(), held.owner, receiver.lease);
        let lost = match timeout_at(limit, renewed).await {
            Ok(Ok(Settled::Done)) => {
                held_until = asked + receiver.lease;
                run.hold_lease(since, receiver.lease);
                due = asked + receiver.renewal();
                continue;
            }
            Ok(Ok(Settled::Lost)) => true,
            // The store may recover before the lease ends, so the renewal is repeated sooner.
            Ok(Err(_)) => Instant::now() >= held_until,
            Err(_) => {
                receiver.store.unanswered(Verb::Renew);
                Instant::now() >= held_until
            }
        };
        if lost {
            tracing::warn!(
                "the handler continues without its lease; another attempt may run the same delivery"
            );
            run.lose_lease();
            return pending().await;
        }
        // Soon enough for an answer before the lease ends, however short the rest of it is.
        let now = Instant::now();
        due = now + ((held_until - now) / 4).clamp(LEAST_PAUSE, MOST_PAUSE);
    }
}
