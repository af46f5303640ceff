//! PostgreSQL, also behind a pooler in transaction mode: each operation is one transaction, and no prepared
//! statement outlives it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions, Connection, Postgres as PgDatabase};
use tokio::time::{Instant, timeout_at};

use super::engine::{Engine, Found, RunId, Settled, Settlement, Wanted};
use super::error::QueueError;
use super::job::NewJob;
use super::record::{Depth, JobRecord};
use super::statements::{INDEXES, MIGRATED, MIGRATING, TABLE_POSTGRES};
use crate::config_error::ConfigError;
use crate::store::PostgresStore;

const CONNECTIONS: u32 = 6;
/// How long an operation may take, including a new connection. Shorter than the time that a sender waits for a
/// response.
const ANSWER: Duration = Duration::from_secs(3);
/// How often an operation is tried: after a restart of the server every connection of the pool is broken.
const TRIES: u32 = 2 * CONNECTIONS;

/// Sent in one round trip. A commit must survive a crash, whatever the server, the role or the pooler sets. A
/// stronger setting is kept.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED;
    SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')
        WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true),
        set_config('statement_timeout', '2000', true)";

mod verbs {
    crate::queue::verbs::verbs!(sqlx::postgres::PgConnection, super::PgRow, postgres, false);
}

#[derive(Clone)]
pub(super) struct Postgres(Arc<Inner>);

struct Inner {
    pool: PgPool,
    is_migrated: AtomicBool,
}

impl Postgres {
    pub(super) fn new(url: &str) -> Result<Self, ConfigError> {
        // The store checks the parameters and reports errors.
        PostgresStore::new(url).map_err(|error| ConfigError::new("queue", text(&error)))?;
        let mut options = PgConnectOptions::from_str(url)
            .map_err(|error| ConfigError::new("queue", format!("is not a URL: {error}")))?
            .statement_cache_capacity(0)
            // A pooler may refuse startup parameters that it does not know.
            .extra_float_digits(None)
            .disable_statement_logging();
        if options.get_application_name().is_none() {
            options = options.application_name("scrapest-webhook");
        }
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ANSWER)
            // A broken connection is replaced when a statement fails.
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self(Arc::new(Inner { pool, is_migrated: AtomicBool::new(false) })))
    }

    /// Runs a closure in a transaction.
    async fn run<T, F>(&self, mut question: F) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: for<'c> FnMut(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>
            + Send
            + 'static,
    {
        let inner = Arc::clone(&self.0);
        // In a task, so that a caller that gives up does not leave a connection in the middle of an answer.
        let answering = tokio::spawn(async move {
            let deadline = Instant::now() + ANSWER;
            let mut tries = 0;
            loop {
                let error = match inner.ask(deadline, &mut question).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                };
                tries += 1;
                let is_over = tries >= TRIES || Instant::now() >= deadline;
                if is_over || !inner.may_try_again(&error) {
                    return Err(inner.failure(error));
                }
            }
        });
        let answered = answering.await;
        answered.unwrap_or_else(|_| Err(QueueError::new("the calling runtime has ended")))
    }

    /// Does nothing: the new row version has no body, and VACUUM removes the old one.
    fn erased(&self) {}

    async fn scrub_disk(&self) -> Result<(), QueueError> {
        Ok(())
    }
}

impl Inner {
    async fn ask<T>(
        &self,
        deadline: Instant,
        question: &mut (
                 impl for<'c> FnMut(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send
             ),
    ) -> Result<T, sqlx::Error> {
        let late = |elapsed: tokio::time::error::Elapsed| sqlx::Error::Io(elapsed.into());
        let mut connection = timeout_at(deadline, self.pool.acquire()).await.map_err(late)??;
        let asked = timeout_at(deadline, async {
            self.migrate(&mut connection).await?;
            let mut transaction = connection.begin_with(BEGIN).await?;
            let answer = question(&mut transaction).await?;
            transaction.commit().await?;
            Ok(answer)
        });
        let answered = asked.await.map_err(late).flatten();
        if answered.as_ref().is_err_and(is_broken) {
            // Not returned to the pool, which would wait for the rest of its answer.
            drop(PoolConnection::<PgDatabase>::detach(connection));
        }
        answered
    }

    async fn migrate(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.is_migrated.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut transaction = connection.begin().await?;
        let migrated = sqlx::query_scalar(MIGRATED).persistent(false);
        let is_migrated: bool = migrated.fetch_one(&mut *transaction).await?;
        if !is_migrated {
            for statement in [MIGRATING, TABLE_POSTGRES].into_iter().chain(INDEXES) {
                sqlx::query(statement).persistent(false).execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await?;
        self.is_migrated.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn may_try_again(&self, error: &sqlx::Error) -> bool {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match code.as_deref() {
            // The table was dropped, or a backup without it was restored.
            Some("42P01") => {
                self.is_migrated.store(false, Ordering::Relaxed);
                true
            }
            // The transaction conflicted with another one.
            Some("40001" | "40P01") => true,
            _ => is_broken(error),
        }
    }

    /// Builds the error from PostgreSQL's text and the location. The other options include the password.
    fn failure(&self, error: sqlx::Error) -> QueueError {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let hint = match code.as_deref() {
            Some("42703" | "42804") => {
                ", whose table scrapest_webhook_jobs may be of another version"
            }
            Some("53100") => ", whose disk is full",
            Some("42501") => ", where a permission is missing",
            Some("25006") => ", which is read-only (is it a standby?)",
            _ => "",
        };
        QueueError::with_source(format!("{}{hint}", self.name()), error)
    }

    fn name(&self) -> String {
        let options = self.pool.connect_options();
        let place = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let database = options.get_database().unwrap_or(options.get_username());
        format!("postgres at {place}, database {database}")
    }
}

/// Whether the connection can no longer be used.
fn is_broken(error: &sqlx::Error) -> bool {
    use sqlx::Error::{Io, Protocol, Tls, WorkerCrashed};
    match error.as_database_error().map(|error| error.code()) {
        None => matches!(error, Io(_) | Protocol(_) | Tls(_) | WorkerCrashed),
        // The server is shutting down, has crashed, is starting, ends this connection, or has become a standby.
        Some(Some(code)) => {
            matches!(&*code, "57P01" | "57P02" | "57P03" | "57P05" | "08P01" | "25006")
        }
        Some(None) => false,
    }
}

crate::queue::engine::impl_engine!(Postgres);

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name())
    }
}

/// The text of the error, without the name of the store's setting.
fn text(error: &ConfigError) -> String {
    let text = error.to_string();
    text.strip_prefix("store: ").unwrap_or(&text).to_owned()
}
