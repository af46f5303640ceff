//! Receives requests without refusing any: every request reaches the handler. In parallel, the steps run as usual, to
//! report what would have been refused.

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

/// Runs steps 1 to 5 before the handler, because they read the body. The delivery is claimed in parallel with the
/// handler.
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
    // If the request was not authentic, there is no receiver.
    _ = tell.send(X::status(&output));
    output
}

/// Runs steps 6 and 7. In place of the handler, a future waits for the status that the real handler returns.
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
            // A handler that panics, or is dropped with its client, sends no status.
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
