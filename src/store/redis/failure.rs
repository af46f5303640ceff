//! Why a server has not answered.

use std::fmt;

use ::redis::RedisError;

use super::OPERATION_LIMIT;

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Driver(RedisError),
    /// No connection within the limit.
    Connecting,
    /// A connection, but no answer within the limit. The command may have taken effect.
    Silent,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(error) => error.fmt(f),
            Self::Connecting => f.write_str("no connection to the server in time"),
            Self::Silent => write!(f, "no answer from the server within {OPERATION_LIMIT:?}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Driver(error) => Some(error),
            Self::Connecting | Self::Silent => None,
        }
    }
}
