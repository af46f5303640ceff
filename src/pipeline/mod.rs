//! From a request to a settled delivery, in seven steps. The same code for every framework: it names
//! none, and no `Send`, so a future is as `Send` as what the framework puts in.

mod access;
mod body;
mod claim;
mod detach_on_drop;
mod freshness;
mod handler;
mod handshake;
mod headers;
mod identify;
mod observe_only;
mod read_ahead;
#[cfg(feature = "sender-api")]
pub(crate) mod rebuilt;
mod settle;
mod signature;
mod unread;

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use self::handler::Handled;
use self::identify::Identified;

pub(crate) use self::detach_on_drop::DetachOnDrop;
pub(crate) use self::read_ahead::{ReadAhead, Remainder};
pub(crate) use self::unread::Unread;
use crate::delivery::Delivery;
use crate::limits::HeldBody;
use crate::observe::Observation;
use crate::provider::{Headers, Provider};
use crate::receiver::Receiver;
use crate::rejection::{RejectionKind, Reply};
use crate::run_state::RunState;

/// What the pipeline asks of a framework: a request that came in, and the handler behind it.
pub(crate) trait Exchange {
    /// What the framework is given in the end.
    type Output;

    /// The address at the other end of the connection, if the server tells.
    fn peer(&self) -> Option<IpAddr>;

    fn method(&self) -> &str;
    fn path(&self) -> &str;
    fn query(&self) -> &str;
    fn headers(&self) -> Headers<'_>;

    /// The next piece of the body as it came, never decoded. Not called again after its end or an error.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>>;

    /// What a layer around this one has handed in with the request.
    fn outer(&self) -> Option<Delivery>;

    /// Gives the request with its body put back to the handler, which is called once it is ready. From then on the run
    /// of the delivery is in [`Phase::Running`](crate::run_state::Phase::Running).
    fn call(self, delivery: Delivery) -> impl Future<Output = Self::Output>;

    /// Takes back what was read of the body, for [`pass`](Self::pass).
    fn put_back(&mut self, bytes: Bytes);

    /// Gives the request to the handler as it came, however much of its body was read, and without a
    /// delivery.
    fn pass(self) -> impl Future<Output = Self::Output>;

    /// The status of the handler's answer; `None` if it failed without one.
    fn status(output: &Self::Output) -> Option<u16>;

    /// Writes one of our own answers. Where the framework would close the connection on a client that is still
    /// writing, the rest of the body is read and dropped.
    fn answer(self, reply: Reply, unread: Unread) -> Self::Output;

    /// The same after the request was given to the handler, which did not give it back.
    fn answer_late(reply: Reply) -> Self::Output;
}

/// Why a body ended early. What the framework says beyond that is the sender's doing, and not kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyError {
    Incomplete,
    /// A limit that the application has set around the layer.
    TooLarge,
}

/// The receiver, from the request to the answer: what is admitted is given to the handler.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` keeps its arguments twice, and these are large"
)]
pub(crate) fn receive<P: Provider, X: Exchange>(
    receiver: Arc<Receiver<P>>,
    mut exchange: X,
    run: Arc<RunState>,
) -> impl Future<Output = X::Output> {
    async move {
        if receiver.observe_only {
            // Boxed: the usual way is not to carry its size.
            return Box::pin(observe_only::receive(receiver, exchange, run)).await;
        }
        let mut seen =
            Observation::new(receiver.meters(), &receiver.store, &receiver.notices, &run);
        let (delivery, held) = match admit(&receiver, &mut exchange, &run, &mut seen).await {
            Ok(Admitted::Now(handled)) => (handled.delivery().clone(), Some(handled)),
            Ok(Admitted::Before(delivery)) => (delivery, None),
            Err(reply) => {
                seen.rejected(&reply);
                return exchange.answer(reply, Unread::of(&receiver, &run));
            }
        };
        let handler = pin!(Some(exchange.call(delivery)));
        match handler::run(&receiver, handler, X::status, held.as_ref(), &run).await {
            Ok(output) => {
                let status = X::status(&output);
                if let Some(held) = &held {
                    receiver.notices.answered(status, held.delivery().attempt());
                }
                seen.answered(status);
                output
            }
            Err(reply) => {
                seen.rejected(&reply);
                X::answer_late(reply)
            }
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "moved once, and the small one is rare")]
enum Admitted<'a> {
    Now(Handled<'a>),
    /// By a layer around this one, which holds what this one would wait for.
    Before(Delivery),
}

/// Steps 1 to 6, in their order. Nothing unauthenticated gets beyond the third.
async fn admit<'a, P: Provider, X: Exchange>(
    receiver: &'a Receiver<P>,
    exchange: &mut X,
    run: &Arc<RunState>,
    seen: &mut Observation<'_>,
) -> Result<Admitted<'a>, Reply> {
    let mut identified = authenticate(receiver, exchange, run, seen).await?;
    if let Some(outer) = exchange.outer().filter(|outer| outer.key() == identified.delivery.key()) {
        return Ok(Admitted::Before(outer));
    }
    let claimed = claim::acquire(receiver, &mut identified, run).await?;
    Ok(Admitted::Now(Handled { identified, claimed }))
}

/// Steps 1 to 5: an authentic, fresh delivery, that may have come before.
async fn authenticate<P: Provider, X: Exchange>(
    receiver: &Receiver<P>,
    exchange: &mut X,
    run: &Arc<RunState>,
    seen: &mut Observation<'_>,
) -> Result<Identified, Reply> {
    let counted = access::check(receiver, exchange)?;
    let mut client = access::admit(receiver, counted, run).await?;
    handshake::answer_get(receiver, exchange, &mut client)?;
    let presented = headers::check(receiver, exchange, &mut client)?;
    let body = body::collect(receiver, exchange, run, &mut client).await?;
    seen.body(body.bytes.len());
    let signed = signature::verify(receiver, exchange, presented, &body.bytes, seen)?;
    if signed.authentic {
        client.forgive();
    }
    let envelope = signed.envelope(receiver, exchange, &body.bytes);
    let timestamp = freshness::check(receiver, &envelope, &signed)?;
    handshake::answer(&envelope, &signed, &mut client)?;
    let filtered = envelope.filtered;
    let bytes = body.bytes.clone();
    let mut identified =
        identify::identify(receiver, envelope, signed, timestamp, client, bytes, run);
    identified.body = Some(HeldBody::Alone(body));
    seen.identified(identified.delivery.raw_id(), identified.delivery.kind());
    if filtered {
        return Err(RejectionKind::Filtered.into());
    }
    Ok(identified)
}
