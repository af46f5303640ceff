//! The file, opened when it is first needed and again after it failed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;

use super::statements::SCHEMA;
use crate::store::sql::Failure;

/// How long one question may wait for other processes that write.
const BUSY: Duration = Duration::from_secs(1);

pub(super) struct File {
    path: PathBuf,
    options: SqliteConnectOptions,
    connection: Mutex<Option<SqliteConnection>>,
}

impl File {
    pub(super) fn new(path: PathBuf, options: SqliteConnectOptions) -> Self {
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            // A question that failed is logged by its caller, who knows what it means.
            .disable_statement_logging();
        Self { path, options, connection: Mutex::new(None) }
    }

    /// The connection, for one batch at a time.
    pub(super) async fn lock(&self) -> MutexGuard<'_, Option<SqliteConnection>> {
        self.connection.lock().await
    }

    pub(super) async fn open(&self) -> Result<SqliteConnection, Failure> {
        let mut tries = 0;
        loop {
            match self.try_open().await {
                // Two that switch a new file to WAL at once do not wait for each other.
                Err(error) if tries < 5 && is_busy(&error) => tries += 1,
                opened => return opened.map_err(|error| self.failure(error)),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn try_open(&self) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = SqliteConnection::connect_with(&self.options).await?;
        for statement in SCHEMA {
            sqlx::query(statement).execute(&mut connection).await?;
        }
        Ok(connection)
    }

    /// What SQLite says, with the file and what to look at.
    pub(super) fn failure(&self, error: sqlx::Error) -> Failure {
        // https://www.sqlite.org/rescode.html; extended codes have the primary one in their low byte.
        let hint = match primary_code(&error) {
            Some(5 | 6) => ", which another process keeps locked",
            Some(8) => ", which cannot be written to",
            Some(13) => ", whose disk is full",
            Some(14) => ", which cannot be opened (is its folder there, and writable?)",
            Some(26) => ", which is some other kind of file",
            _ => "",
        };
        Failure::new(format!("sqlite file {}{hint}", self.path.display()), error)
    }
}

fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(5 | 6))
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish()
    }
}
