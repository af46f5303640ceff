//! The contents of a queue, without the bodies.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;

use crate::escaped::Escaped;
use crate::store::Key;

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// The job is due, or waits for its next attempt.
    Waiting,
    /// A worker runs the job, and its lease has not ended.
    Running,
    /// The job has succeeded, or was dropped by hand. Its key is kept for the retention.
    Done,
    /// The job has used up its attempts, or cannot succeed. It stays until it is retried or dropped by hand.
    Dead,
    /// The job was written by another version of this crate, and is left unchanged.
    Unreadable,
}

impl JobState {
    /// All states, in the order of their numbers in `LIST` in `statements::sqlite`.
    pub const ALL: [Self; 5] =
        [Self::Waiting, Self::Running, Self::Done, Self::Dead, Self::Unreadable];

    /// Returns the name of the state: `waiting`, `running`, `done`, `dead`, `unreadable`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Unreadable => "unreadable",
        }
    }

    pub(super) fn number(self) -> i64 {
        Self::ALL.iter().position(|state| *state == self).map_or(-1, |place| place as i64)
    }

    pub(super) fn of_number(number: i64) -> Self {
        let place = usize::try_from(number).ok();
        place.and_then(|place| Self::ALL.get(place)).copied().unwrap_or(Self::Unreadable)
    }
}

/// A job in the queue: everything but its body.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobRecord {
    /// Its number, for [`retry`](super::Queue::retry) and [`drop`](super::Queue::drop).
    pub id: i64,
    /// Its state.
    pub state: JobState,
    /// The key of the delivery.
    pub key: Key,
    /// The sender: the name of its provider.
    pub sender: String,
    /// The webhook that sent it, if the layer was made for several.
    pub webhook_id: Option<String>,
    /// The delivery id as the sender wrote it.
    pub delivery_id: Option<String>,
    /// The kind of the event.
    pub kind: Option<String>,
    /// How many runs have failed.
    pub failed: u32,
    /// How many runs were lost: the process died, or could not renew the lease.
    pub lost: u32,
    /// Why the last run failed, or why the job is dead. It may quote a little of the payload.
    pub reason: Option<String>,
    /// The length of the body in bytes. `None` once it is erased.
    pub body_bytes: Option<u64>,
    /// When it was stored, by the clock of the database.
    pub stored_at: Option<OffsetDateTime>,
    /// When it is due. For a running job, when its lease ends.
    pub run_at: Option<OffsetDateTime>,
    /// When it became done or dead.
    pub settled_at: Option<OffsetDateTime>,
}

impl fmt::Debug for JobRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobRecord")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("sender", &Escaped(&self.sender))
            .field("kind", &self.kind.as_deref().map(Escaped))
            .field("failed", &self.failed)
            .field("lost", &self.lost)
            .field("reason", &self.reason.as_deref().map(Escaped))
            .finish_non_exhaustive()
    }
}

/// The number of jobs in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Depth {
    /// Jobs that are due or wait for their next attempt.
    pub waiting: u64,
    /// Jobs that run now.
    pub running: u64,
    /// Jobs that are dead, until they are retried or dropped by hand.
    pub dead: u64,
    /// How long ago the oldest job that is neither done nor dead was stored. `None` if there is none.
    pub oldest: Option<Duration>,
}
