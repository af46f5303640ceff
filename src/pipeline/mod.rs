//! Takes a request to a settled delivery in seven steps. All frameworks share this code: it names no framework and no
//! `Send`, so its future is `Send` if the framework's types are.

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

/// What a framework provides to the pipeline: an incoming request, and the handler that receives it.
pub(crate) trait Exchange {
    /// The result that the framework receives.
    type Output;

    /// Returns the peer's address, if the server provides it.
    fn peer(&self) -> Option<IpAddr>;

    fn method(&self) -> &str;
    fn path(&self) -> &str;
    fn query(&self) -> &str;
    fn headers(&self) -> Headers<'_>;

    /// Returns the next piece of the body as received, without decoding it. The pipeline does not call it again after
    /// the end or an error.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>>;

    /// Returns the delivery that an outer layer has put into the request.
    fn outer(&self) -> Option<Delivery>;

    /// Restores the request's body and calls the handler once it is ready. From then on the run of the delivery is in
    /// [`Phase::Running`](crate::run_state::Phase::Running).
    fn call(self, delivery: Delivery) -> impl Future<Output = Self::Output>;

    /// Returns a piece that was read to the body, for [`pass`](Self::pass).
    fn put_back(&mut self, bytes: Bytes);

    /// Passes the request to the handler as received and without a delivery, even if part of its body has been read.
    fn pass(self) -> impl Future<Output = Self::Output>;

    /// Returns the status of the handler's answer, or `None` if the handler failed without one.
    fn status(output: &Self::Output) -> Option<u16>;

    /// Writes one of the layer's own answers. If the framework would close the connection while the client is still
    /// writing, the rest of the body is read and dropped.
    fn answer(self, reply: Reply, unread: Unread) -> Self::Output;

    /// Writes one of the layer's own answers after the request was passed to the handler and is no longer available.
    fn answer_late(reply: Reply) -> Self::Output;
}

/// Why a body ended early. Further details in the framework's error depend on the sender and are not kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyError {
    Incomplete,
    /// The body exceeds a limit that the application has set outside the layer.
    TooLarge,
}

/// Runs all steps for one request and returns the answer.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` stores its arguments twice, and these are large"
)]
pub(crate) fn receive<P: Provider, X: Exchange>(
    receiver: Arc<Receiver<P>>,
    mut exchange: X,
    run: Arc<RunState>,
) -> impl Future<Output = X::Output> {
    async move {
        if receiver.observe_only {
            // Boxed, so that the usual path does not carry its size.
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

#[allow(
    clippy::large_enum_variant,
    reason = "with metrics; moved once, and the small variant is rare"
)]
enum Admitted<'a> {
    Now(Handled<'a>),
    /// An outer layer has admitted the same delivery and holds its claim.
    Before(Delivery),
}

/// Runs steps 1 to 6 in order. Nothing unauthenticated gets beyond step 3.
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

/// Runs steps 1 to 5. The result is an authentic, fresh delivery, which may be a duplicate.
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
