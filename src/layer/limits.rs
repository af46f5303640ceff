//! The settings that limit the cost of a request.

use std::time::Duration;

use super::WebhookLayer;
use crate::provider::Provider;

impl<P: Provider> WebhookLayer<P> {
    /// The longest body, in bytes. Default: 1,048,576, the largest payload Scrapest documents.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_body_limit(64 * 1024);
    /// ```
    #[must_use]
    pub fn with_body_limit(self, bytes: usize) -> Self {
        self.set(|receiver| receiver.body_limit = bytes)
    }

    /// How long the whole body may take, counted from the arrival of the request. After that the sender gets 408.
    /// Default: 5 s.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// # use std::time::Duration;
    /// let layer = layer.with_body_deadline(Duration::from_secs(2));
    /// ```
    #[must_use]
    pub fn with_body_deadline(self, deadline: Duration) -> Self {
        self.set(|receiver| receiver.body_deadline = deadline)
    }

    /// The lowest rate at which a body may arrive, in bytes per second, measured over each 2 s from the arrival of
    /// the request. A slower body gets 408. With 0 only the [deadline](Self::with_body_deadline) counts. Default:
    /// 1,024.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_minimum_body_rate(256);
    /// ```
    #[must_use]
    pub fn with_minimum_body_rate(self, bytes_per_second: u64) -> Self {
        self.set(|receiver| receiver.minimum_body_rate = bytes_per_second)
    }

    /// How many bytes of bodies all requests of this layer may hold at a time, complete or incomplete. Above it
    /// requests get 503. Default: 64 MiB.
    ///
    /// An eighth of it is reserved for bodies of up to 64 KiB, if the rest has room for one body of the [body
    /// limit](Self::with_body_limit). If there is no room for a new body, an incomplete body gets 503, because its
    /// client is not authenticated. The layer chooses the address that holds the most (a /64 of IPv6 is one address),
    /// and of its bodies the one with the largest product of bytes and waiting time. The new body gets 503 only if
    /// every body is complete. The address is found as for [`with_allowed_ips`](Self::with_allowed_ips); if it is not
    /// known, all clients count as one.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_bytes_in_flight(16 * 1024 * 1024);
    /// ```
    #[must_use]
    pub fn with_bytes_in_flight(self, bytes: usize) -> Self {
        self.set(|receiver| receiver.set_bytes_in_flight(bytes))
    }

    /// How many handlers may run at one time, including those whose sender was already answered. Above it the sender
    /// gets 503, and the delivery is not claimed. A duplicate that waits for another attempt does not count. Default:
    /// no limit; only the bytes of their bodies are limited.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_max_concurrent_runs(256);
    /// ```
    #[must_use]
    pub fn with_max_concurrent_runs(self, runs: usize) -> Self {
        self.set(|receiver| receiver.set_max_concurrent_runs(runs))
    }

    /// How many duplicates may wait for the running attempt, per delivery and in all. Above it a duplicate gets 503
    /// at once. With 0, none waits. Default: 16 and 1,024.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_max_waiters(4, 100);
    /// ```
    #[must_use]
    pub fn with_max_waiters(self, per_delivery: usize, in_all: usize) -> Self {
        self.set(|receiver| receiver.limits.set_max_waiters(per_delivery, in_all))
    }

    /// How often the same test event may run if it has no timestamp: per minute, and in all while the store remembers
    /// it. Beyond that it is answered with 200, as a replay, and leaves no record. Default: 5 and 20.
    ///
    /// The sender's test button sends the same bytes each time it is pressed, so the same bytes under a new id have
    /// to run again. But anyone who captured such a request can send it forever, so there is a limit. The number per
    /// minute is counted in this process, the number in all by the store. With 0 such events do not run at all.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_max_undated_tests(1, 5);
    /// ```
    #[must_use]
    pub fn with_max_undated_tests(self, per_minute: u32, in_all: u16) -> Self {
        self.set(|receiver| receiver.limits.set_test_events(per_minute, in_all))
    }

    /// How long a handler may run. After that it is dropped, and the delivery is released. Default: 60 s.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// # use std::time::Duration;
    /// let layer = layer.with_run_limit(Duration::from_secs(30));
    /// ```
    #[must_use]
    pub fn with_run_limit(self, limit: Duration) -> Self {
        self.set(|receiver| receiver.run_limit = limit)
    }
}
