//! What an error says of the connection, and what it says to people.

use sqlx::Error;
use sqlx::error::DatabaseError;

/// What to do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server has answered: with an error.
    Answered,
    /// It could not be done beside what others did. It may be repeated.
    Again,
    /// The table is not there: somebody dropped it, or restored a database without it.
    NoTable,
    /// The connection is of no use any more: it broke, or it leads to a server that only reads.
    Broken,
}

pub(super) fn verdict(error: &Error) -> Verdict {
    use Error::{Io, Protocol, Tls, WorkerCrashed};
    match code(error).as_deref() {
        None if matches!(error, Io(_) | Protocol(_) | Tls(_) | WorkerCrashed) => Verdict::Broken,
        None => Verdict::Answered,
        Some("40001" | "40P01") => Verdict::Again,
        Some("42P01") => Verdict::NoTable,
        // The server shuts down, crashed, starts, or ends this connection; a pooler ends it; a standby.
        Some("57P01" | "57P02" | "57P03" | "57P05" | "08P01" | "25006") => Verdict::Broken,
        Some(_) => Verdict::Answered,
    }
}

/// The likely cause, as a subordinate clause.
pub(super) fn hint(error: &Error) -> &'static str {
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    match code(error).as_deref() {
        Some("28P01" | "28000") => ", which refuses the user or the password",
        Some("3D000") => ", which has no such database",
        Some("25006") => ", which is read-only (is it a standby?)",
        Some("42501") => {
            ", where a permission is missing (expected SELECT, INSERT, UPDATE and DELETE on the table \
             scrapest_webhook_deliveries, and CREATE on its schema if it does not exist)"
        }
        Some("42703" | "42804" | "42883") => {
            ", whose table scrapest_webhook_deliveries was not made by this crate"
        }
        Some("53100") => ", whose disk is full",
        Some("53300") => ", which has no free connection",
        Some("57014") => ", which took longer than 1 s (does another session lock the table?)",
        Some("57P03") => ", which is starting or shutting down",
        _ => "",
    }
}

fn code(error: &Error) -> Option<std::borrow::Cow<'_, str>> {
    error.as_database_error().and_then(DatabaseError::code)
}
