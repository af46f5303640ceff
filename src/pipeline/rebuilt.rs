//! A delivery that was rebuilt from what the sender's API says. It was never signed, so it enters at step 6: it is
//! claimed, handled and settled as if the sender had delivered it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;

use super::handler::{self, Handled};
use super::{claim, identify};
use crate::delivery::Delivery;
use crate::limits::{Body, Share};
use crate::observe;
use crate::provider::{Envelope, Provider};
use crate::receiver::Receiver;
use crate::rejection::RejectionKind;
use crate::run_state::{Phase, RunState};

/// What became of it.
#[derive(Debug)]
pub(crate) enum Outcome<E> {
    /// The handler has succeeded.
    Handled,
    /// It is unknown here; nothing was done, as asked.
    Unknown,
    /// It was handled before.
    Known,
    /// It has no key that a delivery of the sender would have too.
    WithoutKey,
    /// It cannot be handled now: the reason of the refusal that the sender would have had.
    NotNow(RejectionKind),
    /// Its body could not be had.
    Unfetched(E),
    /// The handler has failed.
    Failed,
}

/// `fetch` gives the body, once the delivery is claimed; `None` only claims it and gives it back. `work` is the
/// handler, and says whether it has succeeded.
pub(crate) async fn receive<P, E, Fetch, Work>(
    receiver: &Arc<Receiver<P>>,
    envelope: Envelope<'_>,
    fetch: Option<Fetch>,
    work: impl FnOnce(Delivery) -> Work,
) -> Outcome<E>
where
    P: Provider,
    Fetch: Future<Output = Result<Bytes, E>>,
    Work: Future<Output = bool>,
{
    let run = RunState::new(observe::span(receiver.provider.name()));
    let nothing = Body::new(Bytes::new(), Share::none(receiver.meters().bytes_in_flight()));
    let Some(mut identified) = identify::rebuilt(receiver, envelope, nothing, &run) else {
        return Outcome::WithoutKey;
    };
    let claimed = match claim::acquire(receiver, &mut identified, &run).await {
        Ok(claimed) => claimed,
        Err(reply) if reply.kind() == RejectionKind::Duplicate => return Outcome::Known,
        Err(reply) => return Outcome::NotNow(reply.kind()),
    };
    let delivery = identified.delivery.clone();
    let held = Handled { identified, claimed };
    let step = async {
        let Some(fetch) = fetch else { return Outcome::Unknown };
        match fetch.await {
            Err(error) => Outcome::Unfetched(error),
            Ok(body) => match work(delivery.reconciled(body)).await {
                true => Outcome::Handled,
                false => Outcome::Failed,
            },
        }
    };
    // Anything but a success is released, so that the next pass, or the sender, finds it free.
    let status = |outcome: &Outcome<E>| match outcome {
        Outcome::Handled => Some(200),
        _ => None,
    };
    run.enter(Phase::Running);
    let ended = handler::run(receiver, pin!(Some(step)), status, Some(&held), &run).await;
    ended.unwrap_or_else(|reply| match reply.kind() {
        RejectionKind::HandlerPanicked | RejectionKind::NotCommitted => Outcome::Failed,
        kind => Outcome::NotNow(kind),
    })
}
