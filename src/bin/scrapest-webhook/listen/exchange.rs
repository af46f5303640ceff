//! A request and its answer, seen from outside of the layer: for the recordings, the terminal and the inspector.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::stream::{StreamExt, TryStreamExt, poll_fn};
use scrapest_webhook::{Delivery, Rejection, RejectionKind};
use time::OffsetDateTime;

use super::desk::Desk;
use super::record::Recorder;
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

/// Where the handler leaves its run. It is in the extensions of the request.
#[derive(Clone, Debug, Default)]
pub(super) struct RunSlot(Arc<Mutex<Option<Run>>>);

impl RunSlot {
    pub(super) fn set(&self, delivery: &Delivery, took: Option<Duration>) {
        let run = Run { delivery: delivery.clone(), took };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
    }

    fn take(&self) -> Option<Run> {
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

/// Everything that looks on. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Observers {
    pub(super) path: Arc<str>,
    pub(super) recorder: Option<Recorder>,
    pub(super) desk: Option<Desk>,
}

/// Around the layer: keeps what the layer reads of the body, and sees the answer.
pub(super) async fn observe(
    State(observers): State<Observers>,
    mut request: Request,
    next: Next,
) -> Response {
    let slot = RunSlot::default();
    request.extensions_mut().insert(slot.clone());
    let (parts, body) = request.into_parts();
    let mut seen = Seen {
        is_served: parts.uri.path() == &*observers.path,
        recording: Some(head(&parts)),
        observers,
        answer: None,
        slot,
        since: Instant::now(),
        body: Arc::default(),
        is_ended: Arc::default(),
    };
    let (kept, is_ended) = (Arc::clone(&seen.body), Arc::clone(&seen.is_ended));
    // Copied: a small slice would keep the whole buffer that it was read into.
    let body = body.into_data_stream().inspect_ok(move |chunk| {
        kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(chunk);
    });
    let body = body.chain(poll_fn(move |_| {
        is_ended.store(true, Ordering::Relaxed);
        Poll::Ready(None)
    }));
    let response = next.run(Request::from_parts(parts, Body::from_stream(body))).await;
    let rejection = response.extensions().get::<Rejection>().map(Rejection::kind);
    seen.answer = Some((response.status().as_u16(), rejection));
    response
}

/// A recording that has yet to get its body.
fn head(parts: &Parts) -> Recording {
    let headers = parts.headers.iter();
    Recording {
        method: parts.method.to_string(),
        target: parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect(),
        received: Some(OffsetDateTime::now_utc()),
        answer: None,
        is_whole: false,
        body: Vec::new(),
    }
}

/// A request on its way. Dropped with its answer or without, it goes to the observers.
#[derive(Debug)]
struct Seen {
    observers: Observers,
    is_served: bool,
    /// Until it is dropped.
    recording: Option<Recording>,
    answer: Option<(u16, Option<RejectionKind>)>,
    slot: RunSlot,
    since: Instant,
    body: Arc<Mutex<Vec<u8>>>,
    /// Whether the body was read to its end.
    is_ended: Arc<AtomicBool>,
}

impl Drop for Seen {
    fn drop(&mut self) {
        let Some(mut recording) = self.recording.take() else { return };
        recording.body =
            std::mem::take(&mut self.body.lock().unwrap_or_else(PoisonError::into_inner));
        recording.is_whole = self.is_ended.load(Ordering::Relaxed);
        let rejection = self.answer.and_then(|(_, rejection)| rejection);
        recording.answer = self.answer.map(|(status, rejection)| match rejection {
            Some(kind) => format!("{status} {}", kind.as_str()),
            None => status.to_string(),
        });
        let mut exchange = Exchange {
            recording,
            status: self.answer.map(|(status, _)| status),
            rejection,
            is_served: self.is_served,
            took: self.since.elapsed(),
            run: self.slot.take(),
            file: None,
        };
        if self.is_served
            && let Some(recorder) = &self.observers.recorder
        {
            exchange.file = recorder.keep(&exchange);
        }
        if let Some(desk) = &self.observers.desk {
            desk.take(exchange);
        }
    }
}
