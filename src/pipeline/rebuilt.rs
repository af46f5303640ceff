//! Handles a delivery that was rebuilt from the sender's API. It was never signed, so it enters at step 6: it is
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

/// The result for a rebuilt delivery.
#[derive(Debug)]
pub(crate) enum Outcome<E> {
    /// The handler succeeded.
    Handled,
    /// The delivery is unknown here. Nothing was done, as requested.
    Unknown,
    /// The delivery was handled before.
    Known,
    /// The delivery has no key that the sender's own delivery would have too.
    WithoutKey,
    /// The delivery cannot be handled now: the reason with which the sender would be refused.
    NotNow(RejectionKind),
    /// The body could not be fetched.
    Unfetched(E),
    /// The handler failed.
    Failed,
}

/// Claims a rebuilt delivery and handles it. `fetch` returns the body once the delivery is claimed; with `None`, the
/// delivery is only claimed and released. `work` is the handler, and returns whether it succeeded.
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
    // Anything but a success is released, so that the next pass, or the sender, can claim it.
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
