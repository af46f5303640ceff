//! The metric handles without the feature `metrics`: they do nothing, and read no clock.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{Outcome, Verb};
use crate::provider::Provider;
use crate::rejection::RejectionKind;

#[derive(Clone, Debug, Default)]
pub(crate) struct MetersOfLayer(());

#[derive(Debug)]
pub(crate) struct Meters;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KindLabel(());

#[derive(Debug)]
pub(crate) struct GaugeGuard;

#[derive(Debug, Default)]
pub(crate) struct StoreMeters;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked;

impl MetersOfLayer {
    pub(crate) fn get<P: Provider>(&self, _: &P) -> &Meters {
        &Meters
    }

    pub(crate) fn late(&self, _: RejectionKind) {}

    pub(crate) fn late_success(&self) {}
}

impl Meters {
    pub(crate) const MEASURE: bool = false;

    pub(crate) fn kind(&self, _: Option<&str>) -> KindLabel {
        KindLabel(())
    }

    pub(crate) fn ended(&self, _: KindLabel, _: Outcome, _: Duration) {}

    pub(crate) fn would_refuse(&self, _: RejectionKind) {}

    pub(crate) fn body(&self, _: usize, _: Instant) {}

    pub(crate) fn verified(&self, _: &Arc<str>) {}

    pub(crate) fn accepted(&self) {}

    pub(crate) fn refreshed(&self) {}

    pub(crate) fn bytes_in_flight(&self) -> GaugeGuard {
        GaugeGuard
    }

    pub(crate) fn waiting(&self) -> GaugeGuard {
        GaugeGuard
    }

    pub(crate) fn pending(&self, _: Verb) -> GaugeGuard {
        GaugeGuard
    }

    pub(crate) fn running(&self) -> GaugeGuard {
        GaugeGuard
    }

    pub(crate) fn records(&self, _: usize, _: Option<SystemTime>) {}
}

impl GaugeGuard {
    pub(crate) fn raise(&mut self, _: usize) {}
}

impl StoreMeters {
    pub(crate) fn asked(&self) -> Asked {
        Asked
    }

    pub(crate) fn answered(&self, _: Verb, _: Asked, _ok: bool) {}

    pub(crate) fn gave_up(&self, _: Verb) {}
}

pub(crate) fn taken_over(_: u64) {}

pub(crate) fn evicted(_: u64) {}
