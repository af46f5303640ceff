//! PostgreSQL: several machines, and a server that is there already.

mod claims;
mod completions;
mod database;
mod statements;
mod transaction;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use self::database::Database;
use self::statements::{CLAIM, RELEASE, RENEW};
use super::sql::{Asked, BatchQueue};
use super::{Claim, DeliveryStore, Fence, Key, Owner, Settled, StoreError};
use crate::config_error::ConfigError;

/// How many questions share a statement at most.
const AT_ONCE: usize = 256;

/// Of its own pool: one each for claims, completions, renewals and releases, and for what expires.
const CONNECTIONS: u32 = 4;

/// Keeps deliveries in PostgreSQL, for receivers on several machines (feature `postgres`).
///
/// Clones share their connections. Receivers on one database are one receiver. PostgreSQL 12 or newer.
///
/// # What it survives
///
/// A claim or a completion that was answered is on the server's disk: each statement has `synchronous_commit`
/// on, whatever the server, the role or the pool says (`remote_apply` stays). So a server that crashes
/// forgets nothing as long as it has `fsync` on, which is its default. One that fails over to a standby
/// forgets nothing only if that standby is synchronous (`synchronous_standby_names`).
///
/// While the server is down the application runs on: each verb is an error, within 3 s, so that deliveries
/// are refused with 503; one warning says so at the beginning, and one line at the end. Connections that
/// broke are replaced.
///
/// # Many at once
///
/// Claims that arrive while a statement is in flight go out together in the next one, and so do
/// completions. So it takes two connections for any number of deliveries, and one commit for many. The time
/// is the server's.
///
/// # The table
///
/// `scrapest_webhook_deliveries`, in the first schema of the `search_path`. It is created with the first
/// question if it is missing. If the receiver runs without the right to create tables, run it once with
/// that right: the migration is safe to run twice and at once. Expired records leave 1,000 at a time, so
/// that there are never many more than the retention needs: about 400 bytes each, two a delivery.
///
/// ```no_run
/// use scrapest_webhook::{ScrapestWebhookLayer, store::PostgresStore};
///
/// # async fn app() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresStore::new("postgres://app:password@db.internal/app")?;
/// let layer = ScrapestWebhookLayer::new("a-secret-of-some-24-bytes").with_store(store.clone());
/// // In the health endpoint:
/// let ready = store.ready().await.is_ok();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

struct Inner {
    database: Arc<Database>,
    claims: Arc<BatchQueue<claims::Job>>,
    completions: Arc<BatchQueue<completions::Job>>,
}

impl PostgresStore {
    /// The store at this URL, `postgres://user:password@host:port/database`, with the parameters that libpq
    /// and sqlx know, such as `sslmode=verify-full` and `options=-csearch_path%3Dwebhooks`. It connects
    /// when it is first asked, with at most 4 connections and a `statement_timeout` of 1 s unless
    /// `options` sets another.
    ///
    /// For a connection pooler in transaction mode, and for settings that a URL does not have, use
    /// [`from_pool`](Self::from_pool).
    ///
    /// # Errors
    ///
    /// If it is no URL of PostgreSQL, or has a parameter that is not known. The text has nothing of the
    /// URL's password.
    ///
    /// ```
    /// # use scrapest_webhook::store::PostgresStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// assert!(PostgresStore::new("postgres://app:password@localhost/app?sslmod=require").is_err());
    /// let store = PostgresStore::new("postgres://app:password@localhost/app?sslmode=require").unwrap();
    /// assert_eq!(format!("{store:?}"), "PostgresStore(postgres at localhost:5432, database app)");
    /// # }
    /// ```
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let refuse = |text| ConfigError::new("store", text);
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(refuse(
                "is not a postgres URL, expected postgres://user@host/database".into(),
            ));
        }
        // sqlx would log it with its value, which may be a misspelt password.
        if has_unknown_parameter(url) {
            let known = PARAMETERS.join(", ");
            return Err(refuse(format!(
                "unknown parameter in the postgres URL, expected: {known}"
            )));
        }
        let mut options = PgConnectOptions::from_str(url)
            // Without the driver's words, which repeat the value: it may be a password in the wrong place.
            .map_err(|_| {
                refuse(
                    "is not a postgres URL, expected postgres://user@host:port/database, with sslmode one of: \
                     disable, allow, prefer, require, verify-ca, verify-full"
                        .into(),
                )
            })?
            // A question that failed is logged by its caller, who knows what it means.
            .disable_statement_logging();
        if !options.get_options().is_some_and(|options| options.contains("statement_timeout")) {
            options = options.options([("statement_timeout", "1s")]);
        }
        if options.get_application_name().is_none() {
            options = options.application_name("scrapest-webhook");
        }
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(database::CONNECT)
            // One that broke is replaced when that is found out.
            .test_before_acquire(false)
            // Either would need a runtime here, where there may be none yet.
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options);
        Ok(Self::from_pool(pool))
    }

    /// The store in the database of this pool, beside whatever else it is used for. It takes up to 4 of its
    /// connections, and 2 while nothing but deliveries that succeed arrives.
    ///
    /// Set a `statement_timeout` of about 1 s in it, if the rest of the application allows that: a
    /// statement that waits for longer is given up by the store in any case, but goes on in the server.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqlx::Error> {
    /// use scrapest_webhook::store::PostgresStore;
    ///
    /// let pool = sqlx::PgPool::connect_lazy("postgres://app:password@localhost/app")?;
    /// let store = PostgresStore::from_pool(pool);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn from_pool(pool: PgPool) -> Self {
        Self(Arc::new(Inner {
            database: Arc::new(Database::new(pool)),
            claims: BatchQueue::new(),
            completions: BatchQueue::new(),
        }))
    }

    /// Whether the server answers and lets us write, for a health endpoint, or at start to fail early.
    ///
    /// # Errors
    ///
    /// Why not, within 3 s: it is down, it refuses us, all its connections are taken, it is a standby.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let nothing: Vec<Vec<u8>> = Vec::new();
        let mut link = None;
        let asked = self.0.database.ask(&mut link, |connection| {
            let query = sqlx::query(CLAIM).bind(nothing.clone()).bind(nothing.clone());
            let query = query.bind(0.0).bind(0.0);
            Box::pin(async { query.execute(connection).await.map(drop) })
        });
        asked.await.map_err(StoreError::new)
    }

    async fn update(
        &self,
        statement: &'static str,
        key: &Key,
        owner: Owner,
        lease: Option<Duration>,
    ) -> Result<Settled, StoreError> {
        let (key, owner) = (key.as_bytes().to_vec(), owner.to_bytes().to_vec());
        let database = Arc::clone(&self.0.database);
        // In a task: a caller that gives up does not leave a connection behind in the middle of an answer.
        let asking = tokio::spawn(async move {
            let mut link = None;
            let asked = database.ask(&mut link, |connection| {
                let mut query = sqlx::query(statement).bind(key.clone()).bind(owner.clone());
                if let Some(lease) = lease {
                    query = query.bind(seconds(lease));
                }
                Box::pin(async { query.execute(connection).await.map(|done| done.rows_affected()) })
            });
            asked.await
        });
        let updated = asking.await.map_err(StoreError::new)?.map_err(StoreError::new)?;
        Ok(if updated > 0 { Settled::Done } else { Settled::Lost })
    }
}

impl DeliveryStore for PostgresStore {
    async fn claim(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claim, StoreError> {
        let (asked, answer) = Asked::new(claims::Wanted { key: *key, owner, lease, keep });
        let database = Arc::clone(&self.0.database);
        self.0.claims.put(asked, |leader| claims::lead(database, leader));
        answer.wait().await
    }

    async fn renew(&self, key: &Key, owner: Owner, lease: Duration) -> Result<Settled, StoreError> {
        self.update(RENEW, key, owner, Some(lease)).await
    }

    async fn complete(
        &self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        let (asked, answer) = Asked::new(completions::Success { key: *key, owner, fence, keep });
        let database = Arc::clone(&self.0.database);
        self.0.completions.put(asked, |leader| completions::lead(database, leader));
        answer.wait().await
    }

    async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
        self.update(RELEASE, key, owner, None).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.ready().await
    }
}

/// Where it is, never the password.
impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.database.fmt(f)
    }
}

/// As PostgreSQL takes it. A thousand years stand for ever: it has no later dates than 294276.
fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64().min(1_000.0 * 365.0 * 86_400.0)
}

/// Those of `PgConnectOptions::from_str`.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

fn has_unknown_parameter(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut names = query.split('&').filter_map(|pair| pair.split('=').next());
    names.any(|name| {
        !name.is_empty() && !PARAMETERS.contains(&name) && !name.starts_with("options[")
    })
}
