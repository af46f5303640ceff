//! The part of a refused request's body that has not been read yet.

use tokio::time::Instant;

use crate::receiver::Receiver;
use crate::run_state::RunState;

/// How many bytes of a refused body are read in any case, whatever the body limit, so that the sender of a body
/// somewhat above the limit receives its 413.
const LEAST: usize = 8 * 1024 * 1024;

/// How much of a refused body is read and dropped, and until when. Otherwise a client that writes its whole request
/// before it reads would find the connection closed and never see the answer.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "tower"), allow(dead_code, reason = "actix reads the rest itself"))]
pub(crate) struct Unread {
    pub(crate) at_most: usize,
    pub(crate) until: Instant,
}

impl Unread {
    pub(super) fn of<P>(receiver: &Receiver<P>, run: &RunState) -> Self {
        Self {
            at_most: LEAST.max(receiver.body_limit.saturating_mul(2)),
            until: run.arrived() + receiver.body_deadline,
        }
    }
}
