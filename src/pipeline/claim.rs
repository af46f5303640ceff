//! Step 6: the store says whether this attempt may run.

use std::cmp::min;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::identify::Identified;
use super::settle::{self, pauses};
use crate::limits::{Body, HeldBody, RunKeys, RunPermit, Running};
use crate::provider::Provider;
use crate::receiver::{OnStoreDown, Receiver};
use crate::rejection::{RejectionKind, Reply};
use crate::run_state::{Phase, RunState};
use crate::store::{Claim, Claims, Fence, Keys, ONE_QUESTION, Owner, StoreError};

/// A delivery that this attempt may run, and alone.
pub(super) struct Claimed {
    pub(super) owner: Owner,
    pub(super) attempt: u32,
    /// Before the store was asked: the lease runs from no earlier.
    pub(super) since: Instant,
    pub(super) body: HeldBody,
    /// When the sender is to be answered.
    pub(super) deadline: Instant,
    /// What a shutdown waits for: a claim goes on without its client, and its handler follows.
    pub(super) running: Running,
    /// Among the handlers that may run at one time. `None` while it waits.
    permit: Option<RunPermit>,
}

/// Claims every key of the delivery and writes their fences, or says why not.
pub(super) async fn acquire<P: Provider>(
    receiver: &Receiver<P>,
    delivery: &mut Identified,
    body: Body,
    run: &RunState,
) -> Result<Claimed, Reply> {
    let Identified { keys, run_keys, .. } = delivery;
    if let Some(run_keys) = run_keys
        && !receiver.limits.test_events.begin(run_keys, keys, receiver.retention())
    {
        return Err(RejectionKind::Duplicate.into());
    }
    let claimed = acquire_keys(receiver, keys, run_keys.as_mut(), body, run).await;
    if let (Err(_), Some(run_keys)) = (&claimed, run_keys) {
        receiver.limits.test_events.give_back(run_keys);
    }
    claimed
}

async fn acquire_keys<P: Provider>(
    receiver: &Receiver<P>,
    keys: &mut Keys,
    run_keys: Option<&mut RunKeys>,
    body: Body,
    run: &RunState,
) -> Result<Claimed, Reply> {
    let since = Instant::now();
    let mut claimed = Claimed {
        owner: Owner::random(),
        attempt: 0,
        since,
        body: HeldBody::Alone(body),
        deadline: run.arrived_by(since) + receiver.answer_deadline(),
        running: receiver.limits.begin()?,
        permit: Some(receiver.limits.run_permit()?),
    };
    // From here on something may be held: if the client leaves, this goes on in a task.
    run.enter(Phase::Held);
    let (lease, keep) = (receiver.lease, receiver.retention());
    match receiver.store.claim_at_once(keys.all_mut(), claimed.owner, lease, keep, since) {
        Some(Ok(Claims::Acquired { attempt })) => {
            claimed.attempt = attempt;
            Ok(claimed)
        }
        // Boxed: what it takes to wait is not carried by every delivery.
        asked => Box::pin(contend(receiver, keys, run_keys, claimed, asked, run)).await,
    }
}

/// A request that finds its delivery in progress waits for the end of the running attempt. It takes the delivery
/// over if the attempt fails, and answers with the attempt's success otherwise.
async fn contend<P: Provider>(
    receiver: &Receiver<P>,
    keys: &mut Keys,
    mut run_keys: Option<&mut RunKeys>,
    mut claimed: Claimed,
    // What the store has said already, if it was asked.
    mut asked: Option<Result<Claims, StoreError>>,
    run: &RunState,
) -> Result<Claimed, Reply> {
    // Whether a question went unanswered, so that it is not known what the owner holds.
    let mut unsure = false;
    let patience = match receiver.on_store_down {
        OnStoreDown::Refuse => claimed.deadline,
        OnStoreDown::ProcessAnyway => run.arrived() + receiver.answer_deadline() / 2,
    };
    let mut place = None;
    let mut pauses = pauses();
    loop {
        if receiver.limits.is_closed() {
            run.enter(Phase::Idle);
            if unsure || asked.is_some() {
                settle::release_later(receiver, keys, claimed.owner);
            }
            return Err(RejectionKind::ShuttingDown.into());
        }
        let pause = pauses.next().unwrap_or_default();
        // Asked for while nothing is held, and kept while that is not known.
        if claimed.permit.is_none() {
            claimed.permit = match receiver.limits.run_permit() {
                Ok(permit) => Some(permit),
                // The run that it waits for may go on as well.
                Err(_) if place.is_some() && Instant::now() < claimed.deadline => {
                    sleep(min(pause, claimed.deadline - Instant::now())).await;
                    continue;
                }
                Err(kind) => return Err(kind.into()),
            };
        }
        run.enter(Phase::Held);
        if asked.is_none() {
            claimed.since = Instant::now();
        }
        let asked = asked.take();
        let attempted = attempt(receiver, keys, &claimed, asked, unsure, patience).await;
        if let (Ok(taken), Some(run_keys)) = (&attempted, &mut run_keys)
            && let Some(completed) = taken.of_first_key()
            && receiver.limits.test_events.next(run_keys, keys, completed)
        {
            continue;
        }
        let pause = match attempted {
            Ok(Attempt::Acquired(attempt)) => return Ok(Claimed { attempt, ..claimed }),
            Ok(Attempt::Completed { place: taken }) => {
                run.enter(Phase::Idle);
                return Err(match &run_keys {
                    // Each key is taken, and one of these runs may yet fail.
                    Some(run_keys) if taken == 0 && run_keys.any_in_progress() => {
                        RejectionKind::InProgress.into()
                    }
                    _ => RejectionKind::Duplicate.into(),
                });
            }
            Ok(Attempt::InProgress { place: taken, retry_after }) => {
                let key = keys.all()[taken].0;
                // Nothing is held while waiting: a client that leaves leaves nothing behind.
                run.enter(Phase::Idle);
                claimed.permit = None;
                let left = claimed.deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || run.is_detached() {
                    return Err(Reply::later(RejectionKind::InProgress, retry_after));
                }
                if place.is_none() {
                    // By the key that is taken: replays of one body have an id each.
                    let joined = receiver.limits.wait_for(key, claimed.body);
                    let joined = joined.map_err(|kind| Reply::later(kind, retry_after))?;
                    place = Some((joined.0, receiver.meters().waiting()));
                    claimed.body = joined.1;
                }
                // What was given back may be so only later, in the background: as another, it cannot
                // take away what is claimed from here on.
                (claimed.owner, unsure) = (Owner::random(), false);
                // The lease's end may be nearer than the next question. Never ask without a pause.
                min(min(pause, left), retry_after.max(Duration::from_millis(1)))
            }
            Err(error) => {
                unsure = true;
                let left = patience.saturating_duration_since(Instant::now());
                if left.is_zero() || run.is_detached() {
                    // What was asked may still take effect; nobody shall wait for that lease.
                    settle::release_later(receiver, keys, claimed.owner);
                    give_up(receiver, &error, run)?;
                    // Of attempts before this one, which are no claim of it.
                    keys.all_mut().iter_mut().for_each(|(_, fence)| *fence = Fence::new(0));
                    return Ok(claimed);
                }
                tracing::debug!(%error, "delivery store did not answer a claim, asking again");
                min(pause, left)
            }
        };
        sleep(pause).await;
    }
}

enum Attempt {
    /// All keys, for the so-many-th time.
    Acquired(u32),
    /// The key at this place is held by another attempt.
    InProgress { place: usize, retry_after: Duration },
    /// The key at this place is completed.
    Completed { place: usize },
}

impl Attempt {
    /// If the first key was taken: whether it is completed.
    fn of_first_key(&self) -> Option<bool> {
        match self {
            Self::Completed { place: 0 } => Some(true),
            Self::InProgress { place: 0, .. } => Some(false),
            _ => None,
        }
    }
}

/// All keys in their order, or none: if one is taken, those before it are released, not completed.
async fn attempt<P: Provider>(
    receiver: &Receiver<P>,
    keys: &mut Keys,
    claimed: &Claimed,
    mut asked: Option<Result<Claims, StoreError>>,
    mut unsure: bool,
    patience: Instant,
) -> Result<Attempt, StoreError> {
    let (owner, lease, keep) = (claimed.owner, receiver.lease, receiver.retention());
    let mut last = 0;
    for _ in 0..2 {
        let claims = match asked.take() {
            Some(claims) => claims,
            None => receiver.store.claim_all(keys.all_mut(), owner, lease, keep, patience).await,
        };
        match claims? {
            Claims::Acquired { attempt } => last = attempt,
            Claims::Taken { place, claim, held } => {
                let held = if unsure { keys.all() } else { &keys.all()[..held] };
                if !held.is_empty() {
                    let limit = min(patience, Instant::now() + ONE_QUESTION);
                    settle::release(receiver, held, owner, limit).await;
                }
                return Ok(match claim {
                    Claim::InProgress { retry_after } => Attempt::InProgress { place, retry_after },
                    _ => Attempt::Completed { place },
                });
            }
        }
        // If that took long, the first key may soon be another's, or be so already: asked once more,
        // the store renews what is still held, and says what is not.
        if receiver.store.is_immediate() || claimed.since.elapsed() < receiver.lease / 2 {
            break;
        }
        unsure = true;
    }
    Ok(Attempt::Acquired(last))
}

fn give_up<P: Provider>(
    receiver: &Receiver<P>,
    error: &StoreError,
    run: &RunState,
) -> Result<(), Reply> {
    match receiver.on_store_down {
        OnStoreDown::ProcessAnyway => {
            tracing::warn!(%error, "delivery is processed without a claim, as on_store_down says");
            Ok(())
        }
        OnStoreDown::Refuse => {
            run.enter(Phase::Idle);
            // The store's failure is logged once; each refused delivery is logged at debug level.
            tracing::debug!(reason = RejectionKind::StoreDown.as_str(), %error, "delivery refused");
            Err(RejectionKind::StoreDown.into())
        }
    }
}
