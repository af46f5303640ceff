//! Code that the SQLite store and the PostgreSQL store share.

mod batch_queue;
mod completion;
mod own_thread;
mod question;

use std::error::Error;
use std::fmt;
use std::time::Duration;

pub(super) use self::batch_queue::{Asked, BatchQueue, Batches, tell_all};
pub use self::completion::{CompletionError, CompletionErrorKind};
pub(super) use self::completion::{Standing, judge};
pub(super) use self::own_thread::OwnThread;
pub(super) use self::question::{Answer, Question, Verb, asking_verbs};

/// The version of the records that this code writes, and the only one that it reads.
pub(super) const VERSION: i16 = 1;

/// When to ask again for a key whose record this code cannot read: its lease is unknown.
pub(super) const UNREADABLE: Duration = Duration::from_secs(1);

/// A store did not answer: the operation that failed, and the database's error.
#[derive(Debug)]
pub(super) struct Failure {
    what: String,
    source: Option<sqlx::Error>,
}

impl Failure {
    #[cfg(feature = "sqlite")]
    pub(super) fn new(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), source: None }
    }

    pub(super) fn caused(what: impl fmt::Display, source: sqlx::Error) -> Self {
        Self { what: what.to_string(), source: Some(source) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, source } = self;
        match source {
            // The error's own text has a line number of the server's source code.
            Some(sqlx::Error::Database(error)) => write!(f, "{what}: {}", error.message()),
            Some(error) => write!(f, "{what}: {error}"),
            None => f.write_str(what),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as &(dyn Error + 'static))
    }
}

/// A success was not written, because this code cannot read the key's record.
#[derive(Debug)]
pub(super) struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record of an unknown version, expected version {VERSION}; it is left as it is")
    }
}

impl Error for Unreadable {}

/// When to ask again for a key whose record another transaction has locked, for an unknown time.
#[cfg(feature = "postgres")]
pub(super) const LOCKED: Duration = Duration::from_secs(1);

/// Bytes as hexadecimal digits.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Converts a fence for a database, which has no unsigned numbers.
pub(super) fn fence_to_sql(fence: super::Fence) -> i64 {
    i64::try_from(fence.get()).unwrap_or(i64::MAX)
}

pub(super) fn fence_from_sql(fence: i64) -> super::Fence {
    super::Fence::new(u64::try_from(fence).unwrap_or(0))
}
