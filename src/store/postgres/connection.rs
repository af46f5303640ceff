//! One connection to the server, opened when it is first needed and replaced when it breaks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Row};
use tokio::time::{Instant, timeout};

use super::failure::{Verdict, hint, verdict};
use super::statements::{self, MIGRATE, MIGRATED};
use crate::store::sql::Failure;

/// The limit for connecting.
const CONNECT: Duration = Duration::from_secs(3);
/// The limit for an answer: `statement_timeout` (1 s) and the network.
const ANSWER: Duration = Duration::from_millis(1_500);
/// How many times to send statements that break their connection or conflict with another transaction.
const TRIES: u32 = 3;
/// The oldest supported version, PostgreSQL 12.
const OLDEST: u32 = 120_000;

/// How to connect to the server.
#[derive(Clone)]
pub(super) enum Server {
    Options(Box<PgConnectOptions>),
    /// With the options of this pool, which may change.
    Pool(PgPool),
}

impl Server {
    fn options(&self) -> PgConnectOptions {
        match self {
            Self::Options(options) => (**options).clone(),
            Self::Pool(pool) => (*pool.connect_options()).clone(),
        }
    }
}

/// Shows only the address and the database: the other options contain the password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.options();
        let place = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let database = options.get_database().unwrap_or(options.get_username());
        write!(f, "postgres at {place}, database {database}")
    }
}

pub(super) struct Connection {
    server: Server,
    connection: Option<PgConnection>,
    /// A part of each transaction's text, by which the backend that runs it can be found.
    tag: String,
    /// Whether a connection was dropped while its backend may still be waiting.
    left_behind: bool,
    /// Whether the table exists. The connections of a store share this.
    migrated: Arc<AtomicBool>,
}

impl Connection {
    pub(super) fn new(server: Server, migrated: Arc<AtomicBool>) -> Self {
        let tag = format!("scrapest-webhook {:016x}", rand::random::<u64>());
        Self { server, connection: None, tag, left_behind: false, migrated }
    }

    /// Runs statements in their own transaction. It may run them again, so they must be safe to repeat.
    pub(super) async fn run(&mut self, statements: &str) -> Result<Vec<PgRow>, Failure> {
        let transaction = statements::transaction(&self.tag, statements);
        let began = Instant::now();
        for tries in 1.. {
            let error = match self.try_run(&transaction).await {
                Ok(rows) => return Ok(rows),
                Err(error) => error,
            };
            let verdict = verdict(&error);
            match verdict {
                Verdict::Broken => self.connection = None,
                Verdict::NoTable => self.migrated.store(false, Ordering::Relaxed),
                Verdict::Again | Verdict::Answered => {}
            }
            self.roll_back().await;
            if verdict == Verdict::Answered || tries == TRIES || began.elapsed() >= ANSWER {
                return Err(self.failure(error));
            }
        }
        Ok(Vec::new())
    }

    async fn try_run(&mut self, transaction: &str) -> Result<Vec<PgRow>, sqlx::Error> {
        let connection = self.connected().await?;
        match timeout(ANSWER, query(connection, transaction)).await {
            Ok(answer) => answer,
            Err(elapsed) => {
                // The server may be about to answer, or may wait forever.
                self.left_behind = true;
                Err(sqlx::Error::Io(elapsed.into()))
            }
        }
    }

    /// Ends a transaction in which a statement failed.
    async fn roll_back(&mut self) {
        if let Some(connection) = &mut self.connection
            && !matches!(timeout(ANSWER, query(connection, "ROLLBACK")).await, Ok(Ok(_)))
        {
            self.connection = None;
        }
    }

    async fn connected(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        if self.connection.is_none() {
            let connected = timeout(CONNECT, self.connect()).await;
            self.connection = Some(connected.map_err(|elapsed| sqlx::Error::Io(elapsed.into()))??);
            self.left_behind = false;
        }
        let connection = self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
        if !self.migrated.load(Ordering::Relaxed) {
            let migrating = timeout(CONNECT, migrate(connection)).await;
            migrating.map_err(|elapsed| sqlx::Error::Io(elapsed.into()))??;
            self.migrated.store(true, Ordering::Relaxed);
        }
        Ok(connection)
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = PgConnection::connect_with(&self.server.options()).await?;
        if let Some(version) = connection.server_version_num().filter(|version| *version < OLDEST) {
            let version = version / 10_000;
            return Err(sqlx::Error::Configuration(
                format!("PostgreSQL is {version}, expected 12 or newer").into(),
            ));
        }
        if self.left_behind {
            query(&mut connection, &statements::end_backend_of(&self.tag)).await?;
        }
        Ok(connection)
    }

    fn failure(&self, error: sqlx::Error) -> Failure {
        Failure::caused(format!("{}{}", self.server, hint(&error)), error)
    }
}

impl Connection {
    /// Reads rows.
    pub(super) fn read<T, C: FromIterator<T>>(
        &self,
        rows: &[PgRow],
        read: impl Fn(&PgRow) -> Result<T, sqlx::Error>,
    ) -> Result<C, Failure> {
        rows.iter().map(read).collect::<Result<C, _>>().map_err(|error| self.failure(error))
    }
}

async fn migrate(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let found = query(connection, MIGRATED).await?;
    let is_migrated = found.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false);
    if !is_migrated {
        query(connection, MIGRATE).await?;
    }
    Ok(())
}

pub(super) async fn query(
    connection: &mut PgConnection,
    text: &str,
) -> Result<Vec<PgRow>, sqlx::Error> {
    // `statements` makes the texts, and puts only numbers and hexadecimal digits into them.
    sqlx::raw_sql(AssertSqlSafe(text.to_owned())).fetch_all(connection).await
}
