//! The settings of who may send, by address.

use std::sync::Arc;

use super::WebhookLayer;
use crate::config_error::ConfigError;
use crate::provider::Provider;

impl<P: Provider> WebhookLayer<P> {
    /// The addresses and networks that may send: text like `192.0.2.7` or `2001:db8::/32`, or anything that
    /// prints so, like [`IpAddr`](std::net::IpAddr). Everyone else gets 403, whatever he sends, and his body is not read. Default: everyone.
    ///
    /// The address is that of the connection: behind a proxy set
    /// [`with_trusted_proxies`](Self::with_trusted_proxies) too. axum knows it only if the router is served with
    /// `into_make_service_with_connect_info::<SocketAddr>()`; other servers say it with
    /// [`PeerAddr`](crate::PeerAddr). Without it every request gets 500, and one line in the log says why.
    ///
    /// # Errors
    ///
    /// If one is no address and no network, or if there is none.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_allowed_ips(["192.0.2.0/24", "2001:db8::7"])?;
    /// # Ok::<(), scrapest_webhook::ConfigError>(())
    /// ```
    pub fn with_allowed_ips<N: ToString>(
        mut self,
        networks: impl IntoIterator<Item = N>,
    ) -> Result<Self, ConfigError> {
        Arc::make_mut(&mut self.receiver).access.allow(networks)?;
        Ok(self)
    }

    /// The proxies that are believed whom they speak for, in `X-Forwarded-For` or `Forwarded`: written as in
    /// [`with_allowed_ips`](Self::with_allowed_ips). Default: none, and both headers are ignored.
    ///
    /// The lists are read from their end, across trusted proxies, to the first address that is none. Each
    /// proxy has to write one of the headers itself. What is unreadable, or said differently in both,
    /// is refused with 403. Has an effect only together with an allow-list or a limit on failures.
    ///
    /// # Errors
    ///
    /// If one is no address and no network, if one is everyone, or if there is none.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_allowed_ips(["192.0.2.0/24"])?.with_trusted_proxies(["10.0.0.0/8"])?;
    /// # Ok::<(), scrapest_webhook::ConfigError>(())
    /// ```
    pub fn with_trusted_proxies<N: ToString>(
        mut self,
        networks: impl IntoIterator<Item = N>,
    ) -> Result<Self, ConfigError> {
        Arc::make_mut(&mut self.receiver).access.trust(networks)?;
        Ok(self)
    }

    /// How many requests a minute from one address, or one IPv6 network of 64 bits, may fail authentication
    /// (feature `throttle`). Above it that address gets 429 with `Retry-After`, and no body of it is read,
    /// until there is room for one more failure. Default: no limit.
    ///
    /// Only failures count, and an address that has sent something authentic and fresh is never held up again: the last 1,024
    /// such are remembered, until the process ends. So the sender's deliveries pass, and so does
    /// whoever shares an address with him. What remains: somebody who shares his address and fails too often **before** the sender's first delivery
    /// since the start holds that one up. Behind a proxy set [`with_trusted_proxies`](Self::with_trusted_proxies),
    /// or the proxy is that address (one on a private address that was forgotten there is noticed by its
    /// header, and then nobody behind it is held up). Where the peer's address is not known, nobody is.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_failed_auth_limit(30);
    /// ```
    #[cfg(feature = "throttle")]
    #[must_use]
    pub fn with_failed_auth_limit(self, per_minute: u32) -> Self {
        self.set(|receiver| receiver.access.limit(crate::access::Failures::new(per_minute)))
    }
}
