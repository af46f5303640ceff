//! Logs and metrics of a delivery: one span, one event per refusal, and counters.
//!
//! Content of an unauthenticated request is never written above DEBUG. The notices say that such requests arrive, a
//! few times per minute. Authenticated content is escaped and truncated. Labels of metrics come from fixed sets.

#[cfg(feature = "metrics")]
mod meters;
#[cfg(not(feature = "metrics"))]
mod no_meters;
mod notices;

use std::sync::Arc;

use tracing::field::{Empty, display};
use tracing::{Span, debug, info, info_span, warn};

use self::meters::KindLabel;
pub(crate) use self::meters::{
    Asked, GaugeGuard, Meters, MetersOfLayer, StoreMeters, evicted, taken_over,
};
#[cfg(not(feature = "metrics"))]
use self::no_meters as meters;
pub(crate) use self::notices::Notices;
use crate::delivery_id::DeliveryId;
use crate::escaped::Escaped;
use crate::rejection::{RejectionKind, Reply};
use crate::run_state::RunState;
use crate::store::AnyStore;

/// Makes the span of one delivery. Its fields are filled in as they become known.
pub(crate) fn span(sender: &'static str) -> Span {
    info_span!(
        "webhook",
        sender,
        webhook_id = Empty,
        signed_with = Empty,
        delivery_id = Empty,
        kind = Empty,
        outcome = Empty,
        status = Empty,
        body_bytes = Empty,
        duration_us = Empty,
    )
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Completed,
    HandlerRefused,
    HandlerFailed,
    WouldRefuse,
    Rejected(RejectionKind),
}

#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "used only as metric labels"))]
impl Outcome {
    pub(crate) const COUNT: usize = 4 + RejectionKind::COUNT;

    /// Returns an index below [`COUNT`](Self::COUNT).
    pub(crate) const fn place(self) -> usize {
        match self {
            Self::Completed => 0,
            Self::HandlerRefused => 1,
            Self::HandlerFailed => 2,
            Self::WouldRefuse => 3,
            Self::Rejected(kind) => 4 + kind as usize,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::HandlerRefused => "handler_refused",
            Self::HandlerFailed => "handler_failed",
            Self::WouldRefuse => "would_refuse",
            Self::Rejected(kind) => kind.as_str(),
        }
    }
}

/// An operation of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Claim,
    Renew,
    Complete,
    Release,
}

impl Verb {
    #[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "used only as metric labels"))]
    pub(crate) const ALL: [Self; 4] = [Self::Claim, Self::Renew, Self::Complete, Self::Release];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Complete => "complete",
            Self::Release => "release",
        }
    }
}

/// Observes one request from its headers to its end.
pub(crate) struct Observation<'a> {
    run: &'a RunState,
    meters: &'a Meters,
    store: &'a AnyStore,
    notices: &'a Notices,
    kind: KindLabel,
    /// Whether the span or the metrics are in use.
    is_measured: bool,
}

impl<'a> Observation<'a> {
    pub(crate) fn new(
        meters: &'a Meters,
        store: &'a AnyStore,
        notices: &'a Notices,
        run: &'a RunState,
    ) -> Self {
        let is_measured = Meters::MEASURE || !run.span().is_disabled();
        if is_measured {
            // The measured time starts here.
            run.arrived();
        }
        Self { run, meters, store, notices, kind: KindLabel::default(), is_measured }
    }

    pub(crate) fn body(&self, bytes: usize) {
        if self.is_measured {
            self.run.span().record("body_bytes", bytes);
            self.meters.body(bytes, self.run.arrived());
        }
    }

    /// Counts a verified request by the label of the matched secret, which was configured.
    pub(crate) fn verified(&self, label: Option<&Arc<str>>, webhook_id: Option<&str>) {
        let Some(label) = label else { return };
        self.meters.verified(label);
        let span = self.run.span();
        if span.is_disabled() {
            return;
        }
        span.record("signed_with", display(Escaped(label)));
        if let Some(id) = webhook_id {
            span.record("webhook_id", display(Escaped(id)));
        }
    }

    /// Records the id and the kind. Called after authentication: the id is not signed, but came with signed bytes.
    pub(crate) fn identified(&mut self, id: Option<&DeliveryId>, kind: Option<&str>) {
        self.kind = self.meters.kind(kind);
        let span = self.run.span();
        if span.is_disabled() {
            return;
        }
        if let Some(id) = id {
            span.record("delivery_id", display(Escaped(id.as_str())));
        }
        if let Some(kind) = kind {
            span.record("kind", display(Escaped(kind)));
        }
    }

    pub(crate) fn answered(&self, status: Option<u16>) {
        let outcome = match status {
            Some(200..300) => Outcome::Completed,
            Some(_) => Outcome::HandlerRefused,
            None => Outcome::HandlerFailed,
        };
        if matches!(outcome, Outcome::Completed) {
            self.meters.accepted();
        }
        self.end(outcome, status);
    }

    pub(crate) fn rejected(&self, reply: &Reply) {
        let kind = reply.kind();
        self.run.in_span(|| match comes_before_a_run(kind) {
            true => self.notices.refused(kind),
            false => say(kind),
        });
        self.end(Outcome::Rejected(kind), Some(kind.status()));
    }

    /// Reports a request that would have been refused, but is or was passed on.
    pub(crate) fn would_refuse(&self, kind: RejectionKind) {
        self.would_answer_late(kind);
        self.end(Outcome::WouldRefuse, None);
    }

    /// Reports a refusal in observe-only mode. The run then reports its own end.
    pub(crate) fn would_answer_late(&self, kind: RejectionKind) {
        let reason = kind.as_str();
        // Also logged for a request that is not authentic, because finding those is the purpose of this mode. None of
        // its content is written.
        self.run.in_span(|| match is_authenticated(kind) {
            true => warn!(reason, "delivery would have been refused without observe-only mode"),
            false => info!(reason, "request would have been refused without observe-only mode"),
        });
        self.meters.would_refuse(kind);
    }

    fn end(&self, outcome: Outcome, status: Option<u16>) {
        if !self.is_measured {
            return;
        }
        let (span, duration) = (self.run.span(), self.run.arrived().elapsed());
        span.record("outcome", outcome.as_str());
        span.record("status", status);
        span.record("duration_us", u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        self.meters.ended(self.kind, outcome, duration);
        if let Some((records, oldest)) = self.store.records() {
            self.meters.records(records, oldest);
        }
    }
}

/// Reports that the sender was answered while its handler still runs. The run reports its own end later.
pub(crate) fn late(run: &RunState, meters: &MetersOfLayer, reply: &Reply) {
    run.in_span(|| say(reply.kind()));
    meters.late(reply.kind());
}

fn say(kind: RejectionKind) {
    let reason = kind.as_str();
    match kind {
        RejectionKind::Duplicate | RejectionKind::Challenge | RejectionKind::Filtered => {
            debug!(reason, "answered without the handler");
        }
        // Already logged with more details; for a store that is down, once and not for every request.
        RejectionKind::Stale | RejectionKind::StoreDown => {}
        _ if is_authenticated(kind) => warn!(reason, "delivery refused"),
        _ => debug!(reason, "request refused"),
    }
}

/// Whether a refusal of this kind comes after the signature was verified.
fn is_authenticated(kind: RejectionKind) -> bool {
    comes_before_a_run(kind)
        || matches!(
            kind,
            RejectionKind::Stale
                | RejectionKind::NotReady
                | RejectionKind::AnswerDeadline
                | RejectionKind::RunLimit
                | RejectionKind::HandlerPanicked
                | RejectionKind::NotCommitted
        )
}

/// Whether this refuses an authentic request without a run. An attacker can repeat such a captured request at will.
fn comes_before_a_run(kind: RejectionKind) -> bool {
    matches!(
        kind,
        RejectionKind::NoSignedTimestamp
            | RejectionKind::TooManyRuns
            | RejectionKind::InProgress
            | RejectionKind::TooManyWaiting
            | RejectionKind::ShuttingDown
    )
}
