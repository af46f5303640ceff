//! A request and its answer, seen from outside of the layer: for the recordings, the terminal and the inspector.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use scrapest_webhook::{Delivery, RejectionKind};

use crate::recording::Recording;

/// A request, as much of its body as was read, and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) recording: Recording,
    /// `None` if the client left before its answer.
    pub(super) status: Option<u16>,
    pub(super) rejection: Option<RejectionKind>,
    /// Whether it was for `--path`.
    pub(super) is_served: bool,
    /// From its headers to its answer.
    pub(super) took: Duration,
    pub(super) run: Option<Run>,
    /// The name of the recording's file.
    pub(super) file: Option<String>,
}

/// The attempt that the layer let through.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) delivery: Delivery,
    /// How long the service took, if it has ended by the time of the answer.
    pub(super) took: Option<Duration>,
}

/// Why a request was not accepted, and the likely causes.
#[derive(Clone, Debug, Default)]
pub(super) struct Cause {
    pub(super) why: String,
    pub(super) likely: Vec<String>,
}

/// Where the handler leaves its run. It is in the extensions of the request.
#[derive(Clone, Debug, Default)]
pub(super) struct RunSlot(Arc<Mutex<Option<Run>>>);

impl RunSlot {
    pub(super) fn set(&self, delivery: &Delivery, took: Option<Duration>) {
        let run = Run { delivery: delivery.clone(), took };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
    }

    pub(super) fn take(&self) -> Option<Run> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Exchange {
    /// The kind, as the sender signed it, else as the request says of itself.
    pub(super) fn kind(&self) -> Option<&str> {
        let signed = self.run.as_ref().and_then(|run| run.delivery.kind());
        signed.or_else(|| self.header(|name| name.ends_with("-event")))
    }

    /// The delivery id that the request says.
    pub(super) fn id(&self) -> Option<&str> {
        let found = self.run.as_ref().and_then(|run| run.delivery.id());
        found.or_else(|| self.header(|name| name.contains("delivery")))
    }

    /// From the signed time of the event to its arrival.
    pub(super) fn age(&self) -> Option<Duration> {
        let sent = self.run.as_ref()?.delivery.timestamp()?;
        Duration::try_from(self.recording.received? - sent).ok()
    }

    fn header(&self, is_it: impl Fn(&str) -> bool) -> Option<&str> {
        let (_, value) = self.recording.headers.iter().find(|(name, _)| is_it(name))?;
        std::str::from_utf8(value).ok()
    }

    /// Whether anyone could have sent it: nothing showed that the sender had signed it.
    pub(super) fn is_unauthenticated(&self) -> bool {
        use RejectionKind as Kind;
        let is_signed = matches!(
            self.rejection,
            Some(
                Kind::Challenge
                    | Kind::Duplicate
                    | Kind::Stale
                    | Kind::NoSignedTimestamp
                    | Kind::TooManyRuns
                    | Kind::InProgress
                    | Kind::TooManyWaiting
                    | Kind::StoreDown
                    | Kind::AnswerDeadline
                    | Kind::RunLimit
                    | Kind::HandlerPanicked
                    | Kind::NotCommitted
            )
        );
        self.run.is_none() && !is_signed
    }
}
