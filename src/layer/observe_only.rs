//! A mode for adding the layer to a receiver that is already in production.

use super::WebhookLayer;
use crate::provider::Provider;

impl<P: Provider> WebhookLayer<P> {
    /// Refuses nothing. Each request is checked as usual and then reaches the handler unchanged, whatever the checks
    /// found. A request that would have been refused is counted and logged, with the reason. Default: off.
    ///
    /// **Insecure**: forged, stale, duplicate and replayed requests reach the handler. The handler must still do all
    /// the checks that it did without the layer.
    ///
    /// The handler works as if there were no layer:
    ///
    /// * There is no [`Delivery`](crate::Delivery), so this crate's extractors answer 500. `Bytes`, `Json<T>` and
    ///   other extractors get the body byte for byte.
    /// * The handler's answer is sent, even if it is late. If the client disconnects, the handler is not moved to a
    ///   task. The handler must answer challenges itself.
    /// * The layer reads the body ahead, within its limit and its deadline. A request reaches the handler once its
    ///   body is complete, or is too long, too slow or broken. The handler then gets the part that was read, followed
    ///   by the rest.
    ///
    /// At the same time an authentic, fresh delivery is claimed, renewed and settled according to the handler's
    /// answer, so that duplicates and replays are found. No request waits for the store.
    ///
    /// Each request that would have been refused is logged in one line with the reason: at WARN if it is authentic,
    /// at INFO if it is not. With the feature `metrics`, `scrapest_webhook_would_refuse_total` counts them by reason.
    /// Among the reasons are `duplicate` and `challenge`, which the layer would have answered in the handler's place.
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
                    "observe-only mode: this webhook refuses no request, so forged requests reach its handler"
                );
            });
        }
    }
}
