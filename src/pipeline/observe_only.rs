//! The receiver that refuses nothing: every request reaches the handler, and beside it the steps are taken
//! as they would be, to say what would have been refused.

use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tracing::Instrument;

use super::identify::Identified;
use super::{Exchange, authenticate, claim, handler};
use crate::limits::Body;
use crate::observe::Observation;
use crate::provider::Provider;
use crate::receiver::Receiver;
use crate::rejection::RejectionKind;
use crate::run_state::{Phase, RunState};

/// Steps 1 to 5 come before the handler, since they read the body; the store is asked beside it.
pub(super) async fn receive<P: Provider, X: Exchange>(
    receiver: Arc<Receiver<P>>,
    mut exchange: X,
    run: Arc<RunState>,
) -> X::Output {
    let mut seen = Observation::new(receiver.meters(), &receiver.store, &receiver.notices, &run);
    let authenticated = authenticate(&receiver, &mut exchange, &run, &mut seen).await;
    let (tell, told) = oneshot::channel();
    match authenticated {
        Err(reply) => seen.would_refuse(reply.kind()),
        Ok((delivery, body)) => {
            let rehearsed = rehearse(Arc::clone(&receiver), delivery, body, run.beside(), told);
            let running = receiver.limits.run();
            let span = run.span().clone();
            tokio::spawn(rehearsed.map(|()| drop(running)).instrument(span));
        }
    }
    let output = exchange.pass().await;
    // Nobody listens where nothing was authentic.
    _ = tell.send(X::status(&output));
    output
}

/// Steps 6 and 7, with what the handler has said, once it has, in the handler's place.
async fn rehearse<P: Provider>(
    receiver: Arc<Receiver<P>>,
    mut delivery: Identified,
    body: Body,
    run: Arc<RunState>,
    told: oneshot::Receiver<Option<u16>>,
) {
    let mut seen = Observation::new(receiver.meters(), &receiver.store, &receiver.notices, &run);
    seen.identified(delivery.id.as_ref(), delivery.kind.as_deref());
    let claimed = claim::acquire(&receiver, &mut delivery, body, &run).await;
    let handled = match claimed {
        Err(reply) => Err(reply),
        Ok(claimed) => {
            // A handler that is dropped with its client, or panics, says nothing.
            let said = pin!(Some(async { told.await.unwrap_or_default() }));
            let (_, held) = handler::delivery(&receiver, delivery, claimed, &run);
            run.enter(Phase::Running);
            handler::run(&receiver, said, |status| *status, held.as_ref(), &run).await
        }
    };
    match handled {
        Err(reply) => seen.would_refuse(reply.kind()),
        Ok(status) => {
            if run.arrived().elapsed() > receiver.answer_deadline() {
                seen.would_answer_late(RejectionKind::AnswerDeadline);
            }
            seen.answered(status);
        }
    }
}
