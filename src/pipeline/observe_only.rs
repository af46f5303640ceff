//! The receiver that refuses nothing: every request reaches the handler, and beside it the steps are taken
//! as they would be, to say what would have been refused.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::oneshot;
use tracing::Instrument;

use super::keys::Identified;
use super::{BodyError, Exchange, authenticate, claim, handler};
use crate::config::Config;
use crate::observe::Observation;
use crate::provider::Provider;
use crate::rejection::RejectionKind;
use crate::run_state::RunState;
use crate::shared::Body;

/// Steps 1 to 5 come before the handler, since they read the body; the store is asked beside it.
pub(super) async fn receive<P: Provider, X: Exchange>(
    config: Arc<Config<P>>,
    mut exchange: X,
    run: Arc<RunState>,
) -> X::Output {
    exchange.keep_body();
    let mut seen = Observation::new(&config, &run);
    let authenticated = authenticate(&config, &mut exchange, &run, &mut seen).await;
    let (tell, told) = oneshot::channel();
    match authenticated {
        Err(reply) => seen.would_refuse(reply.kind()),
        Ok((delivery, body)) => {
            let rehearsed = rehearse(Arc::clone(&config), delivery, body, run.beside(), told);
            let running = config.shared.run();
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
    config: Arc<Config<P>>,
    mut delivery: Identified,
    body: Body,
    run: Arc<RunState>,
    told: oneshot::Receiver<Option<u16>>,
) {
    let mut seen = Observation::new(&config, &run);
    seen.identified(delivery.id.as_deref(), delivery.kind.as_deref());
    let claimed = claim::acquire(&config, &mut delivery.keys, body, &run).await;
    let handled = match claimed {
        Err(reply) => Err(reply),
        Ok(claimed) => {
            // A handler that is dropped with its client, or panics, says nothing.
            let said = pin!(Some(async { told.await.unwrap_or_default() }));
            let (_, held) = handler::delivery(&config, delivery, claimed, &run);
            handler::run(&config, said, |status| *status, held.as_ref(), &run).await
        }
    };
    match handled {
        Err(reply) => seen.would_refuse(reply.kind()),
        Ok(status) => {
            if run.arrived().elapsed() > config.answer_deadline() {
                seen.would_answer_late(RejectionKind::AnswerDeadline);
            }
            seen.answered(status);
        }
    }
}

/// What is read of a body that is to be handed on as it came.
#[derive(Debug)]
pub(crate) struct Tape<E> {
    /// `None`: nothing is kept.
    read: Option<Vec<Bytes>>,
    end: Option<Result<(), E>>,
}

/// The body behind the layer: whole, or what was read of it and what is to follow.
pub(crate) enum Kept<E> {
    Whole(Bytes),
    Broken(Vec<Bytes>, E),
    Begun(Vec<Bytes>),
}

impl<E> Tape<E> {
    pub(crate) fn off() -> Self {
        Self { read: None, end: None }
    }

    pub(crate) fn start(&mut self) {
        self.read = Some(Vec::new());
    }

    /// A piece of the body, for the pipeline, which does not look into errors.
    pub(crate) fn keep(
        &mut self,
        piece: Option<Result<Bytes, E>>,
        classify: impl FnOnce(&E) -> BodyError,
    ) -> Option<Result<Bytes, BodyError>> {
        match piece {
            Some(Ok(bytes)) => {
                if let Some(read) = &mut self.read {
                    read.push(bytes.clone());
                }
                Some(Ok(bytes))
            }
            Some(Err(error)) => {
                let kind = classify(&error);
                self.end = Some(Err(error));
                Some(Err(kind))
            }
            None => {
                self.end = Some(Ok(()));
                None
            }
        }
    }

    pub(crate) fn into_kept(self) -> Kept<E> {
        let read = self.read.unwrap_or_default();
        match self.end {
            None => Kept::Begun(read),
            Some(Err(error)) => Kept::Broken(read, error),
            Some(Ok(())) => Kept::Whole(match <[Bytes; 1]>::try_from(read) {
                Ok([whole]) => whole,
                Err(pieces) => pieces.concat().into(),
            }),
        }
    }
}
