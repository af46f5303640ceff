//! The connections, and what is done when one does not work.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{ConnectOptions, Postgres};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::CONNECTIONS;
use super::statements::{FORGET, MIGRATE, MIGRATED};
use crate::store::sql::Failure;

/// How long a question waits for a connection.
const ACQUIRE: Duration = Duration::from_millis(500);
/// How long a connection may take to be made. It is longer than [`ACQUIRE`], so that a slow
/// server gets connected at all: the question that waited has gone, and the next one finds the connection.
pub(super) const CONNECT: Duration = Duration::from_secs(3);
/// How long an answer may take: `statement_timeout` and the network.
const ANSWER: Duration = Duration::from_millis(1_500);
/// How often one question is put again: after a restart of the server all of the pool's connections are replaced.
const TRIES: u32 = 8;

/// Expired records leave so many at a time, and at the latest after half as many claims.
const LEAVE_AT_ONCE: u32 = 1_000;
/// With little to do they leave once a minute.
const LEAVE_EVERY: Duration = Duration::from_secs(60);

pub(super) type Link = Option<PoolConnection<Postgres>>;

pub(super) struct Database {
    pool: PgPool,
    /// Limits the questions that queue in the pool.
    connecting: Arc<Semaphore>,
    /// Limits the questions that find out why there is no connection.
    asking_why: Semaphore,
    migrated: AtomicBool,
    claims: AtomicU32,
    forgot_at: Mutex<Instant>,
}

impl Database {
    pub(super) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            connecting: Arc::new(Semaphore::new(CONNECTIONS as usize)),
            asking_why: Semaphore::new(1),
            migrated: AtomicBool::new(false),
            claims: AtomicU32::new(0),
            forgot_at: Mutex::new(Instant::now()),
        }
    }

    /// Puts a question that may be repeated, on the connection that the caller has or gets.
    pub(super) async fn ask<T>(
        &self,
        link: &mut Link,
        question: impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>,
    ) -> Result<T, Failure> {
        let mut tries = 0;
        let mut deadline = None;
        loop {
            if link.is_none() {
                *link = Some(self.connect().await?);
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + ANSWER);
            // There is one: it was put there.
            let Some(connection) = link else { continue };
            let answered = timeout_at(deadline, async {
                self.migrate(connection).await?;
                question(connection).await
            });
            let error = match answered.await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(elapsed) => sqlx::Error::Io(elapsed.into()),
            };
            match verdict(&error) {
                Verdict::Answered => return Err(self.failure(error)),
                Verdict::Again => {}
                // Somebody dropped it, or restored a database without it.
                Verdict::NoTable => self.migrated.store(false, Ordering::Relaxed),
                // Not back to the pool, which would wait for what it has to say.
                Verdict::Broken => drop(link.take().map(PoolConnection::detach)),
            }
            tries += 1;
            if tries > TRIES || Instant::now() >= deadline {
                return Err(self.failure(error));
            }
        }
    }

    async fn connect(&self) -> Result<PoolConnection<Postgres>, Failure> {
        if let Some(idle) = self.pool.try_acquire() {
            return Ok(idle);
        }
        match timeout(ACQUIRE, self.next_connection()).await {
            Ok(Some(Ok(connection))) => Ok(connection),
            Ok(Some(Err(error))) if !matches!(error, sqlx::Error::PoolTimedOut) => {
                Err(self.failure(error))
            }
            _ => Err(self.failure(self.why_not().await)),
        }
    }

    async fn next_connection(&self) -> Option<Result<PoolConnection<Postgres>, sqlx::Error>> {
        // The pool serves in the order of asking: a long queue after an outage reaches each when its time
        // to connect is just over, and so connects nobody, for as long as more come.
        let place = Arc::clone(&self.connecting).acquire_owned().await.ok()?;
        let pool = self.pool.clone();
        // In a task, which goes on when this question has given up.
        let connecting = tokio::spawn(async move {
            let connection = timeout(CONNECT, pool.acquire()).await;
            drop(place);
            connection
        });
        connecting.await.ok()?.ok()
    }

    /// Why there is no connection, which the pool does not tell.
    async fn why_not(&self) -> sqlx::Error {
        // One finds out for all: a connection for each question is what a server that comes back lacks.
        let Ok(_asking) = self.asking_why.try_acquire() else { return sqlx::Error::PoolTimedOut };
        match timeout(ACQUIRE / 2, self.pool.connect_options().connect()).await {
            Ok(Err(error)) => error,
            Ok(Ok(connection)) => {
                drop(connection);
                sqlx::Error::PoolTimedOut
            }
            Err(elapsed) => sqlx::Error::Io(elapsed.into()),
        }
    }

    async fn migrate(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.migrated.load(Ordering::Relaxed) {
            return Ok(());
        }
        let migrated: bool = sqlx::query_scalar(MIGRATED).fetch_one(&mut *connection).await?;
        if !migrated {
            sqlx::raw_sql(MIGRATE).execute(connection).await?;
        }
        self.migrated.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Takes note of claims, and lets expired records leave now and then.
    pub(super) fn claimed(self: &Arc<Self>, claims: usize) {
        let claims = u32::try_from(claims).unwrap_or(u32::MAX);
        let claims = self.claims.fetch_add(claims, Ordering::Relaxed).saturating_add(claims);
        let mut forgot_at = self.forgot_at.lock().unwrap_or_else(PoisonError::into_inner);
        if claims >= LEAVE_AT_ONCE / 2 || forgot_at.elapsed() >= LEAVE_EVERY {
            self.claims.store(0, Ordering::Relaxed);
            *forgot_at = Instant::now();
            tokio::spawn(Arc::clone(self).forget());
        }
    }

    async fn forget(self: Arc<Self>) {
        let mut link = None;
        let forgotten = self.ask(&mut link, |connection| {
            Box::pin(async {
                let forget = sqlx::query(FORGET).bind(i64::from(LEAVE_AT_ONCE));
                forget.execute(connection).await.map(|done| done.rows_affected())
            })
        });
        match forgotten.await {
            Ok(records) => tracing::debug!(records, "expired records left"),
            // The next claims bring the next chance.
            Err(error) => tracing::debug!(%error, "expired records stay for now"),
        }
    }

    fn failure(&self, error: sqlx::Error) -> Failure {
        Failure::new(self.name(), error)
    }

    /// Where it is. Of the rest of its options one is the password.
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

enum Verdict {
    /// The server has answered: with an error.
    Answered,
    /// It could not be done beside what others did, as happens in a pool that is not at `READ COMMITTED`.
    Again,
    NoTable,
    /// The connection is of no use any more.
    Broken,
}

fn verdict(error: &sqlx::Error) -> Verdict {
    use sqlx::Error::{Io, Protocol, Tls, WorkerCrashed};
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    match error.as_database_error().map(|error| error.code()) {
        None if matches!(error, Io(_) | Protocol(_) | Tls(_) | WorkerCrashed) => Verdict::Broken,
        Some(Some(code)) => match &*code {
            "40001" | "40P01" => Verdict::Again,
            "42P01" => Verdict::NoTable,
            // The server shuts down, crashed, starts, or ends this connection.
            "57P01" | "57P02" | "57P03" | "57P05" => Verdict::Broken,
            _ => Verdict::Answered,
        },
        _ => Verdict::Answered,
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresStore({})", self.name())
    }
}
