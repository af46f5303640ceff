//! The end of step 7: a success is recorded, a failure releases the delivery for the retry.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout};

use super::keys::{Held, Keys};
use crate::config::Config;
use crate::provider::Provider;
use crate::shared::Running;
use crate::store::{AnyStore, Fence, Key, Owner, Settled, StoreError};
use crate::timer::timeout_at;

/// What one question in the background may take: at first, and at most, for a store that is slow.
const ONE_QUESTION: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// What is still to be told to the store.
struct Settlement {
    owner: Owner,
    /// `None`: a release.
    keep: Option<Duration>,
    /// In the order in which it is told; with its fence, which a release does not need.
    left: [Option<(Key, Fence)>; Keys::MOST],
}

/// Guards first: a crash in between must not leave a body that can be replayed.
pub(super) async fn complete<P: Provider>(config: &Config<P>, held: &Held, patience: Instant) {
    let mut left = [None; Keys::MOST];
    for (place, (key, fence)) in left.iter_mut().zip(held.keys.all().iter().zip(held.fences)) {
        *place = Some((*key, fence));
    }
    let keep = Some(held.keep);
    Settlement { owner: held.owner, keep, left }.settle(config, patience).await;
}

/// The first `count` keys, the other way round, so that the guards are the last to open.
pub(super) async fn release<P: Provider>(
    config: &Config<P>,
    keys: Keys,
    count: usize,
    owner: Owner,
    patience: Instant,
) {
    if count > 0 {
        Settlement::release(keys, count, owner).settle(config, patience).await;
    }
}

/// All of a claim whose fate is not known; without waiting.
pub(super) fn release_later<P: Provider>(config: &Config<P>, keys: Keys, owner: Owner) {
    Settlement::release(keys, Keys::MOST, owner).go_on(config);
}

impl Settlement {
    fn release(keys: Keys, count: usize, owner: Owner) -> Self {
        let mut left = [None; Keys::MOST];
        for (place, key) in left.iter_mut().rev().zip(keys.all().iter().take(count)) {
            *place = Some((*key, Fence::new(0)));
        }
        Self { owner, keep: None, left }
    }

    /// Tells the store once; what it does not take by `patience` goes on in the background.
    async fn settle<P: Provider>(mut self, config: &Config<P>, patience: Instant) {
        // The answer waits for the record, so that a retry finds it; but not for ever.
        let patience = patience.max(Instant::now() + Duration::from_millis(250));
        let error = match timeout_at(patience, self.tell(&config.store)).await {
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
        let place = match self.keep {
            Some(_) => config.shared.complete_later(),
            None => config.shared.release_later(),
        };
        let Some(place) = place else {
            match self.keep {
                Some(_) => tracing::error!(
                    "too many wait for the store: a success is not recorded, a retry may run again"
                ),
                None => tracing::debug!("too many wait for the store: the lease's end releases it"),
            }
            return;
        };
        let meaningful = self.keep.unwrap_or(config.lease);
        let running = config.shared.run();
        // Without a runtime there is no store to reach either: the lease's end does it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(self.persist(config.store.clone(), meaningful, place, running));
        }
    }

    async fn persist(
        mut self,
        store: AnyStore,
        meaningful: Duration,
        _place: OwnedSemaphorePermit,
        _running: Running,
    ) {
        let end = Instant::now() + meaningful;
        let [mut limit, longest] = ONE_QUESTION;
        for pause in pauses().take_while(|_| Instant::now() < end) {
            sleep(pause).await;
            match timeout(limit, self.tell(&store)).await {
                Ok(Ok(())) => {
                    return tracing::debug!(verb = self.verb(), "recorded in the background");
                }
                Ok(Err(_)) => {}
                Err(_) => limit = longest.min(limit * 2),
            }
        }
        match self.keep {
            Some(_) => tracing::error!("a success was never recorded: a retry may run again"),
            None => tracing::debug!("a release was never recorded; the lease has ended by itself"),
        }
    }

    async fn tell(&mut self, store: &AnyStore) -> Result<(), StoreError> {
        while self.left.iter().any(Option::is_some) {
            let settled = store.settle_next(&mut self.left, self.owner, self.keep).await?;
            if settled == Settled::Lost && self.keep.is_some() {
                tracing::warn!(
                    "a handler succeeded after its lease was lost: it may have run twice"
                );
            }
        }
        Ok(())
    }

    fn verb(&self) -> &'static str {
        if self.keep.is_some() { "complete" } else { "release" }
    }
}

/// Between two questions: quick at first, because most handlers are, then twice a second.
pub(super) fn pauses() -> impl Iterator<Item = Duration> {
    [50, 100, 200, 400].into_iter().chain(std::iter::repeat(500)).map(Duration::from_millis)
}
