//! The end of step 7: a success is recorded, a failure releases the delivery for the retry.

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

/// How long one question in the background may take: at first, and at most, for a store that is slow.
const ONE_QUESTION: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// The rest of it, to be awaited, if the store did not take it at once. Boxed: most deliveries never wait, and need not
/// carry the room for it.
type Settling<F> = OptionFuture<Pin<Box<F>>>;

/// What is still to be told to the store.
struct Unsettled {
    keys: Vec<(Key, Fence)>,
    owner: Owner,
    how: Settlement,
}

/// Records a success, as of `at` where the store can do so at once, and as of now otherwise.
pub(super) fn complete<'a, P: Provider>(
    receiver: &'a Receiver<P>,
    held: &Held,
    patience: Instant,
    at: Option<Instant>,
) -> Settling<impl Future<Output = ()> + use<'a, P>> {
    let how = Settlement::Complete { keep: held.keep };
    settle(receiver, held.keys.all(), held.owner, how, patience, at)
}

/// Lets the next attempt run.
pub(super) fn release<'a, P: Provider>(
    receiver: &'a Receiver<P>,
    keys: &[(Key, Fence)],
    owner: Owner,
    patience: Instant,
) -> Settling<impl Future<Output = ()> + use<'a, P>> {
    settle(receiver, keys, owner, Settlement::Release, patience, None)
}

/// Whether the handler has committed the transaction in which it completed the delivery. If not, the next attempt may
/// run.
pub(super) async fn committed<P: Provider>(
    receiver: &Receiver<P>,
    held: &Held,
    patience: Instant,
) -> Result<(), RejectionKind> {
    let (mut keys, patience) = (held.keys.clone(), patience.max(Instant::now() + ONE_QUESTION[0]));
    let (lease, keep) = (receiver.lease, held.keep);
    for pause in pauses() {
        // Free by contract while the keys are ours, and then they were not completed.
        let claims = receiver.store.claim_until(patience, keys.all_mut(), held.owner, lease, keep);
        match claims.await {
            Ok(Claims::Completed { .. }) => return Ok(()),
            Ok(_) => {
                tracing::error!(
                    "the handler reported a success, but has not committed the transaction in which it called \
                     complete_in: the delivery is released for a retry; commit before you answer 2xx"
                );
                release(receiver, held.keys.all(), held.owner, patience).await;
                return Err(RejectionKind::NotCommitted);
            }
            // The retry finds out.
            Err(_) if Instant::now() + pause >= patience => break,
            Err(_) => sleep(pause).await,
        }
    }
    release_later(receiver, &held.keys, held.owner);
    Err(RejectionKind::StoreDown)
}

/// Releases a claim whose fate is not known; without waiting.
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
        tracing::warn!("a handler succeeded after its lease was lost: it may have run twice");
    }
}

impl Unsettled {
    fn new(keys: &[(Key, Fence)], owner: Owner, how: Settlement) -> Self {
        Self { keys: keys.into(), owner, how }
    }

    /// Tells the store once; what it does not take by `patience` goes on in the background.
    async fn settle<P: Provider>(self, receiver: &Receiver<P>, patience: Instant) {
        // The answer waits for the record, so that a retry finds it; but not for ever.
        let patience = || patience.max(Instant::now() + Duration::from_millis(250));
        let told = receiver.store.settle_all(&self.keys, self.owner, self.how);
        let told = async { timeout_at(patience, pin!(told)).await };
        let error = match told.await {
            Ok(Ok(settled)) => return warn_if_late(settled, self.how, &receiver.meters),
            Ok(Err(error)) => error,
            Err(elapsed) => receiver.store.gave_up(self.how.verb(), elapsed),
        };
        tracing::debug!(%error, verb = self.how.verb().as_str(), "going on in the background");
        self.go_on(receiver);
    }

    /// Until the store has taken it, or it has no meaning any more: a release when the lease is over
    /// anyway, a completion when it would no longer be remembered.
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
                    "too many wait for the store: a success is not recorded, a retry may run again"
                ),
                Settlement::Release => {
                    tracing::debug!("too many wait for the store: the lease's end releases it");
                }
            }
            return;
        };
        let running = receiver.limits.run();
        // Without a runtime there is no store to reach either: the lease's end does it.
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
                    // Not taken for late if it was lost: the question before may have taken effect, and its
                    // repetition then finds a key that this very owner has settled.
                    Ok(Ok(_)) => self.keys.retain(|waiting| *waiting != key),
                    Ok(Err(error)) => {
                        // Of a store that is down the log says so once, and not for each delivery.
                        if error.is_of_one_record() && !is_said {
                            tracing::warn!(%error, verb = verb.as_str(), "not recorded yet");
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
                tracing::error!("a success was never recorded: a retry may run again");
            }
            Settlement::Release => {
                tracing::debug!("a release was never recorded; the lease has ended by itself");
            }
        }
    }

    /// The next key to tell. In the background it is one after the other: what a store has taken is not asked again,
    /// however often it fails in between.
    fn next(&self) -> Option<(Key, Fence)> {
        match self.how {
            Settlement::Complete { .. } => self.keys.first().copied(),
            Settlement::Release => self.keys.last().copied(),
        }
    }
}

/// Between two questions: short at first, because most handlers are quick, then half a second.
pub(super) fn pauses() -> impl Iterator<Item = Duration> {
    (0..).map(|asked: u32| Duration::from_millis(500.min(50 << asked.min(4))))
}
