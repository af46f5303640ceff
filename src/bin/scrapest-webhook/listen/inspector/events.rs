//! Server-sent events: a line of the list for every request. A browser that does not read them occupies one
//! connection but no growing buffer: each message is built from the kept requests when it is sent.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use super::detail::summary;
use super::exchanges::Exchanges;

/// The maximum number of open pages.
pub(super) const MOST: usize = 16;

/// The maximum number of requests in one message.
const BATCH: usize = 200;

/// How often a comment is sent, so that a closed page is noticed.
const ALIVE: Duration = Duration::from_secs(15);

struct Feed {
    exchanges: Exchanges,
    newest: watch::Receiver<u64>,
    last: u64,
    _place: OwnedSemaphorePermit,
}

/// Starts with the request after `Last-Event-ID`, which is 0 for a new page.
pub(super) fn events(
    exchanges: &Exchanges,
    places: &Arc<Semaphore>,
    headers: &HeaderMap,
) -> Response {
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        let what = "too many pages are open, close one\n";
        return (StatusCode::SERVICE_UNAVAILABLE, what).into_response();
    };
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let newest = exchanges.newest();
    // A number from an earlier start of the process is invalid.
    let last = last.filter(|last| *last <= *newest.borrow()).unwrap_or(0);
    let feed = Feed { exchanges: exchanges.clone(), newest, last, _place: place };
    let messages = stream::unfold(feed, async |mut feed| {
        let message = feed.next().await;
        Some((Ok::<_, Infallible>(message), feed))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream")];
    (headers, Body::from_stream(messages)).into_response()
}

impl Feed {
    async fn next(&mut self) -> Bytes {
        // Marked as seen before reading, so that a request that arrives meanwhile is not missed.
        self.newest.borrow_and_update();
        let entries = self.exchanges.after(self.last, BATCH);
        let Some(last) = entries.last() else {
            // The sender lives as long as the kept requests.
            _ = timeout(ALIVE, self.newest.changed()).await;
            return Bytes::from_static(b":\n\n");
        };
        self.last = last.number;
        let lines: Vec<_> = entries.iter().map(|entry| summary(entry)).collect();
        let lines = serde_json::Value::from(lines);
        format!("id: {}\ndata: {lines}\n\n", self.last).into()
    }
}
