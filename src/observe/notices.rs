//! Log lines about problems that no answer reveals to the operator, usually a wrong setting. Each line names the
//! likely cause and what to do. An unauthenticated client, or one that repeats a captured request, can cause some of
//! them, so their number is limited.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{debug, warn};

use crate::escaped::Escaped;
use crate::rejection::RejectionKind;
use crate::warn_once::{WarnOnce, WarnSometimes};

/// The notices of one layer and its clones.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    never_fitted: WarnSometimes,
    unknown_webhook: WarnSometimes,
    body_changed: WarnSometimes,
    stale: WarnSometimes,
    refused: WarnSometimes,
    answered: WarnSometimes,
    refreshed: WarnOnce,
    pub(crate) settings: WarnOnce,
    pub(crate) observe_only: WarnOnce,
    /// Whether any request was authentic.
    any_authentic: Arc<AtomicBool>,
}

impl Default for Notices {
    fn default() -> Self {
        Self {
            never_fitted: WarnSometimes::new(1),
            unknown_webhook: WarnSometimes::new(1),
            body_changed: WarnSometimes::new(1),
            stale: WarnSometimes::new(10),
            refused: WarnSometimes::new(10),
            answered: WarnSometimes::new(10),
            refreshed: WarnOnce::default(),
            settings: WarnOnce::default(),
            observe_only: WarnOnce::default(),
            any_authentic: Arc::default(),
        }
    }
}

impl Notices {
    pub(crate) fn authentic(&self) {
        // Read first, so that the cache line stays shared between cores.
        if !self.any_authentic.load(Ordering::Relaxed) {
            self.any_authentic.store(true, Ordering::Relaxed);
        }
    }

    /// A signature or token matches none of these secrets, and none has matched since they came into use.
    pub(crate) fn never_fitted(&self, webhook_id: Option<&str>) {
        if let Some(lines_left_out) = self.never_fitted.allows() {
            let webhook_id = webhook_id.map(Escaped);
            warn!(
                lines_left_out,
                webhook_id = webhook_id.map(tracing::field::display),
                "the signature or token of a request does not match the webhook's secret, and none has matched so \
                 far: check that the secret is the one that the sender shows, without quotes, spaces or a line \
                 feed, and that no proxy or middleware changes the body; `scrapest-webhook verify` finds the \
                 cause"
            );
        }
    }

    /// The request names an unknown webhook, and the layer has received no authentic request yet.
    pub(crate) fn unknown_webhook(&self) {
        if self.any_authentic.load(Ordering::Relaxed) {
            return;
        }
        if let Some(lines_left_out) = self.unknown_webhook.allows() {
            warn!(
                lines_left_out,
                "a request names an unknown webhook, and no request has been authentic so far: check that the \
                 function given to `for_webhooks` looks up the id or the path that the sender uses"
            );
        }
    }

    /// A signature does not match, and the body's length differs from its header.
    pub(crate) fn body_changed(&self, content_length: usize, body_bytes: usize) {
        if let Some(lines_left_out) = self.body_changed.allows() {
            warn!(
                lines_left_out,
                content_length,
                body_bytes,
                "the length of a body differs from its content-length: a middleware in front of the webhook layer \
                 has read or changed the body, so no signature can match; put the webhook layer in front"
            );
        }
    }

    /// Returns how many lines were left out if a stale authentic request may be logged now, or `None` if it may not.
    pub(crate) fn stale(&self) -> Option<u64> {
        self.stale.allows()
    }

    /// An authentic request was refused without a run.
    pub(crate) fn refused(&self, kind: RejectionKind) {
        let reason = kind.as_str();
        let Some(lines_left_out) = self.refused.allows() else {
            return debug!(reason, "delivery refused");
        };
        match kind {
            RejectionKind::NoSignedTimestamp => warn!(
                reason,
                lines_left_out,
                "authentic request refused: none of its timestamps is signed; if the sender signs none, accept \
                 such requests with the provider's `with_insecure_unsigned_timestamp`"
            ),
            _ => warn!(reason, lines_left_out, "delivery refused"),
        }
    }

    /// The handler, or one of its extractors, did not succeed.
    pub(crate) fn answered(&self, status: Option<u16>, attempt: u32) {
        if let Some(200..300) = status {
            return;
        }
        let Some(lines_left_out) = self.answered.allows() else {
            debug!(status, attempt, "the handler did not succeed: the delivery is released");
            return;
        };
        warn!(
            status,
            attempt,
            lines_left_out,
            "the handler or one of its extractors did not answer 2xx: the delivery is released, and runs again \
             when the sender retries; answer 2xx to a delivery that must not be retried"
        );
    }

    /// A delivery that was handled came again with other bytes.
    pub(crate) fn refreshed(&self) {
        self.refreshed.then(|| {
            warn!(
                "a delivery id arrived again with other bytes and was answered as a duplicate: if the sender uses \
                 one id for several events, events are lost; see `with_dedup_by` and the metric \
                 scrapest_webhook_refreshed_total"
            );
        });
    }
}
