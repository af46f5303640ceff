//! The end of step 7: a success is recorded, a failure releases the delivery for the retry.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout};

use crate::limits::Running;
use crate::observe::{GaugeGuard, MetersOfLayer, Verb};
use crate::provider::Provider;
use crate::receiver::Receiver;
use crate::store::{AnyStore, Fence, Held, Key, Keys, Owner, Settled, StoreError};
use crate::timer::timeout_at;

/// What one question in the background may take: at first, and at most, for a store that is slow.
const ONE_QUESTION: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// What is still to be told to the store.
struct Settlement {
    owner: Owner,
    /// `None`: a release.
    keep: Option<Duration>,
    /// In the order in which it is told; with its fence, which a release does not need.
    left: VecDeque<(Key, Fence)>,
    said_late: bool,
}

/// Guards first: a crash in between must not leave a body that can be replayed.
pub(super) fn complete<P: Provider>(
    receiver: &Receiver<P>,
    held: &Held,
    patience: Instant,
) -> impl Future<Output = ()> {
    settle(receiver, held.keys.all().iter(), held.owner, Some(held.keep), patience)
}

/// The other way round, so that the guards are the last to open.
pub(super) fn release<P: Provider>(
    receiver: &Receiver<P>,
    keys: &[(Key, Fence)],
    owner: Owner,
    patience: Instant,
) -> impl Future<Output = ()> {
    settle(receiver, keys.iter().rev(), owner, None, patience)
}

/// All of a claim whose fate is not known; without waiting.
pub(super) fn release_later<P: Provider>(receiver: &Receiver<P>, keys: &Keys, owner: Owner) {
    let left = keys.all().iter().rev().copied().collect();
    Settlement { owner, keep: None, left, said_late: false }.go_on(receiver);
}

async fn settle<'a, P: Provider>(
    receiver: &Receiver<P>,
    keys: impl Iterator<Item = &'a (Key, Fence)> + Clone,
    owner: Owner,
    keep: Option<Duration>,
    patience: Instant,
) {
    match receiver.store.settle_at_once(keys.clone(), owner, keep) {
        Some(Ok(settled)) => _ = is_late(settled, keep, &receiver.meters),
        // Boxed: the room for what a slow store needs is not carried by every delivery.
        _ => {
            let left = keys.copied().collect();
            Box::pin(Settlement { owner, keep, left, said_late: false }.settle(receiver, patience))
                .await;
        }
    }
}

/// Whether a success came when its lease was lost, which is then said.
fn is_late(settled: Settled, keep: Option<Duration>, meters: &MetersOfLayer) -> bool {
    let is_late = settled == Settled::Lost && keep.is_some();
    if is_late {
        meters.late_success();
        tracing::warn!("a handler succeeded after its lease was lost: it may have run twice");
    }
    is_late
}

impl Settlement {
    /// Tells the store once; what it does not take by `patience` goes on in the background.
    async fn settle<P: Provider>(mut self, receiver: &Receiver<P>, patience: Instant) {
        // The answer waits for the record, so that a retry finds it; but not for ever.
        let patience = || patience.max(Instant::now() + Duration::from_millis(250));
        let told = timeout_at(patience, pin!(self.tell(&receiver.store, &receiver.meters))).await;
        let error = match told {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(elapsed) => receiver.store.gave_up(self.verb(), elapsed),
        };
        tracing::debug!(%error, verb = self.verb().as_str(), "going on in the background");
        self.go_on(receiver);
    }

    /// Until the store has taken it, or it has no meaning any more: a release when the lease is over
    /// anyway, a completion when nobody would remember it any longer.
    fn go_on<P: Provider>(self, receiver: &Receiver<P>) {
        let place = match self.keep {
            Some(_) => receiver.limits.complete_later(),
            None => receiver.limits.release_later(),
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
        let meaningful = self.keep.unwrap_or(receiver.lease);
        let running = receiver.limits.run();
        // Without a runtime there is no store to reach either: the lease's end does it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let pending = (place, receiver.meters().pending(self.verb()), running);
            let (store, meters) = (receiver.store.clone(), receiver.meters.clone());
            runtime.spawn(self.persist(store, meters, meaningful, pending));
        }
    }

    async fn persist(
        mut self,
        store: AnyStore,
        meters: MetersOfLayer,
        meaningful: Duration,
        _pending: (OwnedSemaphorePermit, GaugeGuard, Running),
    ) {
        let end = Instant::now() + meaningful;
        let [mut limit, longest] = ONE_QUESTION;
        for pause in pauses().take_while(|_| Instant::now() < end) {
            sleep(pause).await;
            match timeout(limit, self.tell(&store, &meters)).await {
                Ok(Ok(())) => {
                    return tracing::debug!(
                        verb = self.verb().as_str(),
                        "recorded in the background"
                    );
                }
                Ok(Err(_)) => {}
                Err(_) => {
                    store.unanswered(self.verb());
                    limit = longest.min(limit * 2);
                }
            }
        }
        match self.keep {
            Some(_) => tracing::error!("a success was never recorded: a retry may run again"),
            None => tracing::debug!("a release was never recorded; the lease has ended by itself"),
        }
    }

    async fn tell(&mut self, store: &AnyStore, meters: &MetersOfLayer) -> Result<(), StoreError> {
        while !self.left.is_empty() {
            let settled = store.settle_next(&mut self.left, self.owner, self.keep).await?;
            // Once, however many keys it had.
            if !self.said_late {
                self.said_late = is_late(settled, self.keep, meters);
            }
        }
        Ok(())
    }

    fn verb(&self) -> Verb {
        if self.keep.is_some() { Verb::Complete } else { Verb::Release }
    }
}

/// Between two questions: quick at first, because most handlers are, then twice a second.
pub(super) fn pauses() -> impl Iterator<Item = Duration> {
    (0..).map(|asked: u32| Duration::from_millis(500.min(50 << asked.min(4))))
}
