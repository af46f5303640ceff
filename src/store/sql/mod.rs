//! What the two SQL stores share.

mod batch_queue;
mod completion;

use std::error::Error;
use std::fmt;
use std::time::Duration;

pub(super) use self::batch_queue::{Asked, BatchQueue, Leader};
pub use self::completion::{CompletionError, CompletionErrorKind};
pub(super) use self::completion::{Standing, judge};

/// The version of the records that this code writes, and the only one that it reads.
pub(super) const VERSION: i16 = 1;

/// When to ask again for a key whose record this code cannot read: it has no lease that is known.
pub(super) const UNREADABLE: Duration = Duration::from_secs(1);

/// Why a store did not answer: what was tried, and what the database said.
#[derive(Debug)]
pub(super) struct Failure {
    what: String,
    source: sqlx::Error,
}

impl Failure {
    pub(super) fn new(what: impl Into<String>, source: sqlx::Error) -> Self {
        Self { what: what.into(), source }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.source)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// A success cannot be written over a record that this code cannot read.
#[derive(Debug)]
pub(super) struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record of an unknown version, expected version {VERSION}; it is left as it is")
    }
}

impl Error for Unreadable {}

/// A fence as a database has it, which knows no unsigned numbers.
pub(super) fn fence_to_sql(fence: super::Fence) -> i64 {
    i64::try_from(fence.get()).unwrap_or(i64::MAX)
}

pub(super) fn acquired(fence: i64, attempt: i64) -> super::Claim {
    super::Claim::Acquired {
        fence: super::Fence::new(u64::try_from(fence).unwrap_or(0)),
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
    }
}
