//! The record of a key that may still change, and the time used for it.

use std::time::Duration;

use super::super::{Claim, Fence, Owner};
use super::ring::Completed;

pub(super) const NANOS_A_MILLI: u64 = 1_000_000;

/// The store's time.
#[derive(Clone, Copy)]
pub(super) struct Now {
    /// Since the store was created, and monotonic: for leases and retention.
    pub(super) nanos: u64,
    /// For fences, which must also be larger than those before a restart.
    pub(super) unix_millis: u64,
}

impl Now {
    pub(super) fn plus(self, duration: Duration) -> u64 {
        self.nanos.saturating_add(nanos(duration))
    }
}

/// Converts a duration to nanoseconds, saturating.
pub(super) fn nanos(duration: Duration) -> u64 {
    let nanos = duration.as_secs().saturating_mul(1_000_000_000);
    nanos.saturating_add(u64::from(duration.subsec_nanos()))
}

/// The record of a key that may still change. Times are in nanoseconds since the store was created.
pub(super) struct Record {
    pub(super) fence: u64,
    pub(super) keep_until: u64,
    pub(super) attempt: u32,
    pub(super) state: State,
}

pub(super) enum State {
    Running {
        /// Stored as bytes: the alignment of a number would make every record larger.
        owner: [u8; 16],
        lease_until: u64,
    },
    Retryable,
}

// With its key (32 bytes), sequence number and links (17) and share of the index (at most 15) it stays under 128
// bytes.
const _: () = assert!(size_of::<Record>() <= 56);

impl Record {
    pub(super) fn is_leased(&self, now: Now) -> bool {
        matches!(self.state, State::Running { lease_until, .. } if now.nanos < lease_until)
    }

    /// Whether the record has not expired. An expired record reads as absent.
    pub(super) fn is_known(&self, now: Now) -> bool {
        now.nanos < self.keep_until || self.is_leased(now)
    }

    pub(super) fn is_held_by(&self, by: Owner) -> bool {
        matches!(self.state, State::Running { owner, .. } if owner == by.to_bytes())
    }

    pub(super) fn hold(&mut self, by: Owner, lease_until: u64) {
        self.state = State::Running { owner: by.to_bytes(), lease_until };
    }

    pub(super) fn acquired(&self) -> Claim {
        Claim::Acquired { fence: Fence::new(self.fence), attempt: self.attempt }
    }
}

impl From<&Record> for Completed {
    fn from(&Record { fence, keep_until, .. }: &Record) -> Self {
        Self { fence, keep_until }
    }
}
