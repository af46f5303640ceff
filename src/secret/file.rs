//! Reads secrets from files, and follows changes of the files.

use std::fs::{self, File};
use std::future::Future;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;
use zeroize::Zeroizing;

use super::handle::{Inner, put};
use super::{Secret, SecretSet, Secrets, drop_line_feed, mistakes};
use crate::config_error::ConfigError;

/// A file with more bytes than this is a mistake, not a secret.
const LONGEST: usize = 4_096;
/// A program that writes a file in pieces pauses between them for less time than this.
const SETTLED: Duration = Duration::from_secs(1);

type Content = Zeroizing<Vec<u8>>;

/// The handle, and the future that follows the file.
type Watched = (Secrets, Pin<Box<dyn Future<Output = ()> + Send>>);

impl Secrets {
    /// Returns the secrets in the file at `path`, one per line, and a future that follows the file: it reads the file
    /// at the interval `every` and applies changes. Spawn the future; it ends when the last clone of the handle is
    /// dropped.
    ///
    /// The file may be replaced, overwritten, or be a symbolic link that is changed, as in Kubernetes. A change takes
    /// effect once two reads, one second apart (or `every`, if that is shorter), agree, so that a half-written file
    /// is never used. While the file cannot be read or is not valid (missing, empty, a blank line, a secret that is
    /// too short), the previous secrets stay in use, and one log line at WARN gives the reason. A file that is not
    /// regular, such as a named pipe, is never opened. Needs a tokio runtime with time enabled.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), scrapest_webhook::ConfigError> {
    /// use std::time::Duration;
    /// use scrapest_webhook::{ScrapestWebhookLayer, Secrets};
    ///
    /// let every = Duration::from_secs(10);
    /// let (secrets, watch) = Secrets::from_watched_file("/run/secrets/webhook", every)?;
    /// tokio::spawn(watch);
    /// let layer = ScrapestWebhookLayer::from_secrets(secrets);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is longer than 4,096 bytes, is UTF-16, begins with a byte order mark, has a
    /// comment or a `NAME=value` line, or has secrets that [`new`](Self::new) refuses; or if `every` is 0.
    pub fn from_watched_file(
        path: impl Into<PathBuf>,
        every: Duration,
    ) -> Result<Watched, ConfigError> {
        if every.is_zero() {
            let what = "is read every 0s, expected more than 0";
            return Err(ConfigError::new("secret", what));
        }
        let path = path.into();
        let content = read_regular(&path)?;
        let secrets = Self::of(secrets(&path, &content)?);
        let watch = watch(Arc::downgrade(&secrets.0), path, every, content);
        Ok((secrets, Box::pin(watch)))
    }
}

/// Reads a file that is read repeatedly. A file that is not regular is not opened: opening a named pipe would block
/// until a writer appears, and would also block the end of the runtime.
pub(super) fn read_regular(path: &Path) -> Result<Content, ConfigError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => read(path),
        Ok(_) => {
            let what =
                format!("file {path:?} is not a regular file, expected a regular file to watch");
            Err(ConfigError::new("secret", what))
        }
        Err(error) => Err(unreadable(path, error)),
    }
}

/// Reads the file's secret, and refuses a content that is clearly not a secret.
pub(super) fn secret(path: &Path) -> Result<Content, ConfigError> {
    let content = read(path)?;
    for line in content.split(|byte| *byte == b'\n') {
        refuse_mistakes(path, line)?;
    }
    Ok(content)
}

fn refuse_mistakes(path: &Path, line: &[u8]) -> Result<(), ConfigError> {
    match mistakes::in_file(line) {
        Some(what) => Err(ConfigError::new("secret", format!("file {path:?} {what}"))),
        None => Ok(()),
    }
}

/// Reads the content, without exactly one final line feed.
fn read(path: &Path) -> Result<Content, ConfigError> {
    // Allocated with its final size, because a reallocation would leave a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    let read =
        File::open(path).and_then(|file| file.take(LONGEST as u64 + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(unreadable(path, error));
    }
    if bytes.len() > LONGEST {
        let what = format!("file {path:?} has more than {LONGEST} bytes, expected a secret");
        return Err(ConfigError::new("secret", what));
    }
    drop_line_feed(&mut bytes);
    Ok(bytes)
}

fn unreadable(path: &Path, error: impl std::fmt::Display) -> ConfigError {
    ConfigError::new("secret", format!("file {path:?} cannot be read: {error}"))
}

/// Parses the secrets, one per line.
pub(super) fn secrets(path: &Path, content: &[u8]) -> Result<SecretSet, ConfigError> {
    let lines = content.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.clone().try_for_each(|line| refuse_mistakes(path, line))?;
    SecretSet::new(lines.map(Secret::from)).map_err(|error| error.of_file(path))
}

/// Follows the file until the last handle is dropped. `first` is the content that the handle was made from.
pub(super) async fn watch(shared: Weak<Inner>, path: PathBuf, every: Duration, first: Content) {
    // The last content, so that no change is logged twice.
    let (mut last, mut in_use) = (Ok(first.clone()), first);
    while shared.strong_count() > 0 {
        sleep(every).await;
        let found = look(&path).await;
        if found == last {
            continue;
        }
        sleep(every.min(SETTLED)).await;
        if look(&path).await != found {
            continue;
        }
        match &found {
            Ok(content) if *content == in_use => {
                tracing::info!(?path, "the file contains the active secrets again");
            }
            Ok(content) => match secrets(&path, content) {
                Ok(set) => {
                    let Some(shared) = shared.upgrade() else { return };
                    tracing::info!(?path, secrets = ?set, "the webhook's secrets were replaced");
                    put(&shared, set);
                    in_use = content.clone();
                }
                Err(error) => refuse(&error),
            },
            Err(error) => refuse(error),
        }
        last = found;
    }
}

fn refuse(error: &ConfigError) {
    tracing::warn!(%error, "the active secrets stay in use, because the new content of their file is invalid");
}

/// Reads the file on a blocking thread, because a disk may be slow and a network drive may hang.
async fn look(path: &Path) -> Result<Content, ConfigError> {
    let of = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_regular(&of));
    read.await.unwrap_or_else(|error| Err(unreadable(path, error)))
}
