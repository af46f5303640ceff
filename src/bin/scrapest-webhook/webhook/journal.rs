//! The progress of a rotation, in a file beside the secret's file, so that a rotation that was killed can
//! continue.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

use super::secret_file;

/// The last completed step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// The new secret may be in the file, as its first line.
    Begun,
    /// The new secret is in the file, so receivers will read it.
    Added,
    /// The sender uses the new secret.
    Changed,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Journal {
    monitor: String,
    pub(super) step: Step,
    #[serde(with = "rfc3339")]
    at: OffsetDateTime,
}

impl Journal {
    /// Reads the journal. `None` if no rotation was started.
    pub(super) fn read(secret: &Path, monitor: &str) -> Result<Option<Self>> {
        let path = path(secret);
        let content = match std::fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context(format!("{} cannot be read", path.display())),
        };
        let journal: Self = serde_json::from_slice(&content).with_context(|| {
            format!(
                "{} is not the file of a rotation: remove it if no rotation is under way",
                path.display()
            )
        })?;
        ensure!(
            journal.monitor == monitor,
            "--monitor: is {monitor:?}, expected {:?}, whose rotation is under way in {}",
            journal.monitor,
            path.display()
        );
        Ok(Some(journal))
    }

    pub(super) fn write(secret: &Path, monitor: &str, step: Step) -> Result<Self> {
        let journal = Self { monitor: monitor.to_owned(), step, at: OffsetDateTime::now_utc() };
        let path = path(secret);
        secret_file::replace(&path, &serde_json::to_vec(&journal)?)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(journal)
    }

    pub(super) fn remove(secret: &Path) -> Result<()> {
        let path = path(secret);
        std::fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))
    }

    /// The rest of this time since the step.
    pub(super) fn left_of(&self, wait: Duration) -> Duration {
        // If the clock was set back, the wait is neither shortened nor longer than the whole time.
        let since = (OffsetDateTime::now_utc() - self.at).try_into().unwrap_or_default();
        wait.saturating_sub(since)
    }
}

fn path(secret: &Path) -> PathBuf {
    let mut name = OsString::from(secret);
    name.push(".rotation");
    name.into()
}
