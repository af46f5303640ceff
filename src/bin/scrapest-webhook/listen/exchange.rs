//! A request and its response, observed outside of the layer: for the recordings, the terminal and the inspector.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use scrapest_webhook::{Delivery, RejectionKind};

use crate::recording::Recording;

/// A request with the part of its body that was read, and its result.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) recording: Recording,
    /// `None` if the client disconnected before the response.
    pub(super) status: Option<u16>,
    pub(super) rejection: Option<RejectionKind>,
    /// Whether the request was for `--path`.
    pub(super) is_served: bool,
    /// The time from the headers to the response.
    pub(super) took: Duration,
    pub(super) run: Option<Run>,
    /// The file name of the recording.
    pub(super) file: Option<String>,
}

/// The attempt that the layer accepted.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) delivery: Delivery,
    /// How long the service took, if it had answered before the response was sent.
    pub(super) took: Option<Duration>,
}

/// Why a request was not accepted, and the likely causes.
#[derive(Clone, Debug, Default)]
pub(super) struct Cause {
    pub(super) why: String,
    pub(super) likely: Vec<String>,
}

/// The handler stores its run here. It is in the extensions of the request.
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
    /// The kind that the sender signed, or else the unverified one in the request.
    pub(super) fn kind(&self) -> Option<&str> {
        let signed = self.run.as_ref().and_then(|run| run.delivery.kind());
        signed.or_else(|| self.header(|name| name.ends_with("-event")))
    }

    /// The delivery id in the request.
    pub(super) fn id(&self) -> Option<&str> {
        let found = self.run.as_ref().and_then(|run| run.delivery.id());
        found.or_else(|| self.header(|name| name.contains("delivery")))
    }

    /// The time from the signed timestamp of the event to its arrival.
    pub(super) fn age(&self) -> Option<Duration> {
        let sent = self.run.as_ref()?.delivery.timestamp()?;
        Duration::try_from(self.recording.received? - sent).ok()
    }

    fn header(&self, is_it: impl Fn(&str) -> bool) -> Option<&str> {
        let (_, value) = self.recording.headers.iter().find(|(name, _)| is_it(name))?;
        std::str::from_utf8(value).ok()
    }

    /// Whether anyone could have sent it, because no valid signature was found.
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
