//! What a store is told, and what it answers.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::Fence;

/// The result of a [`claim`](super::DeliveryStore::claim). Complete: there is no fourth case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The key is the caller's until the lease ends.
    Acquired {
        /// Larger than the fence of every earlier acquisition of this key.
        fence: Fence,
        /// How many times the key was acquired, this one included, as far as the store remembers.
        attempt: u32,
    },
    /// Another attempt holds the key.
    InProgress {
        /// What is left of that attempt's lease.
        retry_after: Duration,
    },
    /// A handler has reported success for the key.
    Completed,
}

/// The result of a [`claim_all`](super::DeliveryStore::claim_all). Complete: there is no fourth case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// All keys are the caller's until the lease ends.
    Acquired {
        /// How many times the last key was acquired, this one included, as far as the store remembers.
        attempt: u32,
    },
    /// Another attempt holds one of the keys. None of them is the caller's.
    InProgress {
        /// The position of that key in the slice.
        place: usize,
        /// What is left of that attempt's lease.
        retry_after: Duration,
    },
    /// A handler has reported success for one of the keys. None of them is the caller's.
    Completed {
        /// The position of that key in the slice.
        place: usize,
    },
}

/// How [`settle_all`](super::DeliveryStore::settle_all) ends an attempt. Complete: there is no third case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The handler succeeded, which is remembered for `keep` from now.
    Complete {
        /// The retention of the records.
        keep: Duration,
    },
    /// The handler failed: the next attempt may run.
    Release,
}

/// Whether the caller still held the key. Complete: there is no third case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The caller held it, and the verb took effect.
    Done,
    /// The caller did not hold it: another attempt took over, the key was completed, or the store forgot it.
    Lost,
}

impl Settled {
    /// [`Done`](Self::Done) if both are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == Self::Done { other } else { Self::Lost }
    }
}

/// The store could not answer. Opaque; the cause is its [`source`](Error::source).
#[derive(Debug)]
pub struct StoreError(Box<dyn Error + Send + Sync>);

impl StoreError {
    /// An error with this cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }

    /// Whether the store itself is well.
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

/// A record cannot be changed while another transaction has it.
#[derive(Debug)]
pub(super) struct Locked;

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("record is locked by another transaction, which has yet to end")
    }
}

impl Error for Locked {}
