//! Metrics of the stores' operations and records. They have no sender, because several layers may share a store.

use std::fmt;
use std::sync::OnceLock;

use metrics::{Counter, Histogram, counter, histogram};
use tokio::time::Instant;

use crate::metrics as names;
use crate::observe::Verb;

/// The operations of one store, for all layers.
#[derive(Default)]
pub(crate) struct StoreMeters(OnceLock<[(Histogram, Counter); Verb::ALL.len()]>);

/// When an operation was started.
#[derive(Clone, Copy)]
pub(crate) struct Asked(Instant);

impl StoreMeters {
    pub(crate) fn asked(&self) -> Asked {
        Asked(Instant::now())
    }

    pub(crate) fn answered(&self, verb: Verb, asked: Asked, ok: bool) {
        let (durations, errors) = self.of(verb);
        durations.record(asked.0.elapsed().as_secs_f64());
        errors.increment(u64::from(!ok));
    }

    pub(crate) fn gave_up(&self, verb: Verb) {
        self.of(verb).1.increment(1);
    }

    fn of(&self, verb: Verb) -> &(Histogram, Counter) {
        let all = self.0.get_or_init(|| {
            Verb::ALL.map(|verb| {
                let verb = verb.as_str();
                let histogram = histogram!(names::STORE_DURATION, "verb" => verb);
                (histogram, counter!(names::STORE_ERRORS, "verb" => verb))
            })
        });
        &all[verb as usize]
    }
}

impl fmt::Debug for StoreMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreMeters")
    }
}

/// Counts records that were taken over. Rare counters are looked up each time.
pub(crate) fn taken_over(records: u64) {
    if records > 0 {
        counter!(names::TAKEOVERS).increment(records);
    }
}

pub(crate) fn evicted(records: u64) {
    if records > 0 {
        counter!(names::EVICTIONS).increment(records);
    }
}
