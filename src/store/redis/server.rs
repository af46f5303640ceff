//! The servers, and how to connect to them.

use std::fmt;
use std::sync::Arc;

use ::redis::aio::ConnectionLike;
use ::redis::cluster::{ClusterClient, ClusterClientBuilder};
use ::redis::io::tcp::TcpSettings;
use ::redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, TlsMode,
};
use tokio::sync::Mutex;
use tokio::time::{Duration, timeout};

use super::failure::Failure;
use super::{CONNECT_LIMIT, OPERATION_LIMIT};
use crate::config_error::ConfigError;

/// The limit for connecting through sentinels or to a cluster. The driver asks one sentinel after the other, allows
/// each 1 s to connect, and asks the server that they name whether it is the primary. No operation waits this long.
const FIND_LIMIT: Duration = Duration::from_secs(5);

/// Returns a handle to the connection for one command. All commands share the connection.
pub(super) type Handle = Arc<dyn Fn() -> Box<dyn ConnectionLike + Send> + Send + Sync>;

pub(super) enum Server {
    Single(Client),
    /// One client for each way to use the password; the one that worked last comes first.
    Sentinel(Mutex<Vec<SentinelClient>>, Addresses),
    Cluster(Box<ClusterClient>, Addresses),
    /// The user's own connection, which must reconnect by itself.
    Given(Handle),
}

/// Hosts and ports for error texts and `Debug`, never a password.
#[derive(Debug)]
pub(super) struct Addresses(Vec<String>);

impl Addresses {
    fn of(infos: &[ConnectionInfo]) -> Self {
        Self(infos.iter().map(|info| info.addr().to_string()).collect())
    }
}

impl Server {
    pub(super) fn single(url: &str) -> Result<Self, ConfigError> {
        let info = parse(url)?;
        Ok(Self::Single(Client::open(info).map_err(unusable)?))
    }

    /// TLS, user, password and database of the first URL also apply to the server that the sentinels name.
    pub(super) fn sentinel<'a>(
        urls: impl IntoIterator<Item = &'a str>,
        primary: &str,
    ) -> Result<Self, ConfigError> {
        let infos = parse_all(urls)?;
        let settings = infos[0].redis_settings().clone();
        let addresses = Addresses::of(&infos);
        // Whether the sentinels and the primary get the password.
        let logins: &[_] = match settings.password() {
            Some(_) => &[(true, true), (false, true), (true, false)],
            None => &[(true, true)],
        };
        let clients = logins.iter().map(|&(of_sentinels, of_primary)| {
            let mut node = SentinelNodeConnectionInfo::default()
                .set_redis_connection_info(login(&settings, of_primary).set_db(settings.db()))
                .set_tcp_settings(tcp());
            if is_tls(&infos[0]) {
                node = node.set_tls_mode(TlsMode::Secure);
            }
            let sentinels = infos.iter().cloned().map(|info| {
                // A sentinel has no databases.
                let settings = login(info.redis_settings(), of_sentinels).set_db(0);
                info.set_redis_settings(settings)
            });
            let sentinels = sentinels.collect();
            SentinelClient::build(sentinels, primary, Some(node), SentinelServerType::Master)
        });
        let clients = clients.collect::<Result<_, _>>().map_err(unusable)?;
        Ok(Self::Sentinel(Mutex::new(clients), addresses))
    }

    pub(super) fn cluster<'a>(
        urls: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ConfigError> {
        let infos = parse_all(urls)?;
        let addresses = Addresses::of(&infos);
        let client = ClusterClientBuilder::new(infos)
            .tcp_settings(tcp())
            .connection_timeout(CONNECT_LIMIT)
            .response_timeout(OPERATION_LIMIT)
            .build()
            .map_err(unusable)?;
        Ok(Self::Cluster(Box::new(client), addresses))
    }

    pub(super) fn given<C>(connection: C) -> Self
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        Self::Given(handle(connection))
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(..))
    }

    pub(super) async fn connect(&self) -> Result<Handle, Failure> {
        let limit = match self {
            Self::Single(_) => CONNECT_LIMIT,
            _ => FIND_LIMIT,
        };
        let connected = timeout(limit, self.connect_unlimited()).await;
        connected.map_err(|_| Failure::Connecting)?.map_err(Failure::Driver)
    }

    async fn connect_unlimited(&self) -> Result<Handle, ::redis::RedisError> {
        // The operation's own deadline applies, also to a command that is sent twice.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_LIMIT))
            .set_response_timeout(None);
        Ok(match self {
            Self::Single(client) => {
                provide_cryptography(client.get_connection_info());
                handle(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Self::Sentinel(clients, _) => {
                install_cryptography();
                let mut clients = clients.lock().await;
                let mut first = None;
                for place in 0..clients.len() {
                    match clients[place].get_async_connection_with_config(&config).await {
                        Ok(connection) => {
                            clients.swap(0, place);
                            return Ok(handle(connection));
                        }
                        Err(error) => _ = first.get_or_insert(error),
                    }
                }
                return Err(first.unwrap_or_else(|| (ErrorKind::Client, "no sentinel").into()));
            }
            Self::Cluster(client, _) => {
                install_cryptography();
                handle(client.get_async_connection().await?)
            }
            Self::Given(handle) => Arc::clone(handle),
        })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(client) => write!(f, "{}", client.get_connection_info().addr()),
            Self::Sentinel(_, Addresses(at)) => write!(f, "sentinels {}", at.join(", ")),
            Self::Cluster(_, Addresses(at)) => write!(f, "cluster {}", at.join(", ")),
            Self::Given(_) => f.write_str("a connection that was given"),
        }
    }
}

fn handle<C>(connection: C) -> Handle
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    Arc::new(move || Box::new(connection.clone()))
}

fn parse(url: &str) -> Result<ConnectionInfo, ConfigError> {
    // The driver's errors name the wrong part and not the URL, which may contain a password.
    let info = url.into_connection_info().map_err(unusable)?;
    Ok(info.set_tcp_settings(tcp()))
}

fn parse_all<'a>(
    urls: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<ConnectionInfo>, ConfigError> {
    let infos: Vec<_> = urls.into_iter().map(parse).collect::<Result<_, _>>()?;
    if infos.is_empty() {
        return Err(ConfigError::new(
            "store",
            "has no URL, expected at least one of a Redis server",
        ));
    }
    Ok(infos)
}

fn unusable(error: ::redis::RedisError) -> ConfigError {
    let what = format!(
        "is no URL of a Redis server ({error}), expected redis://[[user]:password@]host[:port][/database], \
         rediss:// for TLS, or redis+unix:///path"
    );
    ConfigError::new("store", what)
}

/// Disables Nagle's algorithm: many small commands share a connection, and none may wait for the answer to another.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// Returns the user and password of these settings, or none.
fn login(settings: &RedisConnectionInfo, with: bool) -> RedisConnectionInfo {
    if with { settings.clone() } else { RedisConnectionInfo::default() }
}

fn is_tls(info: &ConnectionInfo) -> bool {
    matches!(info.addr(), ::redis::ConnectionAddr::TcpTls { .. })
}

fn provide_cryptography(info: &ConnectionInfo) {
    if is_tls(info) {
        install_cryptography();
    }
}

/// Chooses a TLS implementation for rustls, which panics if other crates of the application enable two of them. The
/// application's own choice is kept.
fn install_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only if another thread has just chosen one.
        _ = rustls::crypto::ring::default_provider().install_default();
    }
}
