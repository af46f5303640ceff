//! A type-erased store, so that a layer needs no type parameter for its store.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout};

use super::dyn_store::DynStore;
use super::one_by_one::{ONE_QUESTION, one_key_verbs};
use super::outage::Outage;
use super::unrecorded::{Unrecorded, UnrecordedGuard};
use super::{
    Claims, DeliveryStore, Fence, Key, MemoryStore, Owner, Settled, Settlement, StoreError,
};
use crate::observe::{Asked, StoreMeters, Verb};
use crate::timer::timeout_at;

/// How long a readiness check waits for the store.
const READY_LIMIT: Duration = Duration::from_secs(1);
/// 3,600 s and 300 s of tolerance, and a margin. Shorter than for the other stores because it uses memory.
const MEMORY_RETENTION: Duration = Duration::from_secs(4_200);
/// Covers a manual redelivery on the next day.
const LASTING_RETENTION: Duration = Duration::from_secs(24 * 3_600);

/// Any store, behind a pointer. A layer keeps one, and [`store_from_url`](super::store_from_url) returns one.
/// Clones share the store. `AnyStore` is itself a [`DeliveryStore`].
///
/// It logs a warning when the store starts to fail, and a line when the store answers again. A panic of the store
/// counts as a failure.
///
/// ```
/// use scrapest_webhook::store::{AnyStore, MemoryStore};
///
/// # fn configured() -> Option<MemoryStore> { None }
/// let store = match configured() {
///     Some(store) => AnyStore::new(store),
///     None => AnyStore::new(MemoryStore::new()),
/// };
/// let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes").with_store(store);
/// ```
#[derive(Clone)]
pub struct AnyStore {
    kind: Kind,
    outage: Arc<Outage>,
    meters: Arc<StoreMeters>,
    unrecorded: Arc<Unrecorded>,
}

#[derive(Clone)]
enum Kind {
    /// Answers without a future.
    Memory(MemoryStore),
    Other(Arc<dyn DynStore>),
}

/// Identifies the store's data, so that two layers can be compared.
#[derive(Debug, PartialEq)]
pub(crate) enum StorePlace {
    Memory(usize),
    /// A server or a file.
    Named(String),
    /// The address of an application's own store. Its data may be anywhere.
    Unnamed(usize),
}

impl AnyStore {
    /// Wraps this store. An `AnyStore` is returned unchanged.
    pub fn new<S: DeliveryStore>(store: S) -> Self {
        store.into_any()
    }

    pub(super) fn memory(store: MemoryStore) -> Self {
        Self::of(Kind::Memory(store))
    }

    pub(super) fn other<S: DeliveryStore>(store: S) -> Self {
        Self::of(Kind::Other(Arc::new(store)))
    }

    fn of(kind: Kind) -> Self {
        Self { kind, outage: Arc::default(), meters: Arc::default(), unrecorded: Arc::default() }
    }

    /// Checks whether the store can accept a delivery now, for a health endpoint. It takes at most 1 s. The memory
    /// store is always ready.
    ///
    /// # Errors
    ///
    /// The reason why the store cannot accept a delivery.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let Kind::Other(other) = &self.kind else { return Ok(()) };
        let asked = self.noted(Verb::Claim, other.dyn_ready());
        match timeout(READY_LIMIT, asked).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(self.gave_up(Verb::Claim, elapsed)),
        }
    }

    fn store(&self) -> &dyn DynStore {
        match &self.kind {
            Kind::Memory(memory) => memory,
            Kind::Other(other) => &**other,
        }
    }

    /// Identifies the store's data: equal values mean the same data.
    pub(crate) fn place(&self) -> StorePlace {
        match &self.kind {
            Kind::Memory(memory) => StorePlace::Memory(memory.address()),
            Kind::Other(other) => match other.dyn_name() {
                Some(name) => StorePlace::Named(name),
                None => StorePlace::Unnamed(Arc::as_ptr(other).addr()),
            },
        }
    }

    /// How long records are kept if the layer does not set it.
    pub(crate) fn default_retention(&self) -> Duration {
        match self.kind {
            Kind::Memory(_) => MEMORY_RETENTION,
            Kind::Other(_) => LASTING_RETENTION,
        }
    }

    /// The number of records and the time of the oldest claim, for a memory store with metrics enabled.
    pub(crate) fn records(&self) -> Option<(usize, Option<SystemTime>)> {
        match &self.kind {
            #[cfg(feature = "metrics")]
            Kind::Memory(memory) => Some(memory.held()),
            _ => None,
        }
    }

    /// Claims all keys or none, if the store can answer without waiting. The leases start at `since`.
    pub(crate) fn claim_now(
        &self,
        keys: &mut [(Key, Fence)],
        owner: Owner,
        lease: Duration,
        keep: Duration,
        since: Instant,
    ) -> Option<Result<Claims, StoreError>> {
        let Kind::Memory(memory) = &self.kind else { return None };
        let asked = self.meters.asked();
        Some(self.note(Verb::Claim, asked, memory.claim_keys(keys, owner, lease, keep, since)))
    }

    /// Claims all keys or none, and gives up at `patience`.
    pub(crate) async fn claim_until(
        &self,
        patience: Instant,
        keys: &mut [(Key, Fence)],
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claims, StoreError> {
        // The store may claim one key after another.
        let limit = ONE_QUESTION * u32::try_from(keys.len()).unwrap_or(1);
        let limit = || patience.min(Instant::now() + limit);
        match timeout_at(limit, pin!(self.claim_all(keys, owner, lease, keep))).await {
            Ok(claims) => claims,
            Err(elapsed) => Err(self.gave_up(Verb::Claim, elapsed)),
        }
    }

    /// Settles all keys if the store can answer without waiting. `at` is the current time, if known.
    pub(crate) fn settle_now(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        how: Settlement,
        at: Option<Instant>,
    ) -> Option<Result<Settled, StoreError>> {
        let Kind::Memory(memory) = &self.kind else { return None };
        let asked = self.meters.asked();
        Some(self.note(how.verb(), asked, memory.settle_keys(keys, owner, how, at)))
    }

    /// The position of the first of these keys whose delivery has succeeded in this process but is not recorded
    /// yet.
    pub(crate) fn first_unrecorded(&self, keys: &[(Key, Fence)]) -> Option<usize> {
        self.unrecorded.first_of(keys)
    }

    /// Treats these keys as completed until the guard is dropped.
    pub(crate) fn unrecorded(&self, keys: &[(Key, Fence)]) -> UnrecordedGuard {
        self.unrecorded.add(keys)
    }

    /// Records that a caller stopped waiting for an answer.
    pub(crate) fn gave_up(
        &self,
        verb: Verb,
        limit: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> StoreError {
        let error = StoreError::new(limit);
        self.outage.failed(self, &error);
        self.meters.gave_up(verb);
        error
    }

    /// Counts a request that a caller stopped waiting for, where the caller logs it.
    pub(crate) fn unanswered(&self, verb: Verb) {
        self.meters.gave_up(verb);
    }

    /// Records whether the store answered, and returns its answer.
    async fn noted<T>(
        &self,
        verb: Verb,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let asked = self.meters.asked();
        self.note(verb, asked, question.await)
    }

    fn note<T>(
        &self,
        verb: Verb,
        asked: Asked,
        answer: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.meters.answered(verb, asked, answer.is_ok());
        self.outage.note(self, answer)
    }
}

impl Settlement {
    pub(crate) fn verb(self) -> Verb {
        match self {
            Self::Complete { .. } => Verb::Complete,
            Self::Release => Verb::Release,
        }
    }
}

impl DeliveryStore for AnyStore {
    one_key_verbs!();

    async fn claim_all(
        &self,
        keys: &mut [(Key, Fence)],
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claims, StoreError> {
        self.noted(Verb::Claim, self.store().dyn_claim_all(keys, owner, lease, keep)).await
    }

    async fn renew_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        lease: Duration,
    ) -> Result<Settled, StoreError> {
        self.noted(Verb::Renew, self.store().dyn_renew_all(keys, owner, lease)).await
    }

    async fn settle_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        how: Settlement,
    ) -> Result<Settled, StoreError> {
        self.noted(how.verb(), self.store().dyn_settle_all(keys, owner, how)).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.ready().await
    }

    fn into_any(self) -> AnyStore {
        self
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store().fmt(f)
    }
}
