//! SQLite: operations that arrive while the disk is busy share the next commit.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Mutex, oneshot};

use super::engine::{Engine, Found, RunId, Settled, Settlement, Wanted};
use super::error::QueueError;
use super::job::NewJob;
use super::record::{Depth, JobRecord};
use super::statements::{INDEXES, TABLE_SQLITE};
use crate::config_error::ConfigError;
use crate::store::SqliteStore;

/// How long a transaction may wait for other processes that write. Together with the wait in the queue, this is
/// shorter than the time that a sender waits for a response.
const BUSY: Duration = Duration::from_secs(1);
/// The maximum number of operations in a transaction.
const AT_ONCE: usize = 256;

mod verbs {
    crate::queue::verbs::verbs!(sqlx::sqlite::SqliteConnection, super::SqliteRow, sqlite, true);
}

/// One connection, which runs one transaction after another.
#[derive(Clone)]
pub(super) struct Sqlite(Arc<Inner>);

struct Inner {
    path: PathBuf,
    options: SqliteConnectOptions,
    waiting: StdMutex<Vec<Box<dyn Op>>>,
    connection: Mutex<Option<SqliteConnection>>,
    /// Whether the write-ahead log may contain an erased body, possibly from an earlier process.
    has_erased: AtomicBool,
}

impl Sqlite {
    pub(super) fn new(url: &str) -> Result<Self, ConfigError> {
        // The store checks the path and reports errors.
        SqliteStore::new(url).map_err(|error| ConfigError::new("queue", text(&error)))?;
        let options = match url.starts_with("sqlite:") {
            true => SqliteConnectOptions::from_str(url)
                .map_err(|error| ConfigError::new("queue", format!("is not a URL: {error}")))?,
            false => SqliteConnectOptions::new().filename(url),
        };
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // Overwrites erased data with zeros.
            .pragma("secure_delete", "ON")
            .busy_timeout(BUSY)
            // The caller logs failed statements, with their consequences.
            .disable_statement_logging();
        let path = options.get_filename().to_path_buf();
        Ok(Self(Arc::new(Inner {
            path,
            options,
            waiting: StdMutex::default(),
            connection: Mutex::new(None),
            has_erased: AtomicBool::new(true),
        })))
    }

    /// Runs a closure in a transaction that it shares with other operations.
    async fn run<T, F>(&self, question: F) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: for<'c> FnMut(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>
            + Send
            + 'static,
    {
        let (to, from) = oneshot::channel();
        self.waiting().push(Box::new(Asked { question, answer: None, to }));
        let inner = Arc::clone(&self.0);
        // In a task, so that a caller that gives up does not end the operations of others.
        tokio::spawn(async move { inner.answer().await });
        from.await.unwrap_or_else(|_| Err(QueueError::new("the calling runtime has ended")))
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Box<dyn Op>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn erased(&self) {
        self.0.has_erased.store(true, Ordering::Relaxed);
    }

    /// Empties the write-ahead log, which may still contain an erased body.
    async fn scrub_disk(&self) -> Result<(), QueueError> {
        if !self.0.has_erased.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let mut connection = self.0.connection.lock().await;
        let scrubbed: Result<(i64, i64, i64), _> = match &mut *connection {
            Some(connection) => {
                let checkpoint = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)");
                checkpoint.fetch_one(connection).await
            }
            None => Ok((1, 0, 0)),
        };
        // If the database is not open, or another process reads it, this is repeated later.
        if !matches!(scrubbed, Ok((0, ..))) {
            self.erased();
        }
        scrubbed.map(drop).map_err(|error| self.0.failure(error))
    }
}

impl Inner {
    /// Runs the waiting operations, unless another task has done so already.
    async fn answer(&self) {
        let mut connection = self.connection.lock().await;
        let mut ops = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let most = waiting.len().min(AT_ONCE);
            waiting.drain(..most).collect::<Vec<_>>()
        };
        ops.retain(|op| !op.is_abandoned());
        if ops.is_empty() {
            return;
        }
        match self.transact(&mut connection, &mut ops).await {
            Ok(()) => ops.into_iter().for_each(Op::tell),
            Err(error) => {
                // Whatever the cause was, the next operation opens a new connection.
                *connection = None;
                let error = Arc::new(self.failure(error));
                ops.into_iter().for_each(|op| op.fail(&error));
            }
        }
    }

    /// No caller receives its answer before this has returned, because only then is it on the disk.
    async fn transact(
        &self,
        connection: &mut Option<SqliteConnection>,
        ops: &mut [Box<dyn Op>],
    ) -> Result<(), sqlx::Error> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(self.open().await?),
        };
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        for op in ops {
            op.put(&mut transaction).await?;
        }
        transaction.commit().await
    }

    async fn open(&self) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = SqliteConnection::connect_with(&self.options).await?;
        // A build of SQLite may silently ignore a pragma, and a guarantee must not depend on that.
        for (pragma, expected) in [("PRAGMA synchronous", 2), ("PRAGMA secure_delete", 1)] {
            let found: i64 = sqlx::query_scalar(pragma).fetch_one(&mut connection).await?;
            if found != expected {
                let text = format!("{pragma} is {found}, expected {expected}");
                return Err(sqlx::Error::Configuration(text.into()));
            }
        }
        for statement in std::iter::once(TABLE_SQLITE).chain(INDEXES) {
            sqlx::query(statement).execute(&mut connection).await?;
        }
        Ok(connection)
    }

    /// Builds the error from SQLite's text, the file, and what to check.
    fn failure(&self, error: sqlx::Error) -> QueueError {
        let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
        // See https://www.sqlite.org/rescode.html: the low byte of an extended code is the primary code.
        let hint = match code.map(|code| code & 0xff) {
            Some(5 | 6) => ", which another process keeps locked",
            Some(8) => ", which cannot be written to",
            Some(13) => ", whose disk is full",
            Some(14) => ", which cannot be opened (does its folder exist, and is it writable?)",
            Some(26) => ", which is not a SQLite database",
            Some(1) => ", whose table scrapest_webhook_jobs may be of another version",
            _ => "",
        };
        QueueError::with_source(format!("sqlite file {}{hint}", self.path.display()), error)
    }
}

/// An operation in a shared transaction.
trait Op: Send {
    /// Whether its caller no longer waits, so that it can be skipped.
    fn is_abandoned(&self) -> bool;
    fn put<'c>(
        &'c mut self,
        connection: &'c mut SqliteConnection,
    ) -> BoxFuture<'c, Result<(), sqlx::Error>>;
    /// Sends the answer, after the commit.
    fn tell(self: Box<Self>);
    fn fail(self: Box<Self>, error: &Arc<QueueError>);
}

struct Asked<F, T> {
    question: F,
    answer: Option<T>,
    to: oneshot::Sender<Result<T, QueueError>>,
}

impl<F, T> Op for Asked<F, T>
where
    T: Send,
    F: for<'c> FnMut(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send,
{
    fn is_abandoned(&self) -> bool {
        self.to.is_closed()
    }

    fn put<'c>(
        &'c mut self,
        connection: &'c mut SqliteConnection,
    ) -> BoxFuture<'c, Result<(), sqlx::Error>> {
        Box::pin(async {
            self.answer = Some((self.question)(connection).await?);
            Ok(())
        })
    }

    fn tell(self: Box<Self>) {
        if let Some(answer) = self.answer {
            // A caller that has given up retries.
            _ = self.to.send(Ok(answer));
        }
    }

    fn fail(self: Box<Self>, error: &Arc<QueueError>) {
        let error = Arc::clone(error);
        _ = self.to.send(Err(QueueError::shared(error)));
    }
}

crate::queue::engine::impl_engine!(Sqlite);

/// Prints the file, never its contents.
impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite file {}", self.0.path.display())
    }
}

/// The text of the error, without the name of the store's setting.
fn text(error: &ConfigError) -> String {
    let text = error.to_string();
    text.strip_prefix("store: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Engine, Sqlite};

    #[tokio::test]
    async fn the_connection_syncs_each_commit_and_overwrites_erased_data() {
        let folder =
            std::env::temp_dir().join(format!("scrapest-webhook-queue-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let engine = Sqlite::new(&format!("sqlite:{}/queue.db", folder.display())).unwrap();
        engine.ready().await.unwrap();
        let pragmas = engine.run(|connection| {
            Box::pin(async {
                let mut found: Vec<String> = Vec::new();
                for pragma in ["synchronous", "secure_delete", "journal_mode"] {
                    let ask =
                        sqlx::AssertSqlSafe(format!("SELECT {pragma} || '' FROM pragma_{pragma}"));
                    found.push(sqlx::query_scalar(ask).fetch_one(&mut *connection).await?);
                }
                Ok(found)
            })
        });
        // 2 is FULL.
        assert_eq!(pragmas.await.unwrap(), ["2", "1", "wal"]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
