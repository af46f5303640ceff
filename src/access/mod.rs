//! Decides which addresses may send, and finds the address of a request.

mod forwarded;
mod networks;
#[cfg(feature = "throttle")]
mod throttle;

use std::net::IpAddr;
#[cfg(feature = "throttle")]
use std::sync::Arc;

use ipnet::IpNet;
#[cfg(feature = "throttle")]
use tokio::time::Instant;

use self::forwarded::{Unknown, Written};
use self::networks::{Networks, block};
#[cfg(feature = "throttle")]
use self::throttle::Attempt;
#[cfg(feature = "throttle")]
pub(crate) use self::throttle::Failures;
use crate::config_error::ConfigError;
use crate::escaped::Escaped;
use crate::provider::Headers;
use crate::rejection::{RejectionKind, Reply};
use crate::warn_once::WarnOnce;

/// The address that a request comes from, in its extensions: for servers and middlewares that know it when the
/// framework does not.
///
/// The layer finds axum's `ConnectInfo<SocketAddr>` and actix-web's peer address by itself; this type takes
/// precedence over both. It is the peer of the connection, not a client behind a proxy: see
/// [`with_trusted_proxies`](crate::WebhookLayer::with_trusted_proxies). Behind a unix socket, use an address that is
/// configured as a trusted proxy.
///
/// ```
/// use scrapest_webhook::PeerAddr;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(PeerAddr([127, 0, 0, 1].into()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub IpAddr);

/// The address whose bodies are counted together. `None` for all clients whose address is not known.
pub(crate) type Account = Option<IpNet>;

/// The settings that need an address, and the warnings that were already logged about missing ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    allowed: Option<Networks>,
    trusted: Networks,
    written: Written,
    #[cfg(feature = "throttle")]
    failures: Option<Arc<Failures>>,
    no_peer: WarnOnce,
    no_client: WarnOnce,
    unreadable: WarnOnce,
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
            let what = "contains every address, expected the addresses of your proxies: otherwise any client can \
                        claim any address";
            return Err(ConfigError::new("trusted_proxies", what));
        }
        self.trusted = networks;
        Ok(())
    }

    pub(crate) fn read_only(&mut self, header: &str) -> Result<(), ConfigError> {
        let what = || format!("is {header:?}, expected the name of a header");
        self.written =
            Written::named(header).ok_or_else(|| ConfigError::new("forwarded_header", what()))?;
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

    /// Returns a sentence for each setting that probably does not do what it is meant to do.
    pub(crate) fn without_effect(&self) -> impl Iterator<Item = &'static str> {
        let is_trusting = !self.trusted.is_empty();
        let alone = (is_trusting && self.is_open()).then_some(
            "`with_trusted_proxies` alone blocks no client, it only tells which bodies are counted together: also \
             set `with_allowed_ips` or `with_failed_auth_limit`",
        );
        let unused = (!is_trusting && !self.written.is_default()).then_some(
            "the forwarding header is never read, because no proxy is trusted: set `with_trusted_proxies`",
        );
        alone.into_iter().chain(unused)
    }

    /// Whether any address may send at any time, so that no address is needed.
    pub(crate) fn is_open(&self) -> bool {
        #[cfg(feature = "throttle")]
        if self.failures.is_some() {
            return false;
        }
        self.allowed.is_none()
    }

    /// Checks the allow-list, and returns the address to which a failure is charged.
    pub(crate) fn counted(
        &self,
        peer: Option<IpAddr>,
        headers: Headers<'_>,
    ) -> Result<Option<IpAddr>, Reply> {
        let client = self.client(peer, headers);
        if let Some(allowed) = &self.allowed
            && !allowed.contain(client?)
        {
            return Err(RejectionKind::AddressNotAllowed.into());
        }
        #[cfg(feature = "throttle")]
        if self.failures.is_some() {
            return match client {
                Ok(client) if self.is_undeclared_proxy(client, headers) => Ok(None),
                // Anyone can send such a header, so it must not lift the limit.
                Err(Unfound::Unreadable) => Err(RejectionKind::UnreadableForwarding.into()),
                client => Ok(client.ok()),
            };
        }
        Ok(None)
    }

    /// Admits a request of `address`. It may have to wait until `patience` for other requests from the same address.
    #[cfg(feature = "throttle")]
    pub(crate) async fn admit(&self, address: IpAddr, patience: Instant) -> Result<Client, Reply> {
        let Some(failures) = &self.failures else { return Ok(Client::default()) };
        Ok(Client { attempt: Some(failures.admit(address, patience).await?) })
    }

    /// Returns the account to which the bytes of this request are charged.
    pub(crate) fn account(&self, peer: Option<IpAddr>, headers: Headers<'_>) -> Account {
        self.find(peer, headers).ok().map(block)
    }

    /// Returns the peer's address, or the client's if the peer is a trusted proxy.
    fn find(&self, peer: Option<IpAddr>, headers: Headers<'_>) -> Result<IpAddr, Unfound> {
        let peer = peer.ok_or(Unfound::NoPeer)?.to_canonical();
        if !self.trusted.contain(peer) {
            return Ok(peer);
        }
        self.written.client(headers, &self.trusted).map_err(|unknown| match unknown {
            Unknown::Unsaid => Unfound::Unsaid,
            Unknown::Unreadable => Unfound::Unreadable,
        })
    }

    /// Returns the same as [`find`](Self::find), and logs what is wrong.
    fn client(&self, peer: Option<IpAddr>, headers: Headers<'_>) -> Result<IpAddr, Unfound> {
        let found = self.find(peer, headers);
        match found {
            Ok(_) => {}
            Err(Unfound::NoPeer) => self.no_peer.then(|| {
                tracing::error!(
                    "the server does not provide the client's address, which the allow-list and the failure limit \
                     need: in axum, serve the router with \
                     `into_make_service_with_connect_info::<SocketAddr>()`; elsewhere, put a \
                     `scrapest_webhook::PeerAddr` into the extensions of each request"
                );
            }),
            Err(Unfound::Unsaid) => self.no_client.then(|| {
                tracing::error!(
                    "a trusted proxy does not name its client: configure the proxy to send `X-Forwarded-For` or \
                     `Forwarded`"
                );
            }),
            Err(Unfound::Unreadable) => self.unreadable.then(|| {
                let said = forwarded::said(headers);
                tracing::warn!(
                    forwarded = %Escaped(&said),
                    "a request was refused because a trusted proxy names its client in an unreadable form, or \
                     names two clients in two headers: configure the proxy to send plain addresses, and name its \
                     header with `with_forwarded_header`"
                );
            }),
        }
        found
    }

    /// A private address that names another client and is not trusted is probably a proxy that the settings forgot.
    /// Failures of other clients behind it must not block the sender.
    #[cfg(feature = "throttle")]
    fn is_undeclared_proxy(&self, client: IpAddr, headers: Headers<'_>) -> bool {
        let is_one = networks::is_neighbour(client) && forwarded::is_said(headers);
        if is_one {
            self.undeclared.then(|| {
                tracing::warn!(
                    "requests arrive through a proxy that `with_trusted_proxies` does not name, so no client \
                     behind it is throttled: add the proxy"
                );
            });
        }
        is_one
    }
}

/// Why the address of a request is not known.
#[derive(Clone, Copy, Debug)]
enum Unfound {
    /// The server does not provide the peer's address.
    NoPeer,
    /// A trusted proxy does not name its client.
    Unsaid,
    /// A trusted proxy names its client in an unreadable form.
    Unreadable,
}

impl From<Unfound> for Reply {
    fn from(unfound: Unfound) -> Self {
        match unfound {
            Unfound::NoPeer => RejectionKind::NoPeerAddress.into(),
            Unfound::Unsaid | Unfound::Unreadable => RejectionKind::UnreadableForwarding.into(),
        }
    }
}

/// The client of an admitted request. Unless it is forgiven, the request counts as a failed authentication.
#[derive(Debug, Default)]
pub(crate) struct Client {
    #[cfg(feature = "throttle")]
    attempt: Option<Attempt>,
}

impl Client {
    /// Does not count the request as a failure: it was authentic, or its refusal was not the client's fault.
    pub(crate) fn forgive(&mut self) {
        #[cfg(feature = "throttle")]
        if let Some(attempt) = &mut self.attempt {
            attempt.forgive();
        }
    }

    /// Exempts the client's address, because a delivery from it was claimed and handled. Nothing less identifies the
    /// sender: anyone who captured a replay or a test event can send it.
    pub(crate) fn exempt(&self) {
        #[cfg(feature = "throttle")]
        if let Some(attempt) = &self.attempt {
            attempt.exempt();
        }
    }
}
