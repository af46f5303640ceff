//! PostgreSQL: several machines, and a server that is there already.

mod asking;
mod changes;
mod claims;
mod connection;
mod failure;
mod record;
mod statements;
mod transaction;
mod turn;
mod url;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join4;
use sqlx::postgres::PgPool;
use tokio::time::Instant;

use self::connection::{Connection, Server};
use self::turn::Turn;
use super::sql::{Answer, BatchQueue, OwnThread, Question, Verb, asking_verbs};
use super::{DeliveryStore, Fence, Key, Owner, Settled, Settlement, StoreError};
use crate::config_error::ConfigError;

/// How many questions share a statement at most.
const AT_ONCE: usize = 256;
/// Expired records leave so many at a time, and at the latest after half as many claims.
const LEAVE_AT_ONCE: u32 = 1_000;
/// With little to do they leave once a minute.
const LEAVE_EVERY: Duration = Duration::from_secs(60);

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
/// # Its connections
///
/// Three, however many deliveries there are: one for claims, one for renewals and releases, one for completions. What is
/// asked while a statement is in flight goes out together in the next one, so that many deliveries share a commit. Claims
/// and completions take turns, but neither waits for the other for more than 20 ms. A connection that breaks, or that
/// leads to a server which only reads, is replaced; the backend of one that does not answer is ended. The time is the
/// server's.
///
/// A pooler in transaction mode may be in between (PgBouncer, Supavisor, RDS Proxy): each statement is a transaction of
/// its own, and leaves no prepared statement and no setting behind.
///
/// A record that another transaction has locked is in progress, and nothing waits for it.
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
    server: Server,
    thread: OwnThread,
    claims: BatchQueue,
    leases: BatchQueue,
    completions: BatchQueue,
    /// Of claims and completions.
    turn: Turn,
    /// Whether the table is there.
    migrated: Arc<AtomicBool>,
    /// Since expired records left.
    claimed: AtomicU32,
    forgot_at: Mutex<Instant>,
}

impl PostgresStore {
    /// The store at this URL, `postgres://user:password@host:port/database`, with the parameters that libpq
    /// and sqlx know, such as `sslmode=verify-full` and `options=-csearch_path%3Dwebhooks` (which a pooler may refuse).
    /// It connects when it is first asked, with 3 connections. No statement takes longer than 1 s.
    ///
    /// For settings that a URL does not have use [`from_pool`](Self::from_pool).
    ///
    /// # Errors
    ///
    /// If it is not a URL of PostgreSQL, or has a parameter that is not known. The text has nothing of the
    /// URL's password.
    ///
    /// ```
    /// # use scrapest_webhook::store::PostgresStore;
    /// assert!(PostgresStore::new("postgres://app:password@localhost/app?sslmod=require").is_err());
    /// let store = PostgresStore::new("postgres://app:password@localhost/app?sslmode=require")?;
    /// assert_eq!(format!("{store:?}"), "PostgresStore(postgres at localhost:5432, database app)");
    /// # Ok::<(), scrapest_webhook::ConfigError>(())
    /// ```
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let options = url::options(url).map_err(|text| ConfigError::new("store", text))?;
        Ok(Self::of(Server::Options(Box::new(options))))
    }

    /// The store in the database of this pool. It takes the pool's way of connecting (address, TLS, user, password and
    /// options, also when they change), and none of its connections: it makes 3 of its own beside them, so that a
    /// handler which holds all connections of the pool does not hold up the store. What the pool does after connecting
    /// (`after_connect`) is not done; what it sets there belongs into the options.
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
        Self::of(Server::Pool(pool))
    }

    fn of(server: Server) -> Self {
        Self(Arc::new(Inner {
            server,
            thread: OwnThread::new("postgres-store"),
            claims: BatchQueue::default(),
            leases: BatchQueue::default(),
            completions: BatchQueue::default(),
            turn: Turn::default(),
            migrated: Arc::default(),
            claimed: AtomicU32::new(0),
            forgot_at: Mutex::new(Instant::now()),
        }))
    }

    /// Whether a delivery could be claimed, renewed, completed and forgotten now, for a health endpoint, or at start to
    /// fail early. Each connection is asked.
    ///
    /// # Errors
    ///
    /// Why not, within 3 s: the server is down, it refuses us, a right is missing, it is a standby, it is too old.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let owner = Owner::random();
        let completion = Settlement::Complete { keep: Duration::ZERO };
        let claim = self.claim_all(&mut [], owner, Duration::ZERO, Duration::ZERO);
        let renewal = self.renew_all(&[], owner, Duration::ZERO);
        let completion = self.settle_all(&[], owner, completion);
        let forget = self.change(&[], owner, Verb::Forget { most: 0 });
        try_join4(claim, renewal, completion, forget).await.map(drop)
    }

    async fn change(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        verb: Verb,
    ) -> Result<Settled, StoreError> {
        match self.ask(Question { keys: keys.to_vec(), owner, verb }).await? {
            Answer::Settled(settled) => Ok(settled),
            Answer::Claims { .. } => Err(StoreError::new("an answer to a claim")),
        }
    }

    async fn ask(&self, question: Question) -> Result<Answer, StoreError> {
        let Inner { server, thread, claims, leases, completions, turn, migrated, .. } = &*self.0;
        let connection = || Connection::new(server.clone(), Arc::clone(migrated));
        match question.verb {
            Verb::Claim { .. } => {
                let work = |batches| claims::work(connection(), batches, turn.clone());
                let answer = claims.ask(question, thread, work).await?;
                self.claimed();
                Ok(answer)
            }
            Verb::Complete { .. } => {
                let work = |batches| changes::work(connection(), batches, turn.clone());
                completions.ask(question, thread, work).await
            }
            Verb::Renew { .. } | Verb::Release | Verb::Forget { .. } => {
                let work = |batches| changes::work(connection(), batches, Turn::default());
                leases.ask(question, thread, work).await
            }
        }
    }

    /// Takes note of a claim, and lets expired records leave now and then.
    fn claimed(&self) {
        let claimed = self.0.claimed.fetch_add(1, Ordering::Relaxed) + 1;
        let mut forgot_at = self.0.forgot_at.lock().unwrap_or_else(PoisonError::into_inner);
        if claimed < LEAVE_AT_ONCE / 2 && forgot_at.elapsed() < LEAVE_EVERY {
            return;
        }
        self.0.claimed.store(0, Ordering::Relaxed);
        *forgot_at = Instant::now();
        drop(forgot_at);
        let Inner { server, thread, leases, migrated, .. } = &*self.0;
        let connection = Connection::new(server.clone(), Arc::clone(migrated));
        let verb = Verb::Forget { most: LEAVE_AT_ONCE };
        let forget = Question { keys: Vec::new(), owner: Owner::random(), verb };
        // Nobody waits for it. A thread that does not start is said to the next that asks.
        _ = leases
            .tell(forget, thread, |batches| changes::work(connection, batches, Turn::default()));
    }
}

impl DeliveryStore for PostgresStore {
    asking_verbs!();
}

/// Where it is, never the password.
impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresStore({})", self.0.server)
    }
}
