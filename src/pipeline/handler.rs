//! Step 7: the handler runs, under its lease and its limit, and what it says is settled.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout_at};

use super::claim::Claimed;
use super::keys::{Held, Identified, Keys};
use super::{Exchange, settle};
use crate::config::Config;
use crate::delivery::{Delivery, Verified};
use crate::provider::Provider;
use crate::rejection::{RejectionKind, Reply};
use crate::run_state::{Phase, RunState};
use crate::store::Settled;

pub(super) async fn run<P: Provider, X: Exchange>(
    config: &Config<P>,
    exchange: X,
    message: Identified,
    claimed: Claimed,
    run: &Arc<RunState>,
) -> Result<X::Output, Reply> {
    let held = &claimed.held;
    let delivery = Delivery::new(Verified {
        sender: config.provider.name(),
        id: message.id,
        kind: message.kind,
        timestamp: message.timestamp,
        held: *held,
        body: claimed.body.bytes.clone(),
        run: Arc::clone(run),
    });
    run.enter(Phase::Running);
    let ended = guarded(config, exchange.call(delivery), held, run).await;
    // From here on the handler has spoken: the answer is its own, however long the record takes.
    run.enter(Phase::Held);
    match ended {
        Ok(output) if X::status(&output).is_some_and(|status| (200..300).contains(&status)) => {
            settle::complete(config, held, claimed.deadline).await;
            Ok(output)
        }
        failed => {
            settle::release(config, held.keys, Keys::MOST, held.owner, claimed.deadline).await;
            failed.map_err(Reply::from)
        }
    }
}

/// The handler's answer, or why there is none. Timers exist only once it has waited for something.
async fn guarded<P: Provider, H: Future>(
    config: &Config<P>,
    handler: H,
    held: &Held,
    run: &RunState,
) -> Result<H::Output, RejectionKind> {
    let mut handler = pin!(Some(AssertUnwindSafe(handler).catch_unwind()));
    let limit = Instant::now() + config.run_limit;
    let mut overseer = pin!(async { timeout_at(limit, keep_lease(config, held, run)).await });
    let ended = poll_fn(|cx| {
        if let Some(handler) = handler.as_mut().as_pin_mut()
            && let std::task::Poll::Ready(ended) = handler.poll(cx)
        {
            return std::task::Poll::Ready(Some(ended));
        }
        overseer.as_mut().poll(cx).map(|_| None)
    })
    .await;
    match ended {
        Some(Ok(output)) => Ok(output),
        Some(Err(payload)) => {
            dispose(|| drop(payload));
            Err(RejectionKind::HandlerPanicked)
        }
        None => {
            if !dispose(|| handler.set(None)) {
                tracing::warn!("handler panicked while it was ended at its run limit");
            }
            Err(RejectionKind::RunLimit)
        }
    }
}

/// Drops what is the handler's, which may panic as well; the delivery is to be settled all the same.
fn dispose(of: impl FnOnce()) -> bool {
    // The payload of that second panic is left where it is: it might be a third.
    catch_unwind(AssertUnwindSafe(of)).map_err(std::mem::forget).is_ok()
}

/// Renews the lease at each third of it, and tells the handler when it is surely lost.
async fn keep_lease<P: Provider>(config: &Config<P>, held: &Held, run: &RunState) -> Infallible {
    let mut held_until = Instant::now() + config.lease;
    let mut pause = config.renewal();
    loop {
        sleep(pause).await;
        let asked = Instant::now();
        // An answer that was lost leaves the time to ask once more.
        let limit = held_until.min(asked + config.renewal());
        let renewed = config.store.renew_all(held.keys.all(), held.owner, config.lease);
        let lost = match timeout_at(limit, renewed).await {
            Ok(Ok(Settled::Done)) => {
                held_until = asked + config.lease;
                pause = config.renewal();
                continue;
            }
            Ok(Ok(Settled::Lost)) => true,
            // The store may be back before the lease ends: ask more often.
            Ok(Err(_)) | Err(_) => Instant::now() >= held_until,
        };
        if lost {
            tracing::warn!("handler runs on without its lease; another may run the same delivery");
            run.lose_lease();
            return pending().await;
        }
        pause = (held_until - Instant::now()).min(config.renewal()).min(Duration::from_secs(1));
    }
}
