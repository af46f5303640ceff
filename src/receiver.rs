//! The settings of a layer, and the checks that they fit together.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::access::Access;
use crate::config_error::ConfigError;
use crate::limits::Limits;
use crate::observe::{Meters, MetersOfLayer, Notices};
use crate::provider::{DedupBy, Provider};
use crate::run_state::RunState;
use crate::secret::{Source, TokenIn};
use crate::store::{AnyStore, MemoryStore};

/// The assumed difference between two correct clocks. Retention covers it on both sides.
pub(crate) const CLOCK_ERROR: Duration = Duration::from_secs(60);
/// No setting needs more than ten years, and a duration that means "forever" would overflow the clock.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// Separates the webhooks that share a store.
pub(crate) type Namespace = [u8; 16];

/// How an authentic, fresh delivery is treated while the store does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStoreDown {
    /// Retries until the answer deadline, then answers 503, so that the sender retries later.
    #[default]
    Refuse,
    /// Retries for half the answer deadline, then runs the handler without a claim: no answer is late, but duplicates
    /// and replays run too. [`Delivery::fence`](crate::Delivery::fence) and [`attempt`](crate::Delivery::attempt) are
    /// then 0.
    ProcessAnyway,
}

/// A subject for which the handler runs only once, in addition to the delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Once {
    /// No further subject: each delivery runs once.
    #[default]
    Delivery,
    /// Each tweet runs once too, even if several monitors of one webhook report it, or if the sender delivered it and
    /// it is then found in the sender's log. [`Delivery::key`](crate::Delivery::key) is then the tweet's. An event
    /// that names no tweet counts by its delivery alone.
    Tweet,
}

/// The settings of a layer and the state that all its requests share. Rarely cloned.
#[derive(Clone)]
pub(crate) struct Receiver<P> {
    pub(crate) provider: P,
    pub(crate) secrets: Source,
    /// The place of the token, for a sender that does not sign.
    pub(crate) token: Option<TokenIn>,
    pub(crate) store: AnyStore,
    /// Prefixed to everything that is hashed into a store's key.
    pub(crate) namespace: Namespace,
    // `None`: the provider's default.
    pub(crate) dedup_by: Option<DedupBy>,
    pub(crate) once_per: Once,
    pub(crate) past_tolerance: Option<Duration>,
    pub(crate) future_tolerance: Option<Duration>,
    pub(crate) answer_deadline: Option<Duration>,
    pub(crate) lease: Duration,
    retention: Option<Duration>,
    pub(crate) body_limit: usize,
    pub(crate) body_deadline: Duration,
    /// In bytes per second. 0 means no minimum.
    pub(crate) minimum_body_rate: u64,
    bytes_in_flight_limit: usize,
    max_concurrent_runs: Option<usize>,
    pub(crate) run_limit: Duration,
    pub(crate) on_store_down: OnStoreDown,
    pub(crate) access: Access,
    pub(crate) clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,

    /// Refuses no request, and reports those that would have been refused.
    pub(crate) observe_only: bool,

    pub(crate) limits: Limits,
    pub(crate) notices: Notices,
    pub(crate) meters: MetersOfLayer,
}

impl<P: Provider> Receiver<P> {
    pub(crate) fn new(provider: P, secrets: Source) -> Self {
        let bytes_in_flight_limit = 64 * 1024 * 1024;
        let mut receiver = Self {
            secrets,
            token: None,
            store: AnyStore::new(MemoryStore::default()),
            namespace: [0; 16],
            dedup_by: None,
            once_per: Once::default(),
            past_tolerance: None,
            future_tolerance: None,
            answer_deadline: None,
            lease: Duration::from_secs(15),
            retention: None,
            body_limit: 1_048_576,
            body_deadline: Duration::from_secs(5),
            minimum_body_rate: 1_024,
            bytes_in_flight_limit,
            max_concurrent_runs: None,
            run_limit: Duration::from_secs(60),
            on_store_down: OnStoreDown::default(),
            access: Access::default(),
            clock: Arc::new(SystemTime::now),
            observe_only: false,
            limits: Limits::new(bytes_in_flight_limit),
            notices: Notices::default(),
            meters: MetersOfLayer::default(),
            provider,
        };
        receiver.set_namespace(receiver.provider.name());
        receiver
    }

    pub(crate) fn set_namespace(&mut self, namespace: &str) {
        let digest = Sha256::digest(namespace);
        self.namespace.copy_from_slice(&digest[..16]);
    }

    pub(crate) fn set_retention(&mut self, retention: Duration) {
        self.retention = Some(retention);
    }

    pub(crate) fn set_bytes_in_flight(&mut self, limit: usize) {
        self.bytes_in_flight_limit = limit;
        self.limits.set_bytes_in_flight(limit);
    }

    pub(crate) fn set_max_concurrent_runs(&mut self, runs: usize) {
        self.max_concurrent_runs = Some(runs);
        self.limits.set_max_concurrent_runs(runs);
    }

    pub(crate) fn set_provider(&mut self, provider: P) {
        self.provider = provider;
        // The provider's name is a label of the metrics.
        self.meters = MetersOfLayer::default();
    }

    pub(crate) fn meters(&self) -> &Meters {
        self.meters.get(&self.provider)
    }

    pub(crate) fn dedup_by(&self) -> DedupBy {
        self.dedup_by.unwrap_or_else(|| self.provider.dedup_by())
    }

    pub(crate) fn answer_deadline(&self) -> Duration {
        self.answer_deadline.unwrap_or_else(|| self.provider.answer_deadline())
    }

    pub(crate) fn future_tolerance(&self) -> Duration {
        self.future_tolerance.unwrap_or_else(|| self.provider.future_tolerance())
    }

    /// Depends on the kind of the timestamp, unless one tolerance is set for all.
    pub(crate) fn past_tolerance(&self, of_signed_attempt: bool) -> Duration {
        self.past_tolerance.unwrap_or_else(|| match of_signed_attempt {
            true => self.provider.attempt_tolerance(),
            false => self.provider.past_tolerance(),
        })
    }

    /// Returns the time by which the sender must be answered.
    pub(crate) fn answer_by(&self, run: &RunState) -> Instant {
        run.arrived() + self.answer_deadline()
    }

    /// A third of the lease: two renewals may fail before it is lost.
    pub(crate) fn renewal(&self) -> Duration {
        self.lease / 3
    }

    /// How long a record is kept: the setting, or by default long enough for the tolerances.
    pub(crate) fn retention(&self) -> Duration {
        self.retention.unwrap_or_else(|| self.store.default_retention().max(self.least_retention()))
    }

    /// With a shorter retention, a captured request would be fresh for longer than it is remembered.
    fn least_retention(&self) -> Duration {
        let past = self.past_tolerance(false).max(self.past_tolerance(true));
        past.saturating_add(self.future_tolerance()).saturating_add(2 * CLOCK_ERROR)
    }

    /// Checks each setting, and that they fit together.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.provider.check()?;
        self.access.check()?;
        let positive = |setting, value: Duration| match value.is_zero() {
            true => Err(ConfigError::new(setting, "is 0, expected more than 0")),
            false => Ok(()),
        };
        positive("answer_deadline", self.answer_deadline())?;
        positive("body_deadline", self.body_deadline)?;
        positive("run_limit", self.run_limit)?;
        let past = self.past_tolerance(false).max(self.past_tolerance(true));
        for (setting, value) in [
            ("answer_deadline", self.answer_deadline()),
            ("body_deadline", self.body_deadline),
            ("run_limit", self.run_limit),
            ("lease", self.lease),
            ("retention", self.retention.unwrap_or_default()),
            ("past_tolerance", past),
            ("future_tolerance", self.future_tolerance()),
        ] {
            if value > LONGEST {
                let what = format!("is {value:?}, expected at most {LONGEST:?} (10 years)");
                return Err(ConfigError::new(setting, what));
            }
        }
        if self.lease < Duration::from_millis(30) {
            let what = format!("is {:?}, expected at least 30ms", self.lease);
            return Err(ConfigError::new("lease", what));
        }
        let (retention, least) = (self.retention(), self.least_retention());
        if retention < least {
            let what = format!(
                "is {retention:?}, expected at least {least:?}: past tolerance + future tolerance + \
                 2 × {CLOCK_ERROR:?} of clock error; otherwise a captured request could be accepted after its \
                 record has expired"
            );
            return Err(ConfigError::new("retention", what));
        }
        if retention < self.run_limit.saturating_add(self.lease) {
            let what = format!(
                "is {retention:?}, expected more than run limit + lease ({:?} + {:?})",
                self.run_limit, self.lease
            );
            return Err(ConfigError::new("retention", what));
        }
        if self.body_limit == 0 {
            return Err(ConfigError::new("body_limit", "is 0, expected more than 0 bytes"));
        }
        if self.body_limit > self.bytes_in_flight_limit {
            let what = format!(
                "is {}, expected at least the body limit of {} bytes",
                self.bytes_in_flight_limit, self.body_limit
            );
            return Err(ConfigError::new("bytes_in_flight", what));
        }
        if self.max_concurrent_runs == Some(0) {
            return Err(ConfigError::new("max_concurrent_runs", "is 0, expected more than 0"));
        }
        Ok(())
    }
}

impl<P: fmt::Debug> fmt::Debug for Receiver<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("provider", &self.provider)
            .field("secrets", &self.secrets)
            .field("token", &self.token)
            .field("store", &self.store)
            .field("dedup_by", &self.dedup_by)
            .field("once_per", &self.once_per)
            .field("past_tolerance", &self.past_tolerance)
            .field("future_tolerance", &self.future_tolerance)
            .field("answer_deadline", &self.answer_deadline)
            .field("lease", &self.lease)
            .field("retention", &self.retention)
            .field("body_limit", &self.body_limit)
            .field("body_deadline", &self.body_deadline)
            .field("minimum_body_rate", &self.minimum_body_rate)
            .field("bytes_in_flight", &self.bytes_in_flight_limit)
            .field("max_concurrent_runs", &self.max_concurrent_runs)
            .field("run_limit", &self.run_limit)
            .field("on_store_down", &self.on_store_down)
            .field("access", &self.access)
            .field("observe_only", &self.observe_only)
            .finish_non_exhaustive()
    }
}
