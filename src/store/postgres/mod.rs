//! The store in PostgreSQL, for several machines.

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
/// How many expired records are deleted at a time. They are deleted after half as many claims at the latest.
const LEAVE_AT_ONCE: u32 = 1_000;
/// With fewer claims, expired records are deleted once a minute.
const LEAVE_EVERY: Duration = Duration::from_secs(60);

/// Keeps deliveries in PostgreSQL, for receivers on several machines (feature `postgres`).
///
/// Clones share their connections. Receivers on one database act as one receiver. PostgreSQL 12 or newer is required.
///
/// # Crashes and outages
///
/// A claim or a completion that was answered is on the server's disk: each statement sets `synchronous_commit` to `on`,
/// and overrides the server, the role and the pool (`remote_apply` is kept). So a server that crashes loses nothing if
/// `fsync` is on, which is its default. After a failover to a standby nothing is lost only if that standby is
/// synchronous (`synchronous_standby_names`).
///
/// While the server is down the application keeps running. Each operation fails within 3 s, and deliveries are
/// refused with 503. The log has one warning when the outage begins, and one line when it ends. Broken connections are
/// replaced.
///
/// # Connections
///
/// The store has three connections, however many deliveries there are: one for claims, one for renewals and releases,
/// one for completions. Operations that arrive while a statement is in flight share the next one, so many deliveries
/// share a commit. Claims and completions take turns, but neither waits for the other for more than 20 ms. A connection
/// that breaks or leads to a read-only server is replaced. If a connection does not answer, the store ends its backend.
/// The time is the server's.
///
/// A pooler in transaction mode may be in between (PgBouncer, Supavisor, RDS Proxy): each statement is its own
/// transaction, and leaves no prepared statement and no setting behind.
///
/// A record that another transaction has locked counts as in progress, and nothing waits for it.
///
/// # The table
///
/// The table is `scrapest_webhook_deliveries`, in the first schema of the `search_path`. If it is missing, the first
/// operation creates it. If the receiver must not have the right to create tables, run it once with that right: the
/// migration is safe to run repeatedly and concurrently. Expired records are deleted 1,000 at a time, so there are
/// never many more than the retention needs: about 400 bytes each, two per delivery.
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
    /// Shared by claims and completions.
    turn: Turn,
    /// Whether the table exists.
    migrated: Arc<AtomicBool>,
    /// The claims since expired records were last deleted.
    claimed: AtomicU32,
    forgot_at: Mutex<Instant>,
}

impl PostgresStore {
    /// Creates a store for this URL, `postgres://user:password@host:port/database`, with the parameters of libpq and
    /// sqlx, for example `sslmode=verify-full` and `options=-csearch_path%3Dwebhooks` (which a pooler may refuse). The
    /// first operation connects. No statement takes longer than 1 s.
    ///
    /// For settings that a URL cannot have, use [`from_pool`](Self::from_pool).
    ///
    /// # Errors
    ///
    /// If it is not a PostgreSQL URL, or has an unknown parameter. The text contains no part of the URL's password.
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

    /// Creates a store in the database of this pool. It uses the pool's connect options (address, TLS, user, password
    /// and options, also after they change), but none of its connections: it opens 3 of its own, so that handlers that
    /// hold all connections of the pool do not block the store. The pool's `after_connect` is not called; put such
    /// settings into the options.
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

    /// Checks that deliveries can be claimed, renewed, completed and forgotten, over each connection. Call it in a
    /// health endpoint, or at the start to fail early.
    ///
    /// # Errors
    ///
    /// If they cannot, within 3 s: the server is down, refuses the login, is a standby, is too old, or a right is
    /// missing.
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

    /// Counts a claim, and deletes expired records now and then.
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
        // No caller waits for it. If the thread does not start, the next question gets the error.
        _ = leases
            .tell(forget, thread, |batches| changes::work(connection, batches, Turn::default()));
    }
}

impl DeliveryStore for PostgresStore {
    asking_verbs!();
}

/// Shows the address, never the password.
impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresStore({})", self.0.server)
    }
}
