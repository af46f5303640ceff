//! The arguments and results of a store's operations.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::Fence;

/// The result of a [`claim`](super::DeliveryStore::claim). No variant will be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The caller holds the key until the lease ends.
    Acquired {
        /// Larger than the fence of every earlier acquisition of this key.
        fence: Fence,
        /// How many times the key was acquired, including this time, as far as the store remembers.
        attempt: u32,
    },
    /// Another attempt holds the key.
    InProgress {
        /// The rest of that attempt's lease.
        retry_after: Duration,
    },
    /// A handler has already reported success for the key.
    Completed,
}

/// The result of a [`claim_all`](super::DeliveryStore::claim_all). No variant will be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// The caller holds all keys until the lease ends.
    Acquired {
        /// How many times the last key was acquired, including this time, as far as the store remembers.
        attempt: u32,
    },
    /// Another attempt holds one of the keys. The caller holds none of them.
    InProgress {
        /// The position of that key in the slice.
        place: usize,
        /// The rest of that attempt's lease.
        retry_after: Duration,
    },
    /// A handler has already reported success for one of the keys. The caller holds none of them.
    Completed {
        /// The position of that key in the slice.
        place: usize,
    },
}

/// How [`settle_all`](super::DeliveryStore::settle_all) ends an attempt. No variant will be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The handler succeeded. The success is remembered for `keep` from now.
    Complete {
        /// The retention of the records.
        keep: Duration,
    },
    /// The handler failed. The next attempt may run.
    Release,
}

/// Whether the caller still held the key. No variant will be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The caller held the key, and the operation took effect.
    Done,
    /// The caller did not hold the key: another attempt took over, the key was completed, or the store forgot it.
    Lost,
}

impl Settled {
    /// Returns [`Done`](Self::Done) if both are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == Self::Done { other } else { Self::Lost }
    }
}

/// The store could not answer. Opaque; the cause is its [`source`](Error::source).
#[derive(Debug)]
pub struct StoreError(Box<dyn Error + Send + Sync>);

impl StoreError {
    /// Creates an error with this cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }

    /// Whether the error is about one record, so that the store itself works.
    pub(crate) fn is_of_one_record(&self) -> bool {
        self.0.is::<Locked>()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "delivery store did not answer: {}", self.0)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// A record cannot be changed while another transaction has it locked.
#[derive(Debug)]
pub(super) struct Locked;

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("record is locked by another transaction, which has yet to end")
    }
}

impl Error for Locked {}
