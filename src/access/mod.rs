//! Who may send, by address: what is known of it, and the settings that ask for it.

mod forwarded;
mod networks;
#[cfg(feature = "throttle")]
mod throttle;

use std::net::IpAddr;
#[cfg(feature = "throttle")]
use std::sync::Arc;

use self::forwarded::Unknown;
use self::networks::Networks;
#[cfg(feature = "throttle")]
pub(crate) use self::throttle::Failures;
use crate::config_error::ConfigError;
use crate::provider::Headers;
use crate::rejection::{RejectionKind, Reply};
use crate::warn_once::WarnOnce;

/// Where a request comes from, in its extensions: for servers and middlewares that know it while the
/// framework does not.
///
/// In axum `ConnectInfo<SocketAddr>` is found by itself, and in actix-web the peer's address; this one goes
/// before both. It is the other end of the connection, not a client behind a proxy: see
/// [`with_trusted_proxies`](crate::WebhookLayer::with_trusted_proxies). Behind a unix socket it may be the
/// address that the proxy is trusted by.
///
/// ```
/// use scrapest_webhook::PeerAddr;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(PeerAddr([127, 0, 0, 1].into()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub IpAddr);

/// The settings that ask for an address, and what was said about a server that tells none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    allowed: Option<Networks>,
    trusted: Networks,
    #[cfg(feature = "throttle")]
    failures: Option<Arc<Failures>>,
    no_peer: WarnOnce,
    no_client: WarnOnce,
    #[cfg(feature = "throttle")]
    undeclared: WarnOnce,
}

impl Access {
    pub(crate) fn allow<N: ToString>(
        &mut self,
        networks: impl IntoIterator<Item = N>,
    ) -> Result<(), ConfigError> {
        self.allowed = Some(Networks::parse("allowed_ips", networks)?);
        Ok(())
    }

    pub(crate) fn trust<N: ToString>(
        &mut self,
        networks: impl IntoIterator<Item = N>,
    ) -> Result<(), ConfigError> {
        let networks = Networks::parse("trusted_proxies", networks)?;
        if networks.has_everyone() {
            let what = "trusts every address: then anyone can claim any other";
            return Err(ConfigError::new("trusted_proxies", what));
        }
        self.trusted = networks;
        Ok(())
    }

    #[cfg(feature = "throttle")]
    pub(crate) fn limit(&mut self, failures: Failures) {
        self.failures = Some(Arc::new(failures));
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        #[cfg(feature = "throttle")]
        if let Some(failures) = &self.failures {
            failures.check()?;
        }
        Ok(())
    }

    /// Whether everyone may come, as often as he likes, and no address is needed.
    pub(crate) fn is_open(&self) -> bool {
        #[cfg(feature = "throttle")]
        if self.failures.is_some() {
            return false;
        }
        self.allowed.is_none()
    }

    /// Whether the one who sent this may send at all, as far as his address says.
    pub(crate) fn admit(
        &self,
        peer: Option<IpAddr>,
        headers: Headers<'_>,
    ) -> Result<Client, Reply> {
        let client = self.client(peer, headers);
        if let Some(allowed) = &self.allowed
            && !allowed.contain(client?)
        {
            return Err(RejectionKind::AddressNotAllowed.into());
        }
        #[cfg(feature = "throttle")]
        if let (Some(failures), Ok(client)) = (&self.failures, client)
            && !self.is_undeclared_proxy(client, headers)
        {
            return failures.admit(client).map(|of| Client { counted: Some(of) });
        }
        Ok(Client::default())
    }

    /// An answer of one of the steps that authenticate: a failure is counted.
    pub(crate) fn counted<T>(&self, client: Client, answer: Result<T, Reply>) -> Result<T, Reply> {
        #[cfg(feature = "throttle")]
        if let (Some(failures), Some(of), Err(reply)) = (&self.failures, client.counted, &answer)
            && reply.kind().status() == 401
        {
            failures.count(of);
        }
        _ = client;
        answer
    }

    /// What came from there was authentic and fresh: whatever else does, it is not shut out.
    pub(crate) fn vouch(&self, client: Client) {
        #[cfg(feature = "throttle")]
        if let (Some(failures), Some(of)) = (&self.failures, client.counted) {
            failures.exempt(of);
        }
        _ = client;
    }

    /// The address to judge by: the peer's, or behind a trusted proxy the client's.
    fn client(&self, peer: Option<IpAddr>, headers: Headers<'_>) -> Result<IpAddr, RejectionKind> {
        let Some(peer) = peer else {
            self.no_peer.then(|| {
                tracing::error!(
                    "no peer address, which an allow-list or a limit needs: in axum serve the router with \
                     `into_make_service_with_connect_info::<SocketAddr>()`, elsewhere put a \
                     `scrapest_webhook::PeerAddr` into the extensions of each request"
                );
            });
            return Err(RejectionKind::NoPeerAddress);
        };
        let peer = peer.to_canonical();
        if !self.trusted.contain(peer) {
            return Ok(peer);
        }
        forwarded::client(headers, &self.trusted).map_err(|unknown| {
            if unknown == Unknown::Unsaid {
                self.no_client.then(|| {
                    tracing::error!(
                        "a trusted proxy does not say whom it speaks for: have it write \
                         `X-Forwarded-For` or `Forwarded`"
                    );
                });
            }
            RejectionKind::UnreadableForwarding
        })
    }

    /// A neighbour who speaks for others and is not trusted is a proxy that the settings forgot. Whoever
    /// fails behind it must not shut out the sender behind it.
    #[cfg(feature = "throttle")]
    fn is_undeclared_proxy(&self, client: IpAddr, headers: Headers<'_>) -> bool {
        let is_one = networks::is_neighbour(client) && forwarded::is_said(headers);
        if is_one {
            self.undeclared.then(|| {
                tracing::warn!(
                    "requests come through a proxy that `with_trusted_proxies` does not name: nobody \
                     behind it is throttled"
                );
            });
        }
        is_one
    }
}

/// Somebody who was let in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Client {
    /// Where his failures are counted.
    #[cfg(feature = "throttle")]
    counted: Option<ipnet::IpNet>,
}
