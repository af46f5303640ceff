//! The errors of completing a delivery in the handler's own transaction.

use std::error::Error;
use std::fmt;

/// A delivery was not completed in a transaction. Roll the transaction back. Opaque; see [`kind`](Self::kind).
#[derive(Debug)]
pub struct CompletionError {
    kind: CompletionErrorKind,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`CompletionError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompletionErrorKind {
    /// Another attempt at the delivery has committed. Roll this one back. Its answer does not matter: the sender's
    /// retry gets 200.
    AlreadyCompleted,
    /// The transaction's database has no record of the claim: it is not the store's database, or the delivery runs
    /// without a claim ([`OnStoreDown::ProcessAnyway`](crate::OnStoreDown::ProcessAnyway)).
    NotClaimed,
    /// The database refused, or did not answer.
    Database,
}

impl CompletionError {
    pub(in crate::store) fn new(kind: CompletionErrorKind) -> Self {
        Self { kind, cause: None }
    }

    pub(in crate::store) fn database(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: CompletionErrorKind::Database, cause: Some(cause.into()) }
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> CompletionErrorKind {
        self.kind
    }
}

impl fmt::Display for CompletionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.cause) {
            (_, Some(cause)) => write!(f, "delivery could not be completed: {cause}"),
            (CompletionErrorKind::AlreadyCompleted, _) => {
                f.write_str("delivery was completed by another attempt, roll this one back")
            }
            _ => f.write_str(
                "delivery has no record where it is to be completed, expected a transaction in the \
                 database of the layer's own store",
            ),
        }
    }
}

impl Error for CompletionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as &(dyn Error + 'static))
    }
}

/// The state of a key's record, as read by a transaction that has locked it.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum Standing {
    Open,
    Completed,
    Unreadable,
}

/// Returns an error unless an attempt may complete its delivery. `standings` are the records found for `keys` keys.
pub(in crate::store) fn judge(standings: &[Standing], keys: usize) -> Result<(), CompletionError> {
    for standing in standings {
        match standing {
            Standing::Open => {}
            Standing::Completed => {
                return Err(CompletionError::new(CompletionErrorKind::AlreadyCompleted));
            }
            Standing::Unreadable => return Err(CompletionError::database(super::Unreadable)),
        }
    }
    if standings.len() < keys {
        return Err(CompletionError::new(CompletionErrorKind::NotClaimed));
    }
    Ok(())
}
