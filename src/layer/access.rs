//! The settings for client addresses.

use std::sync::Arc;

use super::WebhookLayer;
use crate::config_error::ConfigError;
use crate::provider::Provider;

impl<P: Provider> WebhookLayer<P> {
    /// The addresses and networks that may send: text like `192.0.2.7` or `2001:db8::/32`, or any type with this text
    /// form, like [`IpAddr`](std::net::IpAddr). Every other address gets 403, and nothing of its body is kept.
    /// Default: any address.
    ///
    /// The address is that of the connection: behind a proxy set [`with_trusted_proxies`](Self::with_trusted_proxies)
    /// too. axum knows it only if the router is served with `into_make_service_with_connect_info::<SocketAddr>()`;
    /// for other servers, provide it with [`PeerAddr`](crate::PeerAddr). Without an address every request gets 500,
    /// and one log line explains why.
    ///
    /// # Errors
    ///
    /// If an element is neither an address nor a network, or if the list is empty.
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

    /// The proxies whose `X-Forwarded-For` or `Forwarded` header names the client, in the form that
    /// [`with_allowed_ips`](Self::with_allowed_ips) takes. Default: none, and both headers are ignored.
    ///
    /// The layer reads each list from its end, across trusted proxies, to the first address that is not one of them.
    /// Each proxy has to write one of the headers itself. If all of them write the same header, name it with
    /// [`with_forwarded_header`](Self::with_forwarded_header). With an allow-list or a limit on failures, a request
    /// whose header cannot be read, or contradicts the other header, gets 403.
    ///
    /// A request whose peer is a trusted proxy counts as coming from the address that its header names, and any
    /// machine can write a header. So **everyone inside a trusted network passes an allow-list**. Name the proxies'
    /// own addresses rather than the network they are in.
    ///
    /// # Errors
    ///
    /// If an element is neither an address nor a network, if one contains every address, or if the list is empty.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_allowed_ips(["192.0.2.0/24"])?.with_trusted_proxies(["10.0.0.7"])?;
    /// # Ok::<(), scrapest_webhook::ConfigError>(())
    /// ```
    pub fn with_trusted_proxies<N: ToString>(
        mut self,
        networks: impl IntoIterator<Item = N>,
    ) -> Result<Self, ConfigError> {
        Arc::make_mut(&mut self.receiver).access.trust(networks)?;
        Ok(self)
    }

    /// The header in which the trusted proxies name their client. Only this one is read. Default: `X-Forwarded-For`
    /// and `Forwarded`; if a request has both, they must agree.
    ///
    /// `forwarded` is parsed according to RFC 7239. Any other header is parsed like `X-Forwarded-For`: a list of
    /// addresses, or one address, as in `X-Real-IP` or `CF-Connecting-IP`. Set it if the proxy passes the other
    /// header on as its clients wrote it. Otherwise a client's own header that contradicts the proxy's gets 403.
    ///
    /// # Errors
    ///
    /// If `name` is not a valid header name.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_trusted_proxies(["10.0.0.7"])?.with_forwarded_header("x-forwarded-for")?;
    /// # Ok::<(), scrapest_webhook::ConfigError>(())
    /// ```
    pub fn with_forwarded_header(mut self, name: &str) -> Result<Self, ConfigError> {
        Arc::make_mut(&mut self.receiver).access.read_only(name)?;
        Ok(self)
    }

    /// How many requests per minute from one address, or one IPv6 network of 64 bits, may fail authentication
    /// (feature `throttle`). Above it, that address gets 429 with `Retry-After` until one more failure is allowed,
    /// and nothing of its bodies is kept. Default: no limit.
    ///
    /// A failure is a request that is not authenticated: its signature is wrong, its body arrives too slowly, is
    /// incomplete or too large, or its connection ends first. A request that has begun counts as a failure until it
    /// turns out to be authentic. So while as many requests are open as may fail, the next one waits until one of
    /// them ends, up to the [body deadline](Self::with_body_deadline); then it gets 429.
    ///
    /// An address is exempt once a delivery from it was claimed and handled. The last 1,024 such addresses are
    /// remembered until the process ends. So the sender's deliveries pass, even if other clients share its address. A
    /// duplicate, a replay, a test event or a challenge exempts no address, because anyone who captured one can send
    /// it. One case remains: a client that shares the sender's address and fails too often **before** the sender's
    /// first delivery since the start delays that delivery.
    ///
    /// Behind a proxy, set [`with_trusted_proxies`](Self::with_trusted_proxies), or all clients count under the
    /// proxy's address. (If you forget a proxy on a private address, the layer notices it by its header, logs a
    /// warning, and limits no client behind it.) If a trusted proxy's header cannot be read, or contradicts the other
    /// one, the request gets 403. If the peer's address is not known, or a trusted proxy names no client, no client
    /// is limited; either case is logged once, as an error.
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

    /// Needs the feature `throttle`, which is off, so a call does not compile.
    #[cfg(not(feature = "throttle"))]
    #[must_use]
    pub fn with_failed_auth_limit<N: super::needs::Throttle>(self, _per_minute: N) -> Self {
        self
    }
}
