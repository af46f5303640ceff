//! The end of step 7: a success is recorded, a failure releases the delivery for the retry.

use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::claim::{Claimed, pauses};
use super::keys::Keys;
use crate::config::Config;
use crate::provider::Provider;
use crate::store::{AnyStore, DeliveryStore, Fence, Key, Owner, Settled, StoreError};

/// What one question in the background may take.
const ONE_QUESTION: Duration = Duration::from_secs(1);

/// What is still to be told to the store.
struct Settlement {
    store: AnyStore,
    owner: Owner,
    /// `None`: a release.
    keep: Option<Duration>,
    /// In the order in which it is told; with its fence, which a release does not need.
    left: [Option<(Key, Fence)>; 2],
}

/// Guards first: a crash in between must not leave a body that can be replayed.
pub(super) async fn complete<P: Provider>(
    config: &Config<P>,
    claimed: &Claimed,
    patience: Instant,
) {
    let [guard, main] = claimed.keys.in_order();
    let [guard_fence, main_fence] = claimed.fences;
    let settlement = Settlement {
        store: config.store.clone(),
        owner: claimed.owner,
        keep: Some(config.retention()),
        left: [guard.map(|key| (key, guard_fence)), main.map(|key| (key, main_fence))],
    };
    settlement.settle(config, patience).await;
}

/// The other way round, so that the guard is the last to open.
pub(super) async fn release<P: Provider>(
    config: &Config<P>,
    keys: Keys,
    owner: Owner,
    patience: Instant,
) {
    let [guard, main] = keys.in_order();
    Settlement::release(config, [main, guard], owner).settle(config, patience).await;
}

/// For a claim that got no further than its guard.
pub(super) async fn release_guard<P: Provider>(
    config: &Config<P>,
    keys: Keys,
    owner: Owner,
    patience: Instant,
) {
    Settlement::release(config, [keys.guard(), None], owner).settle(config, patience).await;
}

/// For a claim whose fate is not known; without waiting.
pub(super) fn release_later<P: Provider>(config: &Config<P>, keys: Keys, owner: Owner) {
    let [guard, main] = keys.in_order();
    Settlement::release(config, [main, guard], owner).go_on(config);
}

impl Settlement {
    fn release<P: Provider>(config: &Config<P>, keys: [Option<Key>; 2], owner: Owner) -> Self {
        let left = keys.map(|key| key.map(|key| (key, Fence::new(0))));
        Self { store: config.store.clone(), owner, keep: None, left }
    }

    /// Tells the store once; what it does not take by `patience` goes on in the background.
    async fn settle<P: Provider>(mut self, config: &Config<P>, patience: Instant) {
        // The answer waits for the record, so that a retry finds it; but not for ever.
        let patience = patience.max(Instant::now() + Duration::from_millis(250));
        let error = match timeout_at(patience, self.tell()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(elapsed) => config.store.gave_up(elapsed),
        };
        tracing::debug!(%error, verb = self.verb(), "going on in the background");
        self.go_on(config);
    }

    /// Until the store has taken it, or it has no meaning any more: a release when the lease is over
    /// anyway, a completion when nobody would remember it any longer.
    fn go_on<P: Provider>(self, config: &Config<P>) {
        let Ok(place) = config.pending_completions.clone().try_acquire_owned() else {
            if self.keep.is_some() {
                tracing::error!(
                    "too many wait for the store: a success is not recorded, a retry may run again"
                );
            }
            return;
        };
        let meaningful = self.keep.unwrap_or(config.lease);
        let running = config.runs.subscribe();
        // Without a runtime there is no store to reach either: the lease's end does it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(self.persist(meaningful, place, running));
        }
    }

    async fn persist(
        mut self,
        meaningful: Duration,
        _place: OwnedSemaphorePermit,
        _running: watch::Receiver<()>,
    ) {
        let end = Instant::now() + meaningful;
        for pause in pauses().take_while(|_| Instant::now() < end) {
            sleep(pause).await;
            if let Ok(Ok(())) = timeout(ONE_QUESTION, self.tell()).await {
                return tracing::debug!(verb = self.verb(), "recorded in the background");
            }
        }
        match self.keep {
            Some(_) => tracing::error!("a success was never recorded: a retry may run again"),
            None => tracing::debug!("a release was never recorded; the lease has ended by itself"),
        }
    }

    async fn tell(&mut self) -> Result<(), StoreError> {
        for slot in &mut self.left {
            let Some((key, fence)) = *slot else { continue };
            match self.keep {
                None => _ = self.store.release(&key, self.owner).await?,
                Some(keep) => {
                    let settled = self.store.complete(&key, self.owner, fence, keep).await?;
                    if settled == Settled::Lost {
                        tracing::warn!(
                            "a handler succeeded after its lease was lost: it may have run twice"
                        );
                    }
                }
            }
            *slot = None;
        }
        Ok(())
    }

    fn verb(&self) -> &'static str {
        if self.keep.is_some() { "complete" } else { "release" }
    }
}
