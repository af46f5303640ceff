//! What a refused request has not sent yet.

use tokio::time::Instant;

use crate::receiver::Receiver;
use crate::run_state::RunState;

/// How much of a refused body is read at least, whatever the body limit: a body somewhat above the limit is to hear its
/// 413.
const LEAST: usize = 8 * 1024 * 1024;

/// How far the rest of a refused body is read and dropped. A client that writes its whole request before it reads
/// would otherwise meet a closed connection, and never see the answer.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "tower"), allow(dead_code, reason = "actix reads on by itself"))]
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
