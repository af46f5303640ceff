//! The store in Redis, for several machines that act as one receiver.

mod failure;
mod info;
mod link;
mod scripts;
mod server;
mod verbs;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::ConnectionLike;

use self::link::Link;
use self::server::Server;
use self::verbs::Scripts;
use super::{DeliveryStore, Key, Owner, StoreError};
use crate::config_error::ConfigError;

/// The limit for connecting to a server.
const CONNECT_LIMIT: Duration = Duration::from_millis(250);

/// The limit for an operation, including connecting.
const OPERATION_LIMIT: Duration = Duration::from_millis(500);

const PREFIX: &str = "scrapest-webhook:";

/// Keeps deliveries in Redis (5 or later) or Valkey (feature `redis`), so that receivers on several machines act as one
/// receiver, and deliveries survive the restart of any of them.
///
/// Clones share their connection, and any number of layers may share a store. The first operation connects. The limits
/// are deliberately not configurable: connecting takes at most 250 ms, and an operation fails after 500 ms in all; the
/// layer then tries again within its answer deadline. While the server is down each operation fails, and the layer
/// answers 503. The first operation after the outage connects again.
///
/// # Settings of the server
///
/// Redis can lose records that it has acknowledged, and a delivery whose records are lost may run again. So set:
///
/// * `appendonly yes`, with at least `appendfsync everysec`: nothing is lost when Redis is killed, and up to about a
///   second of records when its machine loses power. With `appendfsync always` nothing is lost then either. With only
///   the default snapshots, everything since the last one is lost. `cargo run --example durability --features redis`
///   measures it;
/// * `maxmemory-policy noeviction`: a full server then refuses claims (503) instead of evicting records. With another
///   policy the store logs a warning at the first connection;
/// * `min-replicas-to-write 1` if a replica can take over: replication is asynchronous, and this only limits the loss
///   of a failover.
///
/// # Records
///
/// A record is a string of 5 to 100 bytes under `scrapest-webhook:` and the key in hex; a delivery has two. With the
/// server's overhead, a record takes about 250 bytes of its memory. Each operation is a Lua script that reads the
/// server's clock. If the server's `INFO` says that it is standalone, one script processes both keys of a delivery: one
/// round trip to claim, one to settle. In a cluster, or if the server does not say (behind a sharding proxy, for
/// example), each script processes one key. The server deletes a record at the end of its retention, or of its lease if
/// that is later. A foreign value under such a key is an error and is never overwritten.
///
/// # Rights of the user
///
/// `ACL SETUSER webhooks on >password ~scrapest-webhook:* +evalsha +eval +get +set +del +pexpire +pttl +time +info`,
/// with `+select` if the URL has a database, `+cluster|slots +ping` in a cluster, and `+role` behind sentinels. Without
/// `+info` the store processes each key of a delivery by itself, and cannot warn of a server that may evict records.
///
/// # Example
///
/// ```
/// use scrapest_webhook::{ScrapestWebhookLayer, store::RedisStore};
///
/// let store = RedisStore::new("redis://localhost:6379/0")?;
/// let layer = ScrapestWebhookLayer::new("a-secret-of-some-24-bytes").with_store(store.clone());
///
/// // For a health endpoint:
/// async fn health(store: &RedisStore) -> u16 {
///     if store.ready().await.is_ok() { 200 } else { 503 }
/// }
///
/// assert!(RedisStore::new("http://localhost").is_err());
/// # Ok::<(), scrapest_webhook::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct RedisStore(Scripts);

impl RedisStore {
    /// Creates a store at one server. The URL begins with `redis://`, `rediss://` (TLS) or `redis+unix://`, or with
    /// `valkey` instead of `redis`; the driver, the crate `redis` 1, documents the rest of it. Certificates are checked
    /// against those that the system trusts.
    ///
    /// # Errors
    ///
    /// If the URL is not the URL of a Redis server. A server that is down is not an error: nothing is connected yet.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        Ok(Self::of(Server::single(url)?))
    }

    /// Creates a store at the primary that these sentinels know as `primary`. After a failover they are asked again.
    /// TLS and database of the first URL apply to the primary. Its user and password apply to the sentinels and the
    /// primary, or only to those that require a password. If their passwords differ, use
    /// [`from_connection`](Self::from_connection).
    ///
    /// # Errors
    ///
    /// If there is no URL, or one is not the URL of a Redis server. Nothing is connected yet.
    ///
    /// ```
    /// use scrapest_webhook::store::RedisStore;
    ///
    /// let store = RedisStore::sentinel(["redis://one:26379", "redis://two:26379"], "mymaster")?;
    /// # Ok::<(), scrapest_webhook::ConfigError>(())
    /// ```
    pub fn sentinel<'a>(
        urls: impl IntoIterator<Item = &'a str>,
        primary: &str,
    ) -> Result<Self, ConfigError> {
        Ok(Self::of(Server::sentinel(urls, primary)?))
    }

    /// Creates a store at the cluster of these nodes, which name the other nodes.
    ///
    /// # Errors
    ///
    /// If there is no URL, or one is not the URL of a Redis server. Nothing is connected yet.
    ///
    /// ```
    /// use scrapest_webhook::store::RedisStore;
    ///
    /// let store = RedisStore::cluster(["redis://one:6379", "redis://two:6379"])?;
    /// # Ok::<(), scrapest_webhook::ConfigError>(())
    /// ```
    pub fn cluster<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        Ok(Self::of(Server::cluster(urls)?))
    }

    /// Creates a store over an existing connection of the crate `redis` 1, for example a `ConnectionManager` or a
    /// `ClusterConnection`: for certificates and other settings that a URL cannot have. The connection must then
    /// reconnect by itself. The limit of 500 ms per operation applies.
    #[must_use]
    pub fn from_connection<C>(connection: C) -> Self
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        Self::of(Server::given(connection))
    }

    /// Sets the prefix of every key. Default: `scrapest-webhook:`. In a cluster it must not contain `{…}`, which would
    /// put all records on one node.
    ///
    /// ```
    /// # use scrapest_webhook::store::RedisStore;
    /// let store = RedisStore::new("redis://localhost")?.with_prefix("staging:webhooks:");
    /// # Ok::<(), scrapest_webhook::ConfigError>(())
    /// ```
    #[must_use]
    pub fn with_prefix(self, prefix: impl Into<String>) -> Self {
        Self(Scripts { prefix: prefix.into().into(), ..self.0 })
    }

    /// Checks that the store can take a delivery, with a claim that expires after 1 ms. So it also finds out whether
    /// the server is full or read-only. A call within that time relies on the earlier claim and does not write. Takes
    /// at most 500 ms. Call it in a health endpoint.
    ///
    /// # Errors
    ///
    /// If the store cannot take a delivery. In a cluster only one node is asked.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let (probe, brief) = (Key::from_bytes([0; 32]), Duration::from_millis(1));
        self.claim(&probe, Owner::random(), brief, brief).await.map(drop)
    }

    fn of(server: Server) -> Self {
        Self(Scripts { link: Arc::new(Link::new(server)), prefix: PREFIX.into() })
    }
}

/// Shows the address, never the login.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("server", self.0.link.server())
            .field("prefix", &self.0.prefix)
            .finish()
    }
}
