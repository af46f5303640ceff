//! Wraps the layer: builds an exchange from each request, and passes it to the observers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::stream::{StreamExt, TryStreamExt, poll_fn};
use scrapest_webhook::{Rejection, RejectionKind};
use time::OffsetDateTime;

use super::desk::Desk;
use super::exchange::{Exchange, RunSlot};
use super::record::Recorder;
use crate::recording::Recording;

/// All observers. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Observers {
    pub(super) path: Arc<str>,
    pub(super) recorder: Option<Recorder>,
    pub(super) desk: Option<Desk>,
}

/// Keeps the part of the body that the layer reads, and the response.
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
    // Copied, because a small slice would keep its whole buffer in memory.
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

/// A recording without its body.
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

/// A request in progress. When it is dropped, with or without a response, it is sent to the observers.
#[derive(Debug)]
struct Seen {
    observers: Observers,
    is_served: bool,
    /// `Some` until it is dropped.
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
