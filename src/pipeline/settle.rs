//! The end of step 7: records a success, or releases a failed delivery for the retry.

use std::pin::{Pin, pin};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout};

use crate::limits::{Running, Runs};
use crate::observe::{GaugeGuard, MetersOfLayer};
use crate::provider::Provider;
use crate::receiver::Receiver;
use crate::rejection::RejectionKind;
use crate::store::{
    AnyStore, Claims, DeliveryStore, Fence, Held, Key, Keys, Owner, Settled, Settlement,
    UnrecordedGuard,
};
use crate::timer::timeout_at;

/// The time limit of one request to the store in the background: at first, and the longest for a slow store.
const ONE_QUESTION: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// The remaining work to await, if the store did not settle at once. Boxed: most deliveries never wait and should not
/// carry its size.
type Settling<F> = OptionFuture<Pin<Box<F>>>;

/// An update that the store has not received yet.
struct Unsettled {
    keys: Vec<(Key, Fence)>,
    owner: Owner,
    how: Settlement,
}

/// Records a success. It counts from `at` if the store can record it at once, and from now otherwise.
pub(super) fn complete<'a, P: Provider>(
    receiver: &'a Receiver<P>,
    held: &Held,
    patience: Instant,
    at: Option<Instant>,
) -> Settling<impl Future<Output = ()> + use<'a, P>> {
    let how = Settlement::Complete { keep: held.keep };
    settle(receiver, held.keys.all(), held.owner, how, patience, at)
}

/// Releases the delivery, so that the next attempt may run.
pub(super) fn release<'a, P: Provider>(
    receiver: &'a Receiver<P>,
    keys: &[(Key, Fence)],
    owner: Owner,
    patience: Instant,
) -> Settling<impl Future<Output = ()> + use<'a, P>> {
    settle(receiver, keys, owner, Settlement::Release, patience, None)
}

/// Checks that the handler has committed the transaction in which it completed the delivery. If not, the delivery is
/// released for the next attempt.
pub(super) async fn committed<P: Provider>(
    receiver: &Receiver<P>,
    held: &Held,
    patience: Instant,
) -> Result<(), RejectionKind> {
    let (mut keys, patience) = (held.keys.clone(), patience.max(Instant::now() + ONE_QUESTION[0]));
    let (lease, keep) = (receiver.lease, held.keep);
    for pause in pauses() {
        // By contract, a claim succeeds while this owner has the keys; then they were not completed.
        let claims = receiver.store.claim_until(patience, keys.all_mut(), held.owner, lease, keep);
        match claims.await {
            Ok(Claims::Completed { .. }) => return Ok(()),
            Ok(_) => {
                tracing::error!(
                    "the handler answered 2xx, but did not commit the transaction in which it called \
                     `complete_in`, so the delivery is released for a retry: commit before you answer 2xx"
                );
                release(receiver, held.keys.all(), held.owner, patience).await;
                return Err(RejectionKind::NotCommitted);
            }
            // The retry will find out whether it was committed.
            Err(_) if Instant::now() + pause >= patience => break,
            Err(_) => sleep(pause).await,
        }
    }
    release_later(receiver, &held.keys, held.owner);
    Err(RejectionKind::StoreDown)
}

/// Releases, in the background, a claim that may or may not exist.
pub(super) fn release_later<P: Provider>(receiver: &Receiver<P>, keys: &Keys, owner: Owner) {
    Unsettled::new(keys.all(), owner, Settlement::Release).go_on(receiver);
}

fn settle<'a, P: Provider>(
    receiver: &'a Receiver<P>,
    keys: &[(Key, Fence)],
    owner: Owner,
    how: Settlement,
    patience: Instant,
    at: Option<Instant>,
) -> Settling<impl Future<Output = ()> + use<'a, P>> {
    let waits = || Box::pin(Unsettled::new(keys, owner, how).settle(receiver, patience));
    match receiver.store.settle_now(keys, owner, how, at) {
        Some(Ok(settled)) => {
            warn_if_late(settled, how, &receiver.meters);
            None.into()
        }
        _ => Some(waits()).into(),
    }
}

fn warn_if_late(settled: Settled, how: Settlement, meters: &MetersOfLayer) {
    if let (Settled::Lost, Settlement::Complete { .. }) = (settled, how) {
        meters.late_success();
        tracing::warn!(
            "a handler succeeded after its lease was lost: its delivery may have run twice"
        );
    }
}

impl Unsettled {
    fn new(keys: &[(Key, Fence)], owner: Owner, how: Settlement) -> Self {
        Self { keys: keys.into(), owner, how }
    }

    /// Calls the store once. If it does not answer by `patience`, settling continues in the background.
    async fn settle<P: Provider>(self, receiver: &Receiver<P>, patience: Instant) {
        // The answer waits for the record, so that a retry finds it, but not indefinitely.
        let patience = || patience.max(Instant::now() + Duration::from_millis(250));
        let told = receiver.store.settle_all(&self.keys, self.owner, self.how);
        let told = async { timeout_at(patience, pin!(told)).await };
        let error = match told.await {
            Ok(Ok(settled)) => return warn_if_late(settled, self.how, &receiver.meters),
            Ok(Err(error)) => error,
            Err(elapsed) => receiver.store.gave_up(self.how.verb(), elapsed),
        };
        let verb = self.how.verb().as_str();
        tracing::debug!(%error, verb, "not recorded yet; retried in the background");
        self.go_on(receiver);
    }

    /// Continues in the background until the store has accepted the update or it has lost its meaning: for a release,
    /// when the lease has ended; for a completion, when its record would have expired.
    fn go_on<P: Provider>(self, receiver: &Receiver<P>) {
        let (place, meaningful, known) = match self.how {
            Settlement::Complete { keep } => {
                let known = receiver.store.unrecorded(&self.keys);
                (receiver.limits.complete_later(), keep, Some(known))
            }
            Settlement::Release => (receiver.limits.release_later(), receiver.lease, None),
        };
        let Some(place) = place else {
            match self.how {
                Settlement::Complete { .. } => tracing::error!(
                    "too many updates wait for the store, so a success is not recorded: a retry may run the \
                     delivery again"
                ),
                Settlement::Release => {
                    tracing::debug!(
                        "too many updates wait for the store: the end of its lease frees the delivery"
                    );
                }
            }
            return;
        };
        let running = receiver.limits.run();
        // Without a runtime the store cannot be reached; the delivery is released when its lease ends.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let pending = (place, receiver.meters().pending(self.how.verb()), running, known);
            runtime.spawn(self.persist(receiver.store.clone(), meaningful, pending));
        }
    }

    async fn persist(
        mut self,
        store: AnyStore,
        meaningful: Duration,
        _pending: (OwnedSemaphorePermit, GaugeGuard, Running<Arc<Runs>>, Option<UnrecordedGuard>),
    ) {
        let verb = self.how.verb();
        let end = Instant::now() + meaningful;
        let [mut limit, longest] = ONE_QUESTION;
        let mut is_said = false;
        for pause in pauses().take_while(|_| Instant::now() < end) {
            sleep(pause).await;
            while let Some(key) = self.next() {
                let told = store.settle_all(slice::from_ref(&key), self.owner, self.how);
                match timeout(limit, told).await {
                    // A `Lost` is not a late success here: an earlier call may have taken effect, and its repetition
                    // then finds a key that this owner has already settled.
                    Ok(Ok(_)) => self.keys.retain(|waiting| *waiting != key),
                    Ok(Err(error)) => {
                        // The failure of the whole store is logged elsewhere, once and not for each delivery.
                        if error.is_of_one_record() && !is_said {
                            let verb = verb.as_str();
                            tracing::warn!(%error, verb, "not recorded yet; retried in the background");
                            is_said = true;
                        }
                        break;
                    }
                    Err(_) => {
                        store.unanswered(verb);
                        limit = longest.min(limit * 2);
                        break;
                    }
                }
            }
            if self.keys.is_empty() {
                return tracing::debug!(verb = verb.as_str(), "recorded in the background");
            }
        }
        match self.how {
            Settlement::Complete { .. } => {
                tracing::error!(
                    "a success could not be recorded: a retry may run the delivery again"
                );
            }
            Settlement::Release => {
                tracing::debug!(
                    "a release could not be recorded; the lease has ended in the meantime"
                );
            }
        }
    }

    /// Returns the next key to settle. In the background, keys are settled one by one, so that an accepted key is not
    /// sent again, however often the store fails in between.
    fn next(&self) -> Option<(Key, Fence)> {
        match self.how {
            Settlement::Complete { .. } => self.keys.first().copied(),
            Settlement::Release => self.keys.last().copied(),
        }
    }
}

/// The pauses between two requests to the store: short at first, because most handlers are quick, then half a second.
pub(super) fn pauses() -> impl Iterator<Item = Duration> {
    (0..).map(|asked: u32| Duration::from_millis(500.min(50 << asked.min(4))))
}
