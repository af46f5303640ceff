//! For moving a receiver over that is in production already.

use super::WebhookLayer;
use crate::provider::Provider;

impl<P: Provider> WebhookLayer<P> {
    /// Refuses nothing: each request is checked as it would be, and handed on as it came, whatever was
    /// found. What would have been refused is counted and logged, with its reason. Default: off.
    ///
    /// **Insecure**: forged, stale, duplicate and replayed requests reach the handler. It must go on doing
    /// for itself all that it did without the layer.
    ///
    /// To the handler it is as if there were no layer:
    ///
    /// * there is no [`Delivery`](crate::Delivery), so this crate's extractors answer 500; `Bytes`, `Json<T>`
    ///   and the like find the body byte for byte;
    /// * its answer is the answer, late or not; if the client leaves it is not moved to a task; challenges
    ///   are its own to answer;
    /// * the body is read ahead, within its limit and its deadline: a request reaches the handler when its
    ///   body is there, or has turned out to be too long, too slow or broken. Then what was read is handed on
    ///   with the rest behind it.
    ///
    /// Beside it an authentic, fresh delivery is claimed, renewed and settled with what the handler said,
    /// so that duplicates and replays are found. Nothing waits for the store.
    ///
    /// A line in the log says each time why, at WARN for what is authentic and at INFO for what is not;
    /// with the feature `metrics`, `scrapest_webhook_would_refuse_total` counts by reason, among them
    /// `duplicate` and `challenge`, which the layer would have answered in the handler's place.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_insecure_observe_only();
    /// ```
    #[must_use]
    pub fn with_insecure_observe_only(self) -> Self {
        self.set(|receiver| receiver.observe_only = true)
    }

    #[cfg(any(feature = "tower", feature = "actix"))]
    pub(super) fn warn_if_observe_only(&self) {
        if self.receiver.observe_only {
            self.receiver.notices.observe_only.then(|| {
                tracing::warn!(
                    sender = self.receiver.provider.name(),
                    "observe-only: this webhook refuses nothing, forged requests reach its handler"
                );
            });
        }
    }
}
