//! The file, which is opened when it is first needed and again after a failure.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::time::sleep;

use super::statements::SCHEMA;
use crate::store::sql::Failure;

/// How long a question may wait for other processes that write.
const BUSY: Duration = Duration::from_secs(1);

/// The path of the file, and the options to open it.
#[derive(Clone)]
pub(super) struct Location {
    path: PathBuf,
    options: SqliteConnectOptions,
}

/// The file in use.
pub(super) struct File {
    location: Location,
    connection: Option<SqliteConnection>,
    /// The file as it was first opened. Another file at this path would not have its records.
    identity: Option<Identity>,
}

impl Location {
    pub(super) fn new(path: PathBuf, options: SqliteConnectOptions) -> Self {
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            // The caller of a failed statement logs it, because it knows the context.
            .disable_statement_logging();
        Self { path, options }
    }

    pub(super) fn file(&self) -> File {
        File { location: self.clone(), connection: None, identity: None }
    }
}

impl File {
    /// Returns the connection, and opens it if there is none.
    pub(super) async fn connection(&mut self) -> Result<&mut SqliteConnection, Failure> {
        if self.identity.is_some() && identity(&self.location.path) != self.identity {
            let name = self.name();
            return Err(Failure::new(format!(
                "{name} was deleted or replaced while it was in use; put it back, or restart the \
                 receiver, which begins with the file that is there"
            )));
        }
        if self.connection.is_none() {
            let connection = self.open().await.map_err(|error| self.failed(error))?;
            self.identity = identity(&self.location.path);
            self.connection = Some(connection);
        }
        // It was set above.
        self.connection.as_mut().ok_or_else(|| Failure::new(self.location.path.display()))
    }

    async fn open(&self) -> Result<SqliteConnection, sqlx::Error> {
        let mut tries = 0;
        loop {
            match self.try_open().await {
                // Two connections that switch a new file to WAL at the same time do not wait for each other.
                Err(error) if tries < 5 && is_busy(&error) => tries += 1,
                opened => return opened,
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn try_open(&self) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = SqliteConnection::connect_with(&self.location.options).await?;
        for statement in SCHEMA {
            sqlx::query(statement).execute(&mut connection).await?;
        }
        Ok(connection)
    }

    /// Adds the file and the likely cause to an error. The next question opens a new connection.
    pub(super) fn failed(&mut self, error: sqlx::Error) -> Failure {
        self.connection = None;
        // https://www.sqlite.org/rescode.html; extended codes have the primary one in their low byte.
        let hint = match primary_code(&error) {
            Some(5 | 6) => ", which another process keeps locked",
            Some(8) => ", which cannot be written to",
            Some(13) => ", whose disk is full",
            Some(14) => ", which cannot be opened (does its folder exist, and is it writable?)",
            Some(26) => ", which is some other kind of file",
            _ => "",
        };
        Failure::caused(format!("{}{hint}", self.name()), error)
    }

    fn name(&self) -> String {
        format!("sqlite file {}", self.location.path.display())
    }
}

/// Device and inode number, which a file keeps when it is renamed.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// On other systems an open file cannot be deleted.
#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}

fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(5 | 6))
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish()
    }
}
