//! What is said about a delivery: one span, one event a refusal, and counters.
//!
//! Nothing that came unauthenticated goes beyond DEBUG, and nothing that came at all is written unless
//! it is escaped and cut. Labels of metrics are from fixed sets.

use std::fmt::{self, Write};
use std::sync::Arc;

use tokio::time::Instant;
use tracing::field::{Empty, display};
use tracing::{Span, debug, info_span, warn};

use crate::rejection::{RejectionKind, Reply};

/// The longest id or kind in a log, in bytes of what came.
const LONGEST: usize = 128;

/// The span of one delivery. Its fields are filled in as they become known.
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

/// Watches one request from its headers to its end.
#[derive(Debug)]
pub(crate) struct Observation {
    span: Span,
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "the label of a metric"))]
    sender: &'static str,
    started: Instant,
}

impl Observation {
    pub(crate) fn new(sender: &'static str, span: &Span, started: Instant) -> Self {
        Self { span: span.clone(), sender, started }
    }

    pub(crate) fn body(&self, bytes: usize) {
        self.span.record("body_bytes", bytes);
        #[cfg(feature = "metrics")]
        metrics::histogram!("scrapest_webhook_body_bytes", "sender" => self.sender)
            .record(u32::try_from(bytes).map_or(f64::MAX, f64::from));
    }

    /// By the label of the secret that fitted, which is one of those that were configured.
    pub(crate) fn verified(&self, label: Option<&Arc<str>>, webhook_id: Option<&str>) {
        let Some(label) = label else { return };
        self.span.record("signed_with", display(Escaped(label)));
        if let Some(id) = webhook_id {
            self.span.record("webhook_id", display(Escaped(id)));
        }
        #[cfg(feature = "metrics")]
        {
            let label = metrics::SharedString::from_shared(Arc::clone(label));
            let labels = [("sender", self.sender.into()), ("signed_with", label)];
            metrics::counter!("scrapest_webhook_verified_total", &labels).increment(1);
        }
    }

    /// After authentication: the id is not signed, but came with something that is.
    pub(crate) fn identified(&self, id: Option<&str>, kind: Option<&str>) {
        if self.span.is_disabled() {
            return;
        }
        if let Some(id) = id {
            self.span.record("delivery_id", display(Escaped(id)));
        }
        if let Some(kind) = kind {
            self.span.record("kind", display(Escaped(kind)));
        }
    }

    pub(crate) fn answered(&self, status: Option<u16>) {
        let outcome = match status {
            Some(200..300) => "completed",
            Some(_) => "handler_refused",
            None => "handler_failed",
        };
        self.end(outcome, status);
    }

    pub(crate) fn rejected(&self, reply: &Reply) {
        let kind = reply.kind();
        self.span.in_scope(|| say(kind));
        self.end(kind.as_str(), Some(kind.status()));
    }

    fn end(&self, outcome: &'static str, status: Option<u16>) {
        let duration = self.started.elapsed();
        self.span.record("outcome", outcome);
        self.span.record("status", status);
        self.span.record("duration_us", u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        #[cfg(feature = "metrics")]
        {
            let labels = [("sender", self.sender), ("outcome", outcome)];
            metrics::counter!("scrapest_webhook_requests_total", &labels).increment(1);
            metrics::histogram!("scrapest_webhook_duration_seconds", &labels)
                .record(duration.as_secs_f64());
        }
    }
}

/// The sender was answered while its handler runs on; the run's own end is still to come.
pub(crate) fn late(span: &Span, reply: &Reply) {
    span.in_scope(|| say(reply.kind()));
}

fn say(kind: RejectionKind) {
    let reason = kind.as_str();
    match kind {
        RejectionKind::Duplicate | RejectionKind::Challenge => {
            debug!(reason, "answered without the handler");
        }
        // Said already, where more was known: of a store that is down once, not for every request.
        RejectionKind::Stale | RejectionKind::StoreDown => {}
        RejectionKind::NoSignedTimestamp => warn!(
            reason,
            "authentic request refused: no timestamp is under its signature; if the sender signs none, \
             the provider's `with_insecure_unsigned_timestamp` lets it pass"
        ),
        _ if is_authenticated(kind) => warn!(reason, "delivery refused"),
        _ => debug!(reason, "request refused"),
    }
}

/// Whether a refusal of this kind comes after the signature was verified.
fn is_authenticated(kind: RejectionKind) -> bool {
    matches!(
        kind,
        RejectionKind::NoSignedTimestamp
            | RejectionKind::Stale
            | RejectionKind::InProgress
            | RejectionKind::TooManyWaiting
            | RejectionKind::AnswerDeadline
            | RejectionKind::RunLimit
            | RejectionKind::HandlerPanicked
    )
}

/// Text from outside, with control characters escaped, and cut. Its `Debug` has quotes.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = LONGEST;
        for char in self.0.chars() {
            let Some(rest) = left.checked_sub(char.len_utf8()) else {
                return f.write_char('…');
            };
            left = rest;
            // `escape_debug` leaves no control character and no ANSI escape as it is.
            write!(f, "{}", char.escape_debug())?;
        }
        Ok(())
    }
}
