//! The receiver that refuses nothing: every request reaches the handler, and beside it the steps are taken
//! as they would be, to say what would have been refused.

use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tracing::Instrument;

use super::handler::{self, Handled};
use super::identify::Identified;
use super::{Exchange, authenticate, claim};
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
        Ok(mut identified) => {
            let beside = run.beside();
            identified.delivery.edit().run = Arc::clone(&beside);
            let rehearsed = rehearse(Arc::clone(&receiver), identified, beside, told);
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
    mut identified: Identified,
    run: Arc<RunState>,
    told: oneshot::Receiver<Option<u16>>,
) {
    let mut seen = Observation::new(receiver.meters(), &receiver.store, &receiver.notices, &run);
    seen.identified(identified.delivery.raw_id(), identified.delivery.kind());
    let claimed = claim::acquire(&receiver, &mut identified, &run).await;
    let handled = match claimed {
        Err(reply) => Err(reply),
        Ok(claimed) => {
            // A handler that is dropped with its client, or panics, says nothing.
            let said = pin!(Some(async { told.await.unwrap_or_default() }));
            let held = Handled { identified, claimed };
            run.enter(Phase::Running);
            handler::run(&receiver, said, |status| *status, Some(&held), &run).await
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
