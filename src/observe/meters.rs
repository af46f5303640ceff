//! The handles of the metrics: registered at a layer's first request, and kept. Large groups of handles are
//! registered one by one on first use.

mod store;

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use metrics::{Counter, Gauge, Histogram, SharedString, counter, gauge, histogram};
use tokio::time::Instant;

pub(crate) use self::store::{Asked, StoreMeters, evicted, taken_over};
use super::{Outcome, Verb};
use crate::metrics as names;
use crate::provider::Provider;
use crate::rejection::RejectionKind;

/// The metrics of one layer. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct MetersOfLayer(Arc<OnceLock<Meters>>);

impl MetersOfLayer {
    pub(crate) fn get<P: Provider>(&self, provider: &P) -> &Meters {
        self.0.get_or_init(|| Meters::new(provider.name(), provider.kinds()))
    }

    /// Counts a sender that was answered while its handler still runs.
    pub(crate) fn late(&self, kind: RejectionKind) {
        if let Some(meters) = self.0.get() {
            meters.refused(kind);
        }
    }

    /// Counts a handler that succeeded after its lease was lost.
    pub(crate) fn late_success(&self) {
        if let Some(meters) = self.0.get() {
            meters.late_successes.increment(1);
        }
    }
}

impl fmt::Debug for MetersOfLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetersOfLayer")
    }
}

pub(crate) struct Meters {
    sender: &'static str,
    kinds: &'static [&'static str],
    /// Ordered by kind, then by outcome.
    deliveries: Box<[OnceLock<Counter>]>,
    durations: [OnceLock<Histogram>; Outcome::COUNT],
    refusals: [Counter; RejectionKind::COUNT],
    would_refuse: [OnceLock<Counter>; RejectionKind::COUNT],
    body_duration: Histogram,
    body_bytes: Histogram,
    handler_duration: Histogram,
    running: Gauge,
    waiters: Gauge,
    bytes_in_flight: Gauge,
    pending: [Gauge; 2],
    late_successes: Counter,
    refreshed: Counter,
    /// By the labels of secrets: few, but they may change at run time.
    verified: RwLock<Vec<(Arc<str>, Counter)>>,
    // Registered only with their first value.
    last_accepted: OnceLock<Gauge>,
    records: OnceLock<[Gauge; 2]>,
}

/// The position of a kind among the labels; `None` until it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KindLabel(Option<usize>);

impl Meters {
    /// Whether measurements are used.
    pub(crate) const MEASURE: bool = true;

    fn new(sender: &'static str, kinds: &'static [&'static str]) -> Self {
        names::describe();
        let refusal = |kind: &RejectionKind| match kind.is_refusal() {
            true => counter!(names::REFUSALS, "sender" => sender, "reason" => kind.as_str()),
            false => Counter::noop(),
        };
        let pending =
            |verb: Verb| gauge!(names::PENDING, "sender" => sender, "verb" => verb.as_str());
        // The counters of the stores have no sender. Registered here, so that they exist with 0.
        let _ = (counter!(names::TAKEOVERS), counter!(names::EVICTIONS));
        Self {
            sender,
            kinds,
            deliveries: (0..(kinds.len() + 2) * Outcome::COUNT).map(|_| OnceLock::new()).collect(),
            durations: [const { OnceLock::new() }; Outcome::COUNT],
            refusals: std::array::from_fn(|place| refusal(&RejectionKind::ALL[place])),
            would_refuse: [const { OnceLock::new() }; RejectionKind::COUNT],
            body_duration: histogram!(names::BODY_DURATION, "sender" => sender),
            body_bytes: histogram!(names::BODY_BYTES, "sender" => sender),
            handler_duration: histogram!(names::HANDLER_DURATION, "sender" => sender),
            running: gauge!(names::RUNNING, "sender" => sender),
            waiters: gauge!(names::WAITERS, "sender" => sender),
            bytes_in_flight: gauge!(names::BYTES_IN_FLIGHT, "sender" => sender),
            pending: [pending(Verb::Complete), pending(Verb::Release)],
            late_successes: counter!(names::LATE_SUCCESSES, "sender" => sender),
            refreshed: counter!(names::REFRESHED, "sender" => sender),
            verified: RwLock::default(),
            last_accepted: OnceLock::new(),
            records: OnceLock::new(),
        }
    }

    /// Returns the label for a kind that came from outside. The kind itself is never a label.
    pub(crate) fn kind(&self, kind: Option<&str>) -> KindLabel {
        let known = |kind| self.kinds.iter().position(|known| *known == kind);
        let other = self.kinds.len();
        KindLabel(Some(kind.map_or(other + 1, |kind| known(kind).unwrap_or(other))))
    }

    /// Counts a request that has ended. It also counts as a delivery if it is authentic and fresh, or a challenge.
    pub(crate) fn ended(&self, kind: KindLabel, outcome: Outcome, duration: Duration) {
        let place = outcome.place();
        let histogram = self.durations[place].get_or_init(
            || histogram!(names::DURATION, "sender" => self.sender, "outcome" => outcome.as_str()),
        );
        histogram.record(duration.as_secs_f64());
        if let Outcome::Rejected(kind) = outcome {
            self.refused(kind);
        }
        let unknown = self.kinds.len() + 1;
        let kind = match (kind, outcome) {
            (KindLabel(Some(kind)), _) => kind,
            (_, Outcome::Rejected(RejectionKind::Challenge)) => unknown,
            _ => return,
        };
        let counter = self.deliveries[kind * Outcome::COUNT + place].get_or_init(|| {
            let label = match self.kinds.get(kind) {
                Some(kind) => kind,
                None if kind == unknown => "unknown",
                None => "other",
            };
            let outcome = outcome.as_str();
            counter!(names::DELIVERIES, "sender" => self.sender, "kind" => label, "outcome" => outcome)
        });
        counter.increment(1);
    }

    fn refused(&self, kind: RejectionKind) {
        self.refusals[kind as usize].increment(1);
    }

    pub(crate) fn would_refuse(&self, kind: RejectionKind) {
        let counter = self.would_refuse[kind as usize].get_or_init(
            || counter!(names::WOULD_REFUSE, "sender" => self.sender, "reason" => kind.as_str()),
        );
        counter.increment(1);
    }

    pub(crate) fn body(&self, bytes: usize, arrived: Instant) {
        self.body_duration.record(arrived.elapsed().as_secs_f64());
        self.body_bytes.record(float(bytes));
    }

    pub(crate) fn verified(&self, label: &Arc<str>) {
        let known = self.verified.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, counter)) = known.iter().find(|(known, _)| known == label) {
            return counter.increment(1);
        }
        drop(known);
        let signed_with = SharedString::from_shared(Arc::clone(label));
        let labels = [("sender", self.sender.into()), ("signed_with", signed_with)];
        let counter = counter!(names::VERIFIED, &labels);
        counter.increment(1);
        let mut known = self.verified.write().unwrap_or_else(PoisonError::into_inner);
        known.push((Arc::clone(label), counter));
    }

    pub(crate) fn accepted(&self) {
        let gauge = self
            .last_accepted
            .get_or_init(|| gauge!(names::LAST_ACCEPTED, "sender" => self.sender));
        gauge.set(unix_seconds(SystemTime::now()));
    }

    /// Counts a handled delivery that came again with other bytes.
    pub(crate) fn refreshed(&self) {
        self.refreshed.increment(1);
    }

    pub(crate) fn bytes_in_flight(&self) -> GaugeGuard {
        GaugeGuard { gauge: self.bytes_in_flight.clone(), height: 0.0 }
    }

    pub(crate) fn waiting(&self) -> GaugeGuard {
        GaugeGuard::one(&self.waiters)
    }

    pub(crate) fn pending(&self, verb: Verb) -> GaugeGuard {
        GaugeGuard::one(&self.pending[usize::from(verb == Verb::Release)])
    }

    pub(crate) fn running(&self) -> Timed {
        Timed {
            histogram: self.handler_duration.clone(),
            began: Instant::now(),
            _level: GaugeGuard::one(&self.running),
        }
    }

    /// Sets the number of records in the memory store, and when the oldest one was claimed.
    pub(crate) fn records(&self, records: usize, oldest: Option<SystemTime>) {
        let [count, age] = self.records.get_or_init(|| {
            [names::RECORDS, names::OLDEST_RECORD].map(|name| gauge!(name, "sender" => self.sender))
        });
        count.set(float(records));
        age.set(unix_seconds(oldest.unwrap_or_else(SystemTime::now)));
    }
}

/// Raises a gauge until it is dropped.
pub(crate) struct GaugeGuard {
    gauge: Gauge,
    height: f64,
}

impl GaugeGuard {
    fn one(gauge: &Gauge) -> Self {
        let mut level = Self { gauge: gauge.clone(), height: 0.0 };
        level.raise(1);
        level
    }

    pub(crate) fn raise(&mut self, by: usize) {
        self.gauge.increment(float(by));
        self.height += float(by);
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.gauge.decrement(self.height);
    }
}

impl fmt::Debug for GaugeGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GaugeGuard({})", self.height)
    }
}

/// Measures one run of a handler until it is dropped.
pub(crate) struct Timed {
    histogram: Histogram,
    began: Instant,
    _level: GaugeGuard,
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.histogram.record(self.began.elapsed().as_secs_f64());
    }
}

fn float(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
