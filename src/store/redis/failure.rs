//! The errors of an operation.

use std::error::Error;
use std::fmt;

use ::redis::{RedisError, ServerErrorKind};

use super::OPERATION_LIMIT;

#[derive(Clone, Debug)]
pub(super) enum Failure {
    Driver(RedisError),
    /// There was no connection within the limit.
    Connecting,
    /// The server did not answer within the limit. The command may have taken effect.
    Silent,
}

/// An answer, or the record under a key, that this version of the crate cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Foreign,
    Newer,
    Answer,
}

impl Failure {
    /// Returns whether the server refused a script because its keys are in different slots.
    pub(super) fn is_cross_slot(&self) -> bool {
        matches!(self, Self::Driver(error) if error.kind() == ServerErrorKind::CrossSlot.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(error) => {
                error.fmt(f)?;
                f.write_str(hint(&error.to_string()))
            }
            Self::Connecting => f.write_str("no connection to the server in time"),
            Self::Silent => write!(f, "no answer from the server within {OPERATION_LIMIT:?}"),
        }
    }
}

/// Returns advice for an error. It inspects the text, because the driver does not classify the errors of scripts.
fn hint(error: &str) -> &'static str {
    let says = |part| error.contains(part);
    match () {
        () if says("NOAUTH") || says("WRONGPASS") || says("uthentication") => {
            "; check the user and the password in its URL"
        }
        () if says("NOPERM") || says("can't run this command") || says("no permissions") => {
            "; grant its user the rights that RedisStore documents (ACL SETUSER)"
        }
        () if says("OOM") => "; it is full: raise its maxmemory",
        () if says("READONLY") || says("read only") => {
            "; it is a replica, expected the address of the primary"
        }
        () => "",
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Driver(error) => Some(error),
            Self::Connecting | Self::Silent => None,
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => {
                "the value under the key is not of this store and was left alone; \
                 give the store a prefix that nothing else uses (RedisStore::with_prefix)"
            }
            Self::Newer => "the record is of a newer version of this crate and was left alone",
            Self::Answer => "the server's answer to a script is not one of the script's",
        })
    }
}

impl Error for Unreadable {}
