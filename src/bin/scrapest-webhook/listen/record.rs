//! `--record`: writes each request as it was received to a separate file.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use scrapest_webhook::Provider;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::sync::mpsc;

use super::exchange::Exchange;
use crate::recording::Recording;

/// How many requests may wait for a slow disk. More are not recorded, because deliveries must not wait.
const WAITING: usize = 64;

/// How long the process waits for the disk when it ends.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Headers that identify or authenticate a person, in addition to the signature.
pub(super) const CONFIDENTIAL: &[&str] = &[
    "authorization",
    "cf-access-client-secret",
    "cf-access-jwt-assertion",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-auth-token",
];

#[derive(Debug, clap::Args)]
pub(super) struct RecordArgs {
    /// Write each request to --path, including refused ones, to a file in this directory; `verify` and `send --file`
    /// read these files
    ///
    /// The directory is created if it does not exist. A file is named after its time, its status and a number, and
    /// has as much of the body as was read. Anyone who can reach the port can cause files to be written, so their
    /// number is limited by --record-limit.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,

    /// Leave signatures, cookies, authorization, API keys and the query out of the recordings; `verify` then cannot
    /// check them
    #[arg(long, requires = "record")]
    record_redacted: bool,

    /// The largest number of recordings in the directory, including existing ones; requests that the sender did not
    /// sign get at most half of them
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "record")]
    record_limit: usize,
}

impl RecordArgs {
    pub(super) fn recorder<P: Provider + Default>(&self) -> Result<Option<Recorder>> {
        let Some(directory) = &self.record else { return Ok(None) };
        let name = || format!("--record {}", directory.display());
        let usable = || "expected a directory that can be written to".to_owned();
        create_directory(directory).with_context(usable).with_context(name)?;
        let there = count(directory).with_context(usable).with_context(name)?;
        tried(directory).with_context(usable).with_context(name)?;
        ensure!(self.record_limit > 0, "--record-limit: is 0, expected at least 1");

        let left_out: HashSet<String> = match self.record_redacted {
            true => P::default()
                .signature_headers()
                .chain(CONFIDENTIAL.iter().copied())
                .map(str::to_ascii_lowercase)
                .collect(),
            false => HashSet::new(),
        };
        let (queue, received) = mpsc::channel(WAITING);
        let writer = Writer { directory: directory.clone(), is_failing: false };
        std::thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || writer.run(received))
            .with_context(name)?;
        let left = Left {
            all: self.record_limit.saturating_sub(there.all),
            unauthenticated: self.record_limit.div_ceil(2).saturating_sub(there.unauthenticated),
            written: 0,
            is_behind: false,
            said: [false; 2],
        };
        let recorder = Recorder {
            queue,
            left_out: Arc::new(left_out),
            is_redacted: self.record_redacted,
            left: Arc::new(Mutex::new(left)),
        };
        recorder.lock().warn_if_full();
        Ok(Some(recorder))
    }
}

/// Receives the requests to record. Clones share the queue.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    /// `None` ends the writer.
    queue: mpsc::Sender<Option<Recorded>>,
    left_out: Arc<HashSet<String>>,
    is_redacted: bool,
    left: Arc<Mutex<Left>>,
}

/// How many more recordings may be written.
#[derive(Debug)]
struct Left {
    all: usize,
    /// How many of these may be unsigned requests, so that they cannot use up the rest.
    unauthenticated: usize,
    written: u64,
    is_behind: bool,
    /// Whether the exhaustion of each limit was logged.
    said: [bool; 2],
}

#[derive(Debug)]
struct Recorded {
    name: String,
    recording: Recording,
}

impl Recorder {
    /// Returns the file name of the recording, unless the limit is reached.
    pub(super) fn keep(&self, exchange: &Exchange) -> Option<String> {
        let mut left = self.lock();
        let is_unauthenticated = exchange.is_unauthenticated();
        if left.all == 0 || (is_unauthenticated && left.unauthenticated == 0) {
            return None;
        }
        let name = name(exchange, left.written + 1)?;
        let recorded =
            Recorded { name: name.clone(), recording: self.redacted(&exchange.recording) };
        let is_behind = match self.queue.try_send(Some(recorded)) {
            Ok(()) => false,
            Err(mpsc::error::TrySendError::Full(_)) => true,
            // The writer has ended.
            Err(mpsc::error::TrySendError::Closed(_)) => return None,
        };
        if !std::mem::replace(&mut left.is_behind, is_behind) && is_behind {
            tracing::warn!("--record: the disk is too slow, not every request is recorded");
        }
        if is_behind {
            return None;
        }
        left.written += 1;
        left.all -= 1;
        left.unauthenticated -= usize::from(is_unauthenticated);
        left.warn_if_full();
        Some(name)
    }

    fn redacted(&self, recording: &Recording) -> Recording {
        let mut recording = recording.clone();
        if self.is_redacted {
            recording.headers.retain(|(name, _)| !self.left_out.contains(name));
            let path = recording.target.split('?').next().unwrap_or_default().len();
            recording.target.truncate(path);
        }
        recording
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the received requests are written.
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

impl Left {
    fn warn_if_full(&mut self) {
        if self.all == 0 && !std::mem::replace(&mut self.said[0], true) {
            tracing::warn!(
                "--record: nothing more is recorded, because --record-limit is reached: move recordings away and \
                 restart"
            );
        } else if self.unauthenticated == 0 && !std::mem::replace(&mut self.said[1], true) {
            tracing::warn!(
                "--record: requests that the sender did not sign are no longer recorded, because they have used \
                 half of --record-limit"
            );
        }
    }
}

/// The file name: the time, the status, the process and a number.
fn name(exchange: &Exchange, number: u64) -> Option<String> {
    let received = exchange.recording.received.unwrap_or_else(OffsetDateTime::now_utc);
    let time = received.format(format_description!(
        "[year][month][day]T[hour][minute][second].[subsecond digits:3]Z"
    ));
    let status = exchange.status.map_or_else(|| "gone".to_owned(), |status| status.to_string());
    Some(format!("{}-{status}-{}-{number:06}.http", time.ok()?, std::process::id()))
}

/// Writes the files, on a separate thread.
#[derive(Debug)]
struct Writer {
    directory: PathBuf,
    is_failing: bool,
}

impl Writer {
    fn run(mut self, mut received: mpsc::Receiver<Option<Recorded>>) {
        while let Some(Some(recorded)) = received.blocking_recv() {
            self.attempt(&recorded);
        }
    }

    /// A failure does not affect the delivery. It is logged when failures begin and when they end.
    fn attempt(&mut self, recorded: &Recorded) {
        match (self.write(recorded), self.is_failing) {
            (Ok(()), was_failing) => {
                if was_failing {
                    tracing::warn!("--record: requests are recorded again");
                }
                self.is_failing = false;
            }
            (Err(error), false) => {
                tracing::warn!(%error, "--record: requests cannot be recorded; deliveries are still accepted");
                self.is_failing = true;
            }
            (Err(_), true) => {}
        }
    }

    /// Writes to a temporary name until the file is complete.
    fn write(&mut self, Recorded { name, recording }: &Recorded) -> io::Result<()> {
        let whole = self.directory.join(name);
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

fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// The file contains data of others, so only the user of this process may read it.
fn create(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[derive(Debug, Default)]
struct Count {
    all: usize,
    unauthenticated: usize,
}

/// Counts the recordings, and those of unauthenticated requests.
fn count(directory: &Path) -> io::Result<Count> {
    const REFUSED: &[&str] = &["400", "401", "403", "405", "408", "413", "415", "429", "gone"];
    let mut count = Count::default();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "http") {
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            let status = name.split('-').nth(1).unwrap_or_default();
            count.all += 1;
            count.unauthenticated += usize::from(REFUSED.contains(&status));
        }
    }
    Ok(count)
}

/// Tests whether a file can be created there.
fn tried(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!(".scrapest-webhook-{}", std::process::id()));
    create(&path)?;
    fs::remove_file(path)
}
