//! Readiness and shutdown.

use std::time::Duration;

use super::WebhookLayer;
use crate::provider::Provider;

/// How long the store may take to record the release of the runs that were ended.
const RELEASES: Duration = Duration::from_secs(2);

impl<P: Provider> WebhookLayer<P> {
    /// Whether a delivery could be accepted now, for a readiness endpoint: the store can be written to, and
    /// [`shutdown`](Self::shutdown) was not called. Takes 1 s at most.
    ///
    /// ```
    /// use axum::http::StatusCode;
    /// use scrapest_webhook::ScrapestWebhookLayer;
    ///
    /// async fn ready(webhook: ScrapestWebhookLayer) -> StatusCode {
    ///     if webhook.is_ready().await { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    /// }
    /// ```
    pub async fn is_ready(&self) -> bool {
        !self.receiver.limits.is_closed() && self.receiver.store.ready().await.is_ok()
    }

    /// Shuts the receiver down gracefully. From now on it is not ready, and a delivery that has not started to run
    /// gets 503, even if it waits for another attempt; the sender retries later. Running handlers have `grace` to end
    /// and to be recorded. A handler that has not ended by then is dropped, as at the run limit, and its delivery is
    /// released, so that the retry does not have to wait for the lease; the store has 2 s for that. Returns whether
    /// everything ended within `grace`.
    ///
    /// Await it when the process receives the signal to stop, before the server stops, as in the example. A handler
    /// that blocks its thread cannot be dropped; its delivery can be retried when its lease ends. All clones of the
    /// layer shut down together and cannot be restarted.
    ///
    /// ```no_run
    /// # #[tokio::main] async fn main() -> std::io::Result<()> {
    /// # let webhook = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// # let (app, listener) = (axum::Router::new(), tokio::net::TcpListener::bind("127.0.0.1:0").await?);
    /// let stop = async move {
    ///     _ = tokio::signal::ctrl_c().await;
    ///     webhook.shutdown(std::time::Duration::from_secs(20)).await;
    /// };
    /// axum::serve(listener, app).with_graceful_shutdown(stop).await
    /// # }
    /// ```
    pub async fn shutdown(&self, grace: Duration) -> bool {
        let limits = &self.receiver.limits;
        limits.close();
        if limits.drained(grace).await {
            return true;
        }
        limits.end_runs();
        let is_released = limits.drained(RELEASES).await;
        tracing::warn!(
            ?grace,
            is_released,
            "handlers were still running when the grace period of the shutdown ended; their deliveries run again \
             when the sender retries"
        );
        false
    }

    /// Waits for at most `grace` until no handler of this layer runs and every success is recorded. Returns whether
    /// that happened. It stops nothing: new deliveries still run in the meantime. To end a process, use
    /// [`shutdown`](Self::shutdown).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// # use std::time::Duration;
    /// assert!(layer.drain(Duration::from_secs(10)).await);
    /// # }
    /// ```
    pub async fn drain(&self, grace: Duration) -> bool {
        self.receiver.limits.drained(grace).await
    }
}
