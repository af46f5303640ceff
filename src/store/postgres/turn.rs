//! Makes claims and completions take turns. While a statement of one kind is in flight, questions of the other kind
//! collect for their next one. If both ran at once, each would have half as many questions, at nearly the same cost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

/// A statement that takes longer than this is slow for another reason than its questions. It does not delay the others.
const AT_MOST: Duration = Duration::from_millis(20);

#[derive(Clone, Debug, Default)]
pub(super) struct Turn(Arc<Mutex<()>>);

impl Turn {
    /// Waits for the end of the other statement, for at most 20 ms.
    pub(super) async fn wait(&self) -> Option<OwnedMutexGuard<()>> {
        timeout(AT_MOST, Arc::clone(&self.0).lock_owned()).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_waits_for_the_other_for_a_limited_time() {
        let turn = Turn::default();
        let first = turn.wait().await;
        assert!(first.is_some());
        let (second, ()) = tokio::join!(turn.wait(), async { drop(first) });
        assert!(second.is_some(), "its turn came with the end of the other");
        assert!(turn.wait().await.is_none(), "the other takes too long");
    }
}
