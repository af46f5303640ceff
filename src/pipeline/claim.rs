//! Step 6: the store says whether this attempt may run.

use std::cmp::min;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::keys::{Held, Identified, Keys};
use super::settle::{self, pauses};
use crate::config::{Config, OnStoreDown};
use crate::provider::Provider;
use crate::rejection::{RejectionKind, Reply};
use crate::run_state::{Phase, RunState};
use crate::shared::{Body, Running};
use crate::store::{Claim, Claims, Key, ONE_QUESTION, Owner, StoreError};

/// A delivery that this attempt may run, and alone.
pub(super) struct Claimed {
    pub(super) held: Held,
    pub(super) body: Arc<Body>,
    /// When the sender is to be answered.
    pub(super) deadline: Instant,
    /// What `drain` waits for: a claim goes on without its client, and its handler follows.
    _running: Running,
}

/// Claims every key of the delivery, or says why not. Whoever finds it in progress waits for the end of
/// the attempt that runs, to take it over if that fails, or to give its success as the answer.
pub(super) async fn acquire<P: Provider>(
    config: &Config<P>,
    message: &Identified,
    body: Body,
    arrived: Instant,
    run: &RunState,
) -> Result<Claimed, Reply> {
    let running = config.shared.run();
    let mut owner = Owner::random();
    // Whether a question went unanswered, so that it is not known what `owner` holds.
    let mut unsure = false;
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
        run.enter(Phase::Held);
        let pause = match attempt(config, message.keys, owner, unsure, patience).await {
            Ok(Attempt::Acquired(held)) => {
                return Ok(Claimed { held, body, deadline, _running: running });
            }
            Ok(Attempt::Completed) => {
                run.enter(Phase::Idle);
                return Err(RejectionKind::Duplicate.into());
            }
            Ok(Attempt::InProgress { key, retry_after }) => {
                // Nothing is held while waiting: a client that leaves leaves nothing behind.
                run.enter(Phase::Idle);
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || run.is_detached() {
                    return Err(Reply::later(RejectionKind::InProgress, retry_after));
                }
                if place.is_none() {
                    // By the key that is taken: replays of one body have an id each.
                    let joined = config.shared.wait_for(key, &mut body);
                    place = Some(joined.map_err(|kind| Reply::later(kind, retry_after))?);
                }
                // What was given back may be so only later, in the background: as another, it cannot
                // take away what is claimed from here on.
                (owner, unsure) = (Owner::random(), false);
                // The lease's end may be nearer than the next question. Never ask without a pause.
                min(min(pause, left), retry_after.max(Duration::from_millis(1)))
            }
            Err(error) => {
                unsure = true;
                let left = patience.saturating_duration_since(Instant::now());
                if left.is_zero() || run.is_detached() {
                    // What was asked may still take effect; nobody shall wait for that lease.
                    settle::release_later(config, message.keys, owner);
                    let held = give_up(config, message, owner, &error, run)?;
                    return Ok(Claimed { held, body, deadline, _running: running });
                }
                tracing::debug!(%error, "delivery store did not answer a claim, asking again");
                min(pause, left)
            }
        };
        sleep(pause).await;
    }
}

#[expect(clippy::large_enum_variant, reason = "moved once, and nearly always the large one")]
enum Attempt {
    Acquired(Held),
    /// One of the keys is held by another.
    InProgress {
        key: Key,
        retry_after: Duration,
    },
    Completed,
}

/// All keys in their order, or none: if one is taken, those before it are released, not completed.
async fn attempt<P: Provider>(
    config: &Config<P>,
    keys: Keys,
    owner: Owner,
    mut unsure: bool,
    patience: Instant,
) -> Result<Attempt, StoreError> {
    let began = Instant::now();
    let (lease, keep) = (config.lease, config.retention());
    let mut held = Held::unclaimed(keys, owner, keep);
    for _ in 0..2 {
        let fences = &mut held.fences;
        let asked = config.store.claim_all(keys.all(), owner, lease, keep, fences, patience);
        match asked.await? {
            Claims::Acquired { attempt } => held.attempt = attempt,
            Claims::Taken { place, claim, held } => {
                let count = if unsure { Keys::MOST } else { held };
                let limit = min(patience, Instant::now() + ONE_QUESTION);
                settle::release(config, keys, count, owner, limit).await;
                return Ok(match claim {
                    Claim::InProgress { retry_after } => {
                        Attempt::InProgress { key: keys.all()[place], retry_after }
                    }
                    _ => Attempt::Completed,
                });
            }
        }
        // If that took long, the first key may soon be another's, or be so already: asked once more,
        // the store renews what is still held, and says what is not.
        if began.elapsed() < config.lease / 2 {
            break;
        }
        unsure = true;
    }
    Ok(Attempt::Acquired(held))
}

fn give_up<P: Provider>(
    config: &Config<P>,
    message: &Identified,
    owner: Owner,
    error: &StoreError,
    run: &RunState,
) -> Result<Held, Reply> {
    match config.on_store_down {
        OnStoreDown::ProcessAnyway => {
            tracing::warn!(%error, "delivery is processed without a claim, as on_store_down says");
            Ok(Held::unclaimed(message.keys, owner, config.retention()))
        }
        OnStoreDown::Refuse => {
            run.enter(Phase::Idle);
            // The store has said once that it fails; each delivery says so to whoever looks closer.
            tracing::debug!(reason = RejectionKind::StoreDown.as_str(), %error, "delivery refused");
            Err(RejectionKind::StoreDown.into())
        }
    }
}
