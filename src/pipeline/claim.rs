//! Step 6: the store decides whether this attempt may run.

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

/// The exclusive right of this attempt to run a delivery.
pub(super) struct Claimed<'a> {
    /// A time before the claim was sent to the store: the lease starts then or later.
    pub(super) since: Moment,
    /// Makes a shutdown wait for this run: a claim continues without its client, and so does its handler.
    pub(super) running: Running<&'a Runs>,
    /// The right to run a handler. The number of permits is limited. `None` while this attempt waits.
    permit: Option<RunPermit>,
}

/// An immediate result, or a boxed future.
type Acquiring<'a, F> = Either<Ready<Result<Claimed<'a>, Reply>>, Pin<Box<F>>>;

/// Claims every key of the delivery and writes their fences, or returns the refusal. The result is immediate if the
/// store answers at once and no other attempt has a key. The waiting part is boxed: most deliveries never wait and
/// should not carry its size.
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

/// Calls a store that can answer immediately, and returns whether all keys are claimed. If not, a later call may
/// succeed.
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
    // From here on a claim may exist: if the client leaves, this run continues in a task.
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

/// Waits while another attempt has the delivery. If that attempt fails, this one takes the delivery over; if it
/// succeeds, this request is answered as a duplicate.
async fn contend<'a, P: Provider>(
    receiver: &Receiver<P>,
    identified: &mut Identified,
    mut claimed: Claimed<'a>,
    run: &RunState,
) -> Result<Claimed<'a>, Reply> {
    let Identified { delivery, body, run_keys, .. } = identified;
    let Verified { held, body: bytes, .. } = delivery.edit();
    // Whether a claim went unanswered, so that it is unknown which keys the owner has.
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
        // The permit is taken before a claim, and kept as long as the claim's result is unknown.
        if claimed.permit.is_none() {
            claimed.permit = match receiver.limits.run_permit() {
                Ok(permit) => Some(permit),
                // All permits are in use, possibly by the run that this request waits for, so it keeps waiting.
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
            // A claim that timed out may have taken effect before the one that was answered.
            let limit = min(patience, Instant::now() + ONE_QUESTION);
            settle::release(receiver, held.keys.all(), held.owner, limit).await;
            // The release may reach the store later, from the background. With a new owner, it cannot release what is
            // claimed from here on.
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
                    // Every key is taken, and one of those runs may still fail.
                    Some(run_keys) if place == 0 && run_keys.any_in_progress() => {
                        RejectionKind::InProgress.into()
                    }
                    _ => duplicate(receiver, identified, place),
                });
            }
            Ok(Claims::InProgress { place, retry_after }) => {
                // A waiting request has no claim, so a client that leaves needs no cleanup.
                run.enter(Phase::Idle);
                claimed.permit = None;
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || run.is_detached() {
                    return Err(Reply::later(RejectionKind::InProgress, retry_after));
                }
                if waiting.is_none()
                    && let Some(alone) = body.take()
                {
                    // Waiters are grouped by the taken key, because replays of one body have different ids.
                    let taken = held.keys.all()[place].0;
                    let joined = receiver.limits.wait_for(taken, alone);
                    let (place, shared) = joined.map_err(|kind| Reply::later(kind, retry_after))?;
                    waiting = Some((place, receiver.meters().waiting()));
                    *bytes = shared.bytes().clone();
                    *body = Some(shared);
                }
                held.owner = Owner::random();
                // The lease may end before the next regular claim. There is always a pause between two claims.
                min(min(pause, left), retry_after.max(Duration::from_millis(1)))
            }
            Err(error) => {
                unsure = true;
                let left = patience.saturating_duration_since(Instant::now());
                if left.is_zero() || run.is_detached() {
                    // The claim may still take effect, and no other attempt should have to wait for its lease.
                    settle::release_later(receiver, &held.keys, held.owner);
                    give_up(receiver, &error, run)?;
                    // This attempt has no fences; those of an earlier claim must not be used.
                    held.keys.all_mut().iter_mut().for_each(|(_, fence)| *fence = Fence::new(0));
                    return Ok(claimed);
                }
                tracing::debug!(%error, "the delivery store did not answer a claim; it is retried");
                min(pause, left)
            }
        };
        sleep(pause).await;
    }
}

/// Claims once, or twice if the answer took so long that the lease may end soon: the store then renews the lease, or
/// reports that another attempt took over. A success recorded in this process counts as completed, whatever the store
/// says.
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

/// Answers a duplicate whose key at `place` is completed.
fn duplicate<P: Provider>(receiver: &Receiver<P>, identified: &Identified, place: usize) -> Reply {
    // The tags come before the id and were new, so this is a known id with other bytes.
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
            tracing::warn!(
                %error,
                "delivery runs without a claim, because `on_store_down` is ProcessAnyway: duplicates run too"
            );
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
