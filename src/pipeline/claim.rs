//! Step 6: the store says whether this attempt may run.

use std::cmp::min;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::body::Body;
use super::keys::{Identified, Keys};
use super::run::RunState;
use super::settle;
use crate::config::{Config, OnStoreDown};
use crate::provider::Provider;
use crate::rejection::{RejectionKind, Reply};
use crate::store::{Claim, DeliveryStore, Fence, Owner, StoreError};

/// A delivery that this attempt may run, and alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claimed {
    pub(super) keys: Keys,
    pub(super) owner: Owner,
    /// Of the keys in their order.
    pub(super) fences: [Fence; 2],
    pub(super) fence: Fence,
    pub(super) attempt: u32,
}

/// Claims every key of the delivery, or says why not. Whoever finds it in progress waits for the end of
/// the attempt that runs, to take it over if that fails, or to give its success as the answer.
pub(super) async fn acquire<P: Provider>(
    config: &Config<P>,
    message: &Identified,
    body: Body,
    arrived: Instant,
    run: &RunState,
) -> Result<(Claimed, Arc<Body>), Reply> {
    let owner = Owner::random();
    let deadline = arrived + config.answer_deadline();
    let patience = match config.on_store_down {
        OnStoreDown::Refuse => deadline,
        OnStoreDown::ProcessAnyway => arrived + config.answer_deadline() / 2,
    };
    let mut body = Arc::new(body);
    let mut place = None;
    let mut pauses = pauses();
    loop {
        let pause = pauses.next().unwrap_or_default();
        // From here on something may be held: if the client leaves, this goes on in a task.
        run.hold();
        let pause = match attempt(config, message.keys, owner, patience).await {
            Ok(Attempt::Acquired(claimed)) => return Ok((claimed, body)),
            Ok(Attempt::Completed) => {
                run.let_go();
                return Err(RejectionKind::Duplicate.into());
            }
            Ok(Attempt::InProgress { retry_after }) => {
                // Nothing is held while waiting: a client that leaves leaves nothing behind.
                run.let_go();
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || run.is_detached() {
                    return Err(Reply::later(RejectionKind::InProgress, retry_after));
                }
                if place.is_none() {
                    let joined = config.waiters.join(message.keys.main(), &mut body);
                    place = Some(joined.map_err(|kind| Reply::later(kind, retry_after))?);
                }
                // The lease's end may be nearer than the next question. Never ask without a pause.
                min(min(pause, left), retry_after.max(Duration::from_millis(1)))
            }
            Err(error) => {
                let left = patience.saturating_duration_since(Instant::now());
                if left.is_zero() || run.is_detached() {
                    // What was asked may still take effect; nobody shall wait for that lease.
                    settle::release_later(config, message.keys, owner);
                    return give_up(config, message, body, owner, &error, run);
                }
                tracing::debug!(%error, "delivery store did not answer a claim, asking again");
                min(pause, left)
            }
        };
        sleep(pause).await;
    }
}

enum Attempt {
    Acquired(Claimed),
    InProgress { retry_after: Duration },
    Completed,
}

/// All keys in their order, or none: if one is taken, those before it are released, not completed.
async fn attempt<P: Provider>(
    config: &Config<P>,
    keys: Keys,
    owner: Owner,
    patience: Instant,
) -> Result<Attempt, StoreError> {
    let mut claimed =
        Claimed { keys, owner, fences: [Fence::new(0); 2], fence: Fence::new(0), attempt: 0 };
    for (key, place) in keys.in_order().into_iter().zip(0..) {
        let Some(key) = key else { continue };
        let asked = config.store.claim(&key, owner, config.lease, config.retention());
        let answer = match timeout_at(patience, asked).await {
            Ok(answer) => answer?,
            Err(elapsed) => return Err(config.store.gave_up(elapsed)),
        };
        let taken = match answer {
            Claim::Acquired { fence, attempt } => {
                claimed.fences[place] = fence;
                (claimed.fence, claimed.attempt) = (fence, attempt);
                continue;
            }
            Claim::InProgress { retry_after } => Attempt::InProgress { retry_after },
            Claim::Completed => Attempt::Completed,
        };
        settle::release_guard(config, keys, owner, patience).await;
        return Ok(taken);
    }
    Ok(Attempt::Acquired(claimed))
}

fn give_up<P: Provider>(
    config: &Config<P>,
    message: &Identified,
    body: Arc<Body>,
    owner: Owner,
    error: &StoreError,
    run: &RunState,
) -> Result<(Claimed, Arc<Body>), Reply> {
    match config.on_store_down {
        OnStoreDown::ProcessAnyway => {
            tracing::warn!(%error, "delivery is processed without a claim, as on_store_down says");
            let fence = Fence::new(0);
            let keys = message.keys;
            Ok((Claimed { keys, owner, fences: [fence; 2], fence, attempt: 0 }, body))
        }
        OnStoreDown::Refuse => {
            run.let_go();
            // The store has said once that it fails; each delivery says so to whoever looks closer.
            tracing::debug!(%error, "delivery refused for now");
            Err(RejectionKind::StoreDown.into())
        }
    }
}

/// Between two questions: quick at first, because most handlers are, then twice a second.
pub(super) fn pauses() -> impl Iterator<Item = Duration> {
    [50, 100, 200, 400].into_iter().chain(std::iter::repeat(500)).map(Duration::from_millis)
}
