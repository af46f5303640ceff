//! Redis: receivers on several machines that are one receiver.

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

/// What connecting to a server may take.
const CONNECT_LIMIT: Duration = Duration::from_millis(250);

/// What a verb may take, connecting included.
const OPERATION_LIMIT: Duration = Duration::from_millis(500);

const PREFIX: &str = "scrapest-webhook:";

/// Keeps deliveries in Redis (5 or later) or Valkey (feature `redis`), so that receivers on several machines
/// are one receiver, and a restart of any of them forgets nothing.
///
/// Clones share their connection; so may any number of layers. Nothing is connected before the first use.
/// What is deliberately not configurable: a connection is given up after 250 ms, a verb fails after
/// 500 ms in all, and the layer asks again within its answer deadline. A server that is down is an error
/// of each verb, to which the layer answers 503; the first verb after it is back connects anew.
///
/// # What the server must be set to
///
/// What Redis acknowledged it may still forget, and a delivery that it forgot may run again. So:
///
/// * `appendonly yes`, with `appendfsync everysec` at least: then nothing is lost when Redis is killed, and up to
///   about a second of records when its machine loses power; with `appendfsync always` nothing then
///   either. With the default snapshots alone everything since the last one is lost. `cargo run --example durability
///   --features redis` measures it;
/// * `maxmemory-policy noeviction`: a full server then refuses claims (503) instead of forgetting
///   records. Anything else is warned of at the first connection;
/// * `min-replicas-to-write 1` where a replica takes over: replication is asynchronous, and this only
///   bounds what a failover forgets.
///
/// # What is stored
///
/// One string a key, of 5 to 100 bytes, under `scrapest-webhook:` and the key in hex; a delivery
/// has two. With all that the server adds, a record takes some 250 bytes of its memory. Each verb is one Lua
/// script that takes the time from the server. At a server that says of itself (`INFO`) that it stands alone, one script
/// takes both keys of a delivery: a round trip to claim, one to settle. In a cluster, or where the server
/// does not say, as behind a proxy that shards, each script touches one key. The server drops a record by itself at the end of its retention, or of its lease if that is later. A value of anybody
/// else under such a key is an error and is never overwritten.
///
/// # What its user may do
///
/// `ACL SETUSER webhooks on >password ~scrapest-webhook:* +evalsha +eval +get +set +del +pexpire +pttl +time +info`,
/// with `+select` if the URL has a database, `+cluster|slots +ping` in a cluster, and `+role` behind sentinels. Without
/// `+info` the store takes each key of a delivery by itself, and cannot warn of a server that may forget.
///
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
    /// A store at one server: `redis://`, `rediss://` for TLS, `redis+unix://`, or the same with `valkey`;
    /// the rest of the URL as the driver, the crate `redis` 1, takes it. Certificates are checked against
    /// those that the system trusts.
    ///
    /// # Errors
    ///
    /// If the URL is of no Redis server. Not if the server is down: nothing is connected yet.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        Ok(Self::of(Server::single(url)?))
    }

    /// A store at the primary that these sentinels know as `primary`. After a failover it is asked for
    /// anew. TLS and database in the first URL hold for the primary. Its user and password hold for the sentinels and the
    /// primary, or for the only ones of them that want a password; where they want two that differ, use
    /// [`from_connection`](Self::from_connection).
    ///
    /// # Errors
    ///
    /// If there is no URL, or one is of no Redis server. Nothing is connected yet.
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

    /// A store at the cluster that these nodes are of; the others are found through them.
    ///
    /// # Errors
    ///
    /// If there is no URL, or one is of no Redis server. Nothing is connected yet.
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

    /// A store over a connection of one's own, of the crate `redis` 1, such as its `ConnectionManager` or `ClusterConnection`:
    /// for certificates and whatever else a URL cannot say. Connecting anew is then the
    /// connection's own matter; the limit of 500 ms a verb holds.
    #[must_use]
    pub fn from_connection<C>(connection: C) -> Self
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        Self::of(Server::given(connection))
    }

    /// What every key begins with: `scrapest-webhook:` by default. In a cluster, no `{…}` in it: that
    /// would put all records on one node.
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

    /// Whether the store could take a delivery now, found out by a claim that is gone after 1 ms; a question within that
    /// time relies on it, and writes none. So it also sees a server that is full, or read-only. For a health endpoint;
    /// takes 500 ms at most.
    ///
    /// # Errors
    ///
    /// When it could not. In a cluster one node is asked.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let (probe, brief) = (Key::from_bytes([0; 32]), Duration::from_millis(1));
        self.claim(&probe, Owner::random(), brief, brief).await.map(drop)
    }

    fn of(server: Server) -> Self {
        Self(Scripts { link: Arc::new(Link::new(server)), prefix: PREFIX.into() })
    }
}

/// Where it is, never how to log in.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("server", self.0.link.server())
            .field("prefix", &self.0.prefix)
            .finish()
    }
}
