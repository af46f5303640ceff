//! Step 6: the store says whether this attempt may run.

use std::cmp::min;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::Either;
use tokio::time::{Instant, sleep};

use super::identify::Identified;
use super::settle::{self, pauses};
use crate::delivery::Verified;
use crate::limits::{RunPermit, Running, Runs};
use crate::provider::Provider;
use crate::receiver::{OnStoreDown, Receiver};
use crate::rejection::{RejectionKind, Reply};
use crate::run_state::{Moment, Phase, RunState};
use crate::store::{Claims, Fence, Held, ONE_QUESTION, Owner, StoreError};

/// A delivery that this attempt may run, and alone.
pub(super) struct Claimed<'a> {
    /// A time before the store was asked: the lease runs from then or later.
    pub(super) since: Moment,
    /// What a shutdown waits for: a claim goes on without its client, and its handler follows.
    pub(super) running: Running<&'a Runs>,
    /// The right to run a handler, of which there are only so many. `None` while this waits.
    permit: Option<RunPermit>,
}

/// At once, or boxed.
type Acquiring<'a, F> = Either<Ready<Result<Claimed<'a>, Reply>>, Pin<Box<F>>>;

/// Claims every key of the delivery and writes their fences, or says why not. At once, if the store answers at once and
/// nobody else has a key. The rest is boxed: most deliveries never wait, and need not carry the room for it.
pub(super) fn acquire<'a: 'd, 'd, P: Provider>(
    receiver: &'a Receiver<P>,
    identified: &'d mut Identified,
    run: &'d RunState,
) -> Acquiring<'a, impl Future<Output = Result<Claimed<'a>, Reply>> + use<'a, 'd, P>> {
    if let Some(run_keys) = &mut identified.run_keys {
        let Held { keys, keep, .. } = &mut identified.delivery.edit().held;
        if !receiver.limits.test_events.begin(run_keys, keys, *keep) {
            return Either::Left(ready(Err(RejectionKind::Duplicate.into())));
        }
    }
    let contends = match ask_once(receiver, identified, run) {
        Ok((claimed, true)) => return Either::Left(ready(Ok(claimed))),
        Ok((claimed, false)) => claimed,
        Err(reply) => {
            give_back(receiver, identified);
            return Either::Left(ready(Err(reply)));
        }
    };
    Either::Right(Box::pin(async move {
        let claimed = contend(receiver, identified, contends, run).await;
        if claimed.is_err() {
            give_back(receiver, identified);
        }
        claimed
    }))
}

fn give_back<P>(receiver: &Receiver<P>, identified: &Identified) {
    if let Some(run_keys) = &identified.run_keys {
        receiver.limits.test_events.give_back(run_keys);
    }
}

/// Asks a store that takes no waiting, and says whether all keys are claimed. If not, they may be later.
fn ask_once<'a, P: Provider>(
    receiver: &'a Receiver<P>,
    identified: &mut Identified,
    run: &RunState,
) -> Result<(Claimed<'a>, bool), Reply> {
    let Held { keys, owner, attempt, keep } = &mut identified.delivery.edit().held;
    let since = Moment::now();
    run.arrived_by(since.instant);
    let claimed = Claimed {
        since,
        running: receiver.limits.begin()?,
        permit: Some(receiver.limits.run_permit()?),
    };
    // From here on something may be held: if the client leaves, this goes on in a task.
    run.enter(Phase::Held);
    let (lease, at) = (receiver.lease, since.instant);
    let is_known = receiver.store.first_unrecorded(keys.all()).is_some();
    let mut now = || receiver.store.claim_now(keys.all_mut(), *owner, lease, *keep, at);
    match if is_known { None } else { now() } {
        Some(Ok(Claims::Acquired { attempt: this })) => {
            *attempt = this;
            Ok((claimed, true))
        }
        Some(Ok(Claims::Completed { place })) if identified.run_keys.is_none() => {
            run.enter(Phase::Idle);
            Err(duplicate(receiver, identified, place))
        }
        _ => Ok((claimed, false)),
    }
}

/// A request that finds its delivery in progress waits for the end of the running attempt. It takes the delivery
/// over if the attempt fails, and answers with the attempt's success otherwise.
async fn contend<'a, P: Provider>(
    receiver: &Receiver<P>,
    identified: &mut Identified,
    mut claimed: Claimed<'a>,
    run: &RunState,
) -> Result<Claimed<'a>, Reply> {
    let Identified { delivery, body, run_keys, .. } = identified;
    let Verified { held, body: bytes, .. } = delivery.edit();
    // Whether a question went unanswered, so that it is not known what the owner holds.
    let mut unsure = false;
    let deadline = receiver.answer_by(run);
    let patience = match receiver.on_store_down {
        OnStoreDown::Refuse => deadline,
        OnStoreDown::ProcessAnyway => run.arrived() + receiver.answer_deadline() / 2,
    };
    let mut waiting = None;
    let mut pauses = pauses();
    loop {
        if receiver.limits.is_closed() {
            run.enter(Phase::Idle);
            if unsure {
                settle::release_later(receiver, &held.keys, held.owner);
            }
            return Err(RejectionKind::ShuttingDown.into());
        }
        let pause = pauses.next().unwrap_or_default();
        // Taken while nothing is held, and kept while that is not known.
        if claimed.permit.is_none() {
            claimed.permit = match receiver.limits.run_permit() {
                Ok(permit) => Some(permit),
                // The run that it waits for may go on as well.
                Err(_) if waiting.is_some() && Instant::now() < deadline => {
                    sleep(min(pause, deadline - Instant::now())).await;
                    continue;
                }
                Err(kind) => return Err(kind.into()),
            };
        }
        run.enter(Phase::Held);
        claimed.since = Moment::now();
        let claims = claim(receiver, held, claimed.since, patience).await;
        if unsure && matches!(claims, Ok(Claims::Completed { .. } | Claims::InProgress { .. })) {
            // A question that was given up may have taken effect before the one that was answered.
            let limit = min(patience, Instant::now() + ONE_QUESTION);
            settle::release(receiver, held.keys.all(), held.owner, limit).await;
            // The release may reach the store later, in the background: under another owner, it cannot take
            // away what is claimed from here on.
            (held.owner, unsure) = (Owner::random(), false);
        }
        let of_first_key = match claims {
            Ok(Claims::Completed { place: 0 }) => Some(true),
            Ok(Claims::InProgress { place: 0, .. }) => Some(false),
            _ => None,
        };
        if let (Some(is_completed), Some(run_keys)) = (of_first_key, &mut *run_keys)
            && receiver.limits.test_events.next(run_keys, &mut held.keys, is_completed)
        {
            continue;
        }
        let pause = match claims {
            Ok(Claims::Acquired { attempt }) => {
                held.attempt = attempt;
                return Ok(claimed);
            }
            Ok(Claims::Completed { place }) => {
                run.enter(Phase::Idle);
                return Err(match run_keys {
                    // Each key is taken, and one of these runs may yet fail.
                    Some(run_keys) if place == 0 && run_keys.any_in_progress() => {
                        RejectionKind::InProgress.into()
                    }
                    _ => duplicate(receiver, identified, place),
                });
            }
            Ok(Claims::InProgress { place, retry_after }) => {
                // Nothing is held while waiting: a client that leaves leaves nothing behind.
                run.enter(Phase::Idle);
                claimed.permit = None;
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || run.is_detached() {
                    return Err(Reply::later(RejectionKind::InProgress, retry_after));
                }
                if waiting.is_none()
                    && let Some(alone) = body.take()
                {
                    // By the key that is taken: replays of one body have an id each.
                    let taken = held.keys.all()[place].0;
                    let joined = receiver.limits.wait_for(taken, alone);
                    let (place, shared) = joined.map_err(|kind| Reply::later(kind, retry_after))?;
                    waiting = Some((place, receiver.meters().waiting()));
                    *bytes = shared.bytes().clone();
                    *body = Some(shared);
                }
                held.owner = Owner::random();
                // The lease's end may be nearer than the next question. Never ask without a pause.
                min(min(pause, left), retry_after.max(Duration::from_millis(1)))
            }
            Err(error) => {
                unsure = true;
                let left = patience.saturating_duration_since(Instant::now());
                if left.is_zero() || run.is_detached() {
                    // The question may still take effect; no other attempt should wait for that lease.
                    settle::release_later(receiver, &held.keys, held.owner);
                    give_up(receiver, &error, run)?;
                    // Fences of an earlier attempt are not this one's.
                    held.keys.all_mut().iter_mut().for_each(|(_, fence)| *fence = Fence::new(0));
                    return Ok(claimed);
                }
                tracing::debug!(%error, "delivery store did not answer a claim, asking again");
                min(pause, left)
            }
        };
        sleep(pause).await;
    }
}

/// Asks once; or twice, if the answer took so long that the lease may soon be over: the store then renews it, or
/// says that another attempt took over. What has succeeded here is completed, whatever the store knows of it.
async fn claim<P: Provider>(
    receiver: &Receiver<P>,
    Held { keys, owner, keep, .. }: &mut Held,
    since: Moment,
    patience: Instant,
) -> Result<Claims, StoreError> {
    if let Some(place) = receiver.store.first_unrecorded(keys.all()) {
        return Ok(Claims::Completed { place });
    }
    let lease = receiver.lease;
    let mut ask =
        async || receiver.store.claim_until(patience, keys.all_mut(), *owner, lease, *keep).await;
    match ask().await? {
        Claims::Acquired { .. } if since.instant.elapsed() >= lease / 2 => ask().await,
        claims => Ok(claims),
    }
}

/// The key at this place is completed.
fn duplicate<P: Provider>(receiver: &Receiver<P>, identified: &Identified, place: usize) -> Reply {
    // The tags, which come before, were not known: the same id with other bytes.
    if identified.id_place == Some(place) {
        receiver.meters().refreshed();
        receiver.notices.refreshed();
    }
    RejectionKind::Duplicate.into()
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
