//! Standard output: one line at a time, complete and flushed.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};
use scrapest_webhook::Delivery;
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};

use crate::terminal;

/// How many lines may wait for a slow reader. After that, deliveries wait for their line, up to the run limit.
const WAITING: usize = 64;

/// Writes lines from a separate thread, because a pipe that is not read blocks. Clones share the thread.
#[derive(Clone, Debug)]
pub(super) struct Lines(mpsc::Sender<Job>);

#[derive(Debug)]
struct Job {
    line: Vec<u8>,
    /// Dropped if the line could not be written.
    written: oneshot::Sender<()>,
}

impl Lines {
    pub(super) fn start() -> Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING);
        std::thread::Builder::new()
            .name("lines".to_owned())
            .spawn(move || write(receiver))
            .context("standard output: cannot start its thread")?;
        Ok(Self(sender))
    }

    /// Writes a line, and adds its line feed.
    pub(super) async fn print(&self, line: impl Into<Vec<u8>>) -> Result<()> {
        let mut line = line.into();
        line.push(b'\n');
        let (written, is_written) = oneshot::channel();
        self.0.send(Job { line, written }).await.ok().context("is closed")?;
        is_written.await.context("is closed")
    }

    /// Waits until lines can no longer be written.
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// Ends at the first line that cannot be written, because the output may end with half a line.
fn write(mut jobs: mpsc::Receiver<Job>) {
    while let Some(Job { line, written }) = jobs.blocking_recv() {
        // The delivery was given up in the meantime; another attempt will write it.
        if written.is_closed() {
            continue;
        }
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(&line).and_then(|()| stdout.flush()) {
            tracing::error!(%error, "standard output can no longer be written");
            return;
        }
        // If the delivery was given up during the write, it will be written again.
        _ = written.send(());
    }
}

/// An accepted delivery as one line of JSON, without its line feed.
#[derive(Debug, Serialize)]
struct Accepted<'a> {
    sender: &'static str,
    delivery_id: Option<&'a str>,
    kind: Option<&'a str>,
    #[serde(with = "time::serde::rfc3339::option")]
    timestamp: Option<OffsetDateTime>,
    attempt: u32,
    event: Option<&'a RawValue>,
}

/// The body as JSON. `None` if it is not JSON.
pub(super) fn event(delivery: &Delivery) -> Option<&RawValue> {
    serde_json::from_slice(delivery.body()).ok()
}

/// The event is unchanged, with its numbers, its order and its escapes. Only line feeds between its tokens become
/// spaces, so that it is one line. On a terminal, control sequences are escaped.
pub(super) fn accepted(delivery: &Delivery, event: Option<&RawValue>) -> Result<Vec<u8>> {
    let accepted = Accepted {
        sender: delivery.sender(),
        delivery_id: delivery.id(),
        kind: delivery.kind(),
        timestamp: delivery.timestamp(),
        attempt: delivery.attempt(),
        event,
    };
    let mut line = serde_json::to_string(&accepted)?;
    if io::stdout().is_terminal() {
        line = terminal::plain_json(&line).into_owned();
    }
    let mut line = line.into_bytes();
    // Inside a JSON string a line feed is always an escape (RFC 8259 §7).
    for byte in line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
    Ok(line)
}
