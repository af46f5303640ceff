//! `--record`: each request as it was received, in a file of its own, beside what is done with it.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{StreamExt, TryStreamExt, poll_fn};
use scrapest_webhook::Provider;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::sync::mpsc;

use crate::recording::Recording;

/// Requests that wait for a slow disk. Beyond that they are not recorded: the delivery comes first.
const WAITING: usize = 64;

/// How long the end of the process waits for the disk.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Beside the signature, what says who someone is.
const CONFIDENTIAL: &[&str] = &["authorization", "cookie", "proxy-authorization"];

#[derive(Debug, clap::Args)]
pub(super) struct RecordArgs {
    /// Keep each request to --path as a file in this directory, refused ones too; `verify` and `send --file`
    /// take them
    ///
    /// A file is named by its time, its status, and a number, and has as much of the body as was read. Whoever can
    /// reach the port can thus write files here: hence --record-limit.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,

    /// Leave signatures, cookies, authorization and the query out of the recordings; `verify` cannot check them
    /// then
    #[arg(long, requires = "record")]
    record_redacted: bool,

    /// How many recordings the directory may have; those that are there count
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "record")]
    record_limit: usize,
}

impl RecordArgs {
    pub(super) fn recorder<P: Provider + Default>(&self) -> Result<Option<Recorder>> {
        let Some(directory) = &self.record else { return Ok(None) };
        let name = || format!("--record {}", directory.display());
        let usable = || "expected a directory that can be written to".to_owned();
        let there = count(directory).with_context(usable).with_context(name)?;
        tried(directory).with_context(usable).with_context(name)?;
        ensure!(self.record_limit > 0, "--record-limit: is 0, expected more, or no --record");

        let left_out: HashSet<String> = match self.record_redacted {
            true => P::default()
                .signature_headers()
                .chain(CONFIDENTIAL.iter().copied())
                .map(str::to_ascii_lowercase)
                .collect(),
            false => HashSet::new(),
        };
        let (queue, received) = mpsc::channel(WAITING);
        let writer = Writer {
            directory: directory.clone(),
            left: self.record_limit.saturating_sub(there),
            written: 0,
            is_failing: false,
        };
        std::thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || writer.run(received))
            .with_context(name)?;
        Ok(Some(Recorder {
            queue,
            left_out: Arc::new(left_out),
            redacted: self.record_redacted,
            is_behind: Arc::default(),
        }))
    }
}

/// Where requests go to be recorded. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    /// `None` is the end.
    queue: mpsc::Sender<Option<Recorded>>,
    left_out: Arc<HashSet<String>>,
    redacted: bool,
    is_behind: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Recorded {
    /// What it was answered; `None` if nobody waited for that.
    status: Option<u16>,
    recording: Recording,
}

/// Around the layer: keeps what that reads of the body, and sees what it answers.
pub(super) async fn record(
    State(recorder): State<Recorder>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let recorded = Recorded { status: None, recording: recorder.head(&parts) };
    let mut seen =
        Seen { recorder, recorded: Some(recorded), chunks: Arc::default(), ended: Arc::default() };
    let (chunks, ended) = (Arc::clone(&seen.chunks), Arc::clone(&seen.ended));
    let body = body.into_data_stream().inspect_ok(move |chunk| {
        chunks.lock().unwrap_or_else(PoisonError::into_inner).push(chunk.clone());
    });
    let body = body.chain(poll_fn(move |_| {
        ended.store(true, Ordering::Relaxed);
        Poll::Ready(None)
    }));
    let response = next.run(Request::from_parts(parts, Body::from_stream(body))).await;
    if let Some(recorded) = &mut seen.recorded {
        recorded.status = Some(response.status().as_u16());
    }
    response
}

/// A request on its way; when it is dropped, answered or not, it is recorded.
#[derive(Debug)]
struct Seen {
    recorder: Recorder,
    /// Until it is dropped.
    recorded: Option<Recorded>,
    chunks: Arc<Mutex<Vec<Bytes>>>,
    /// Whether there are no more.
    ended: Arc<AtomicBool>,
}

impl Drop for Seen {
    fn drop(&mut self) {
        if let Some(mut recorded) = self.recorded.take() {
            let chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
            recorded.recording.body = chunks.concat();
            recorded.recording.is_whole = self.ended.load(Ordering::Relaxed);
            self.recorder.keep(recorded);
        }
    }
}

impl Recorder {
    /// A recording that has yet to get its body.
    fn head(&self, parts: &axum::http::request::Parts) -> Recording {
        let target = match self.redacted {
            true => parts.uri.path(),
            false => parts.uri.path_and_query().map_or("/", |target| target.as_str()),
        };
        let headers = parts.headers.iter();
        let headers = headers.filter(|(name, _)| !self.left_out.contains(name.as_str()));
        Recording {
            method: parts.method.to_string(),
            target: target.to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                .collect(),
            received: Some(OffsetDateTime::now_utc()),
            is_whole: false,
            body: Vec::new(),
        }
    }

    fn keep(&self, recorded: Recorded) {
        let is_behind = match self.queue.try_send(Some(recorded)) {
            Ok(()) => false,
            Err(mpsc::error::TrySendError::Full(_)) => true,
            // After the end.
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        };
        if !self.is_behind.swap(is_behind, Ordering::Relaxed) && is_behind {
            tracing::warn!("--record: the disk is too slow, not every request is recorded");
        }
    }

    /// Waits until what was received is written.
    pub(super) async fn finish(self) {
        let ended = async {
            _ = self.queue.send(None).await;
            self.queue.closed().await;
        };
        if tokio::time::timeout(LAST_WRITES, ended).await.is_err() {
            tracing::warn!("--record: the last requests were not recorded, the disk is too slow");
        }
    }
}

/// The one that writes, on a thread of its own.
#[derive(Debug)]
struct Writer {
    directory: PathBuf,
    left: usize,
    written: u64,
    is_failing: bool,
}

impl Writer {
    fn run(mut self, mut received: mpsc::Receiver<Option<Recorded>>) {
        self.warn_if_full();
        while let Some(Some(recorded)) = received.blocking_recv() {
            if self.left > 0 {
                self.attempt(&recorded);
            }
        }
    }

    /// Whatever comes of it, the delivery is not touched by it. Said when it begins to fail, and when it ends to.
    fn attempt(&mut self, recorded: &Recorded) {
        match (self.write(recorded), self.is_failing) {
            (Ok(()), was_failing) => {
                self.left -= 1;
                if was_failing {
                    tracing::warn!("--record: requests are recorded again");
                }
                self.is_failing = false;
                self.warn_if_full();
            }
            (Err(error), false) => {
                tracing::warn!(%error, "--record: requests are not recorded; deliveries go on");
                self.is_failing = true;
            }
            (Err(_), true) => {}
        }
    }

    fn warn_if_full(&self) {
        if self.left == 0 {
            tracing::warn!(
                "--record: nothing more is recorded, --record-limit is reached; move recordings away and start again"
            );
        }
    }

    /// Under another name until it is whole.
    fn write(&mut self, recorded: &Recorded) -> io::Result<()> {
        let Recorded { status, recording } = recorded;
        let received = recording.received.unwrap_or_else(OffsetDateTime::now_utc);
        let time = received
            .format(format_description!(
                "[year][month][day]T[hour][minute][second].[subsecond digits:3]Z"
            ))
            .map_err(io::Error::other)?;
        let status = status.map_or_else(|| "gone".to_owned(), |status| status.to_string());
        self.written += 1;
        let (process, number) = (std::process::id(), self.written);
        let name = format!("{time}-{status}-{process}-{number:06}.http");
        let whole = self.directory.join(&name);
        let partial = self.directory.join(format!(".{name}.partial"));
        let outcome = create(&partial)
            .and_then(|mut file| file.write_all(&recording.to_bytes()))
            .and_then(|()| fs::rename(&partial, &whole));
        if outcome.is_err() {
            _ = fs::remove_file(&partial);
        }
        outcome
    }
}

/// Somebody's data: for the user of this process alone.
fn create(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// How many recordings there are.
fn count(directory: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(directory)? {
        count += usize::from(entry?.path().extension().is_some_and(|end| end == "http"));
    }
    Ok(count)
}

/// Whether a file can be made there.
fn tried(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!(".scrapest-webhook-{}", std::process::id()));
    create(&path)?;
    fs::remove_file(path)
}
