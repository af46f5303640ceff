//! Claims and completions take turns: while one statement is in flight, more questions come for the next of the other
//! kind. Both at once would have half as many each, at nearly the same cost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

/// A statement that takes longer has other reasons than the questions in it, and holds up no others.
const AT_MOST: Duration = Duration::from_millis(20);

#[derive(Clone, Debug, Default)]
pub(super) struct Turn(Arc<Mutex<()>>);

impl Turn {
    /// Waits for the end of the other statement, but not for long.
    pub(super) async fn wait(&self) -> Option<OwnedMutexGuard<()>> {
        timeout(AT_MOST, Arc::clone(&self.0).lock_owned()).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_waits_for_the_other_but_not_for_long() {
        let turn = Turn::default();
        let first = turn.wait().await;
        assert!(first.is_some());
        let (second, ()) = tokio::join!(turn.wait(), async { drop(first) });
        assert!(second.is_some(), "its turn came with the end of the other");
        assert!(turn.wait().await.is_none(), "the other takes too long");
    }
}
