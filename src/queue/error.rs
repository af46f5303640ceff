//! Why the queue did not answer, and why a job failed.

use std::error::Error;
use std::fmt;

use crate::event::{EventError, EventErrorKind};

/// The database of the queue did not answer, or returned an error. Opaque; the cause is its
/// [`source`](Error::source).
///
/// The text names the file, or the server and the database, and says what to check. It never contains a password.
#[derive(Debug)]
pub struct QueueError {
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl QueueError {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    pub(super) fn with_source(
        what: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { what: what.into(), source: Some(source.into()) }
    }

    /// The same error, for another caller that waited for the same transaction.
    #[cfg(feature = "queue-sqlite")]
    pub(super) fn shared(error: std::sync::Arc<Self>) -> Self {
        Self { what: String::new(), source: Some(Box::new(error)) }
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) if self.what.is_empty() => source.fmt(f),
            Some(source) => write!(f, "queue did not answer: {}: {source}", self.what),
            None => write!(f, "queue did not answer: {}", self.what),
        }
    }
}

impl Error for QueueError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

/// Why a run of a job failed. A handler usually returns it with `?`: every error type converts into it.
///
/// The job runs again after a backoff, until it has failed [`with_max_attempts`](super::Worker::with_max_attempts)
/// times. A job that cannot succeed is dead at once: if a known kind has a broken payload or the job is from
/// another sender ([`Job::event`](super::Job::event) returned the error), or if the handler returned
/// [`JobError::dead`].
///
/// Like `anyhow::Error`, it does not implement [`Error`], because it could not be converted from every error
/// otherwise. Convert a type that does not implement [`Error`] either with [`JobError::new`], for example
/// `map_err(JobError::new)` for `anyhow`.
#[derive(Debug)]
pub struct JobError {
    text: String,
    is_dead: bool,
}

impl JobError {
    /// Creates an error for a failed run. The job runs again, unless this was its last attempt.
    ///
    /// ```
    /// # use scrapest_webhook::queue::JobError;
    /// assert_eq!(JobError::new("the mailer is down").to_string(), "the mailer is down");
    /// ```
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let cause = cause.into();
        Self { text: with_causes(&*cause), is_dead: cannot_succeed(&*cause) }
    }

    /// Creates an error for a job that cannot succeed: the job is dead at once, with this reason.
    pub fn dead(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { is_dead: true, ..Self::new(cause) }
    }

    /// Whether the job is dead after this run, even if attempts are left.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.is_dead
    }
}

/// The text with all causes, because the outermost error alone often says little.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Many errors repeat their cause in their own text.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Whether the event itself is the cause.
fn cannot_succeed(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<EventError>() {
            return matches!(error.kind(), EventErrorKind::Payload | EventErrorKind::WrongSender);
        }
        next = error.source();
    }
    false
}

impl<E: Error + Send + Sync + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::JobError;
    use crate::event::EventError;

    #[test]
    fn an_event_that_cannot_be_decoded_is_dead_and_any_other_error_is_not() {
        fn handler() -> Result<(), JobError> {
            Err(EventError::missing("data.id"))?
        }
        let error = handler().unwrap_err();
        assert!(error.is_dead());
        assert_eq!(error.to_string(), "data.id: missing field");
        assert!(JobError::from(EventError::wrong_sender("a", "b")).is_dead());
        let boxed: Box<dyn Error + Send + Sync> = Box::new(EventError::missing("id"));
        assert!(JobError::new(boxed).is_dead());
        assert!(!JobError::from(std::io::Error::other("down")).is_dead());
        assert!(JobError::dead("of no use").is_dead());
    }
}
