//! Classifies errors, and names their likely causes.

use sqlx::Error;
use sqlx::error::DatabaseError;

/// What to do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server has answered with an error. Repeating the statements would not help.
    Answered,
    /// The statements conflicted with another transaction. They may be repeated.
    Again,
    /// The table does not exist: it was dropped, or a database without it was restored.
    NoTable,
    /// The connection is useless: it broke, or it leads to a read-only server.
    Broken,
}

pub(super) fn verdict(error: &Error) -> Verdict {
    use Error::{Io, Protocol, Tls, WorkerCrashed};
    match code(error).as_deref() {
        None if matches!(error, Io(_) | Protocol(_) | Tls(_) | WorkerCrashed) => Verdict::Broken,
        None => Verdict::Answered,
        Some("40001" | "40P01") => Verdict::Again,
        Some("42P01") => Verdict::NoTable,
        // The server is starting, stopping or a standby, or it or a pooler has ended the connection.
        Some("57P01" | "57P02" | "57P03" | "57P05" | "08P01" | "25006") => Verdict::Broken,
        Some(_) => Verdict::Answered,
    }
}

/// Returns the likely cause, as a relative clause.
pub(super) fn hint(error: &Error) -> &'static str {
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    match code(error).as_deref() {
        Some("28P01" | "28000") => ", which refuses the user or the password",
        Some("3D000") => ", which has no such database",
        Some("25006") => ", which only reads (is it a standby?)",
        Some("42501") => {
            ", where a right is missing (expected SELECT, INSERT, UPDATE and DELETE on the table \
             scrapest_webhook_deliveries, and CREATE on its schema if it does not exist)"
        }
        Some("42703" | "42804" | "42883") => {
            ", whose table scrapest_webhook_deliveries was not made by this crate"
        }
        Some("53100") => ", whose disk is full",
        Some("53300") => ", whose connections are all taken",
        Some("57014") => ", which took longer than 1 s (does something lock the table?)",
        Some("57P03") => ", which is starting or shutting down",
        _ => "",
    }
}

fn code(error: &Error) -> Option<std::borrow::Cow<'_, str>> {
    error.as_database_error().and_then(DatabaseError::code)
}
