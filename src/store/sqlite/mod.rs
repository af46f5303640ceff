//! The store in an SQLite file, for one machine. Its records outlast the process.

mod batch;
mod file;
mod statements;
mod transaction;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;

use self::file::Location;
use super::sql::{Answer, BatchQueue, OwnThread, Question, Verb, asking_verbs};
use super::{DeliveryStore, Fence, Key, Owner, Settled, StoreError};
use crate::config_error::ConfigError;

/// Keeps deliveries in an SQLite file, so that they survive restarts on one machine (feature `sqlite`).
///
/// Clones share a connection. Several processes on one file act as one receiver. The file must be on a disk of this
/// machine, not on a network drive.
///
/// # Crashes
///
/// A claim or a completion that was answered is on the disk: the file is in WAL mode with `synchronous=FULL`, and
/// operations that arrive while the disk is busy share the next commit. So nothing is lost when a process is killed, or
/// when the machine loses power, if its disk keeps the writes that it confirms. Two files, `-wal` and `-shm`, belong
/// to the database; do not copy it without them.
///
/// # The clock
///
/// The store uses the wall clock of the machine, because leases and retentions must outlast processes and reboots,
/// which a monotonic clock does not. A clock that is set **forward** ends leases early by as much: a running delivery
/// may then be taken over and run twice at the same time. If the clock is set **back**, a delivery whose process died
/// waits longer for its next attempt. Slewing the clock, as NTP daemons do after their start, has neither effect.
///
/// # The file
///
/// The first operation opens the file, and creates it if it is missing; [`ready`](Self::ready) does so at once. The
/// table `scrapest_webhook_deliveries` is added; other tables in the file are left alone. Each claim deletes a few
/// expired records, and their space is used again, so the file stays as large as its retention needs: about 150 bytes
/// per record, two records per delivery.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use scrapest_webhook::store::{Claim, DeliveryStore, Key, Owner, SqliteStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("scrapest-webhook-doctest-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("deliveries.db");
/// # let path = path.to_str().unwrap();
/// let (lease, keep) = (Duration::from_secs(15), Duration::from_secs(24 * 3_600));
/// let (key, owner) = (Key::from_bytes([7; 32]), Owner::random());
///
/// let store = SqliteStore::new(path)?;
/// let Claim::Acquired { fence, .. } = store.claim(&key, owner, lease, keep).await? else {
///     panic!("nobody else claimed it");
/// };
/// store.complete(&key, owner, fence, keep).await?;
///
/// // The same file in another process, or after a restart.
/// let store = SqliteStore::new(&format!("sqlite:{path}"))?;
/// assert_eq!(store.claim(&key, Owner::random(), lease, keep).await?, Claim::Completed);
/// # std::fs::remove_dir_all(folder)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteStore(Arc<Inner>);

struct Inner {
    location: Location,
    thread: OwnThread,
    questions: BatchQueue,
}

impl SqliteStore {
    /// Creates a store for this file: a path, or a URL like `sqlite:deliveries.db` or
    /// `sqlite:///var/lib/app/deliveries.db`. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// If it names no file to write to: the name is empty or `:memory:` (use a [`MemoryStore`](super::MemoryStore)), or
    /// the URL is read-only or has a parameter that SQLite does not know.
    ///
    /// ```
    /// # use scrapest_webhook::store::SqliteStore;
    /// assert!(SqliteStore::new("sqlite::memory:").is_err());
    /// let store = SqliteStore::new("deliveries.db")?;
    /// # Ok::<(), scrapest_webhook::ConfigError>(())
    /// ```
    pub fn new(url_or_path: &str) -> Result<Self, ConfigError> {
        let refuse = |text: String| ConfigError::new("store", text);
        let (options, query) = if url_or_path.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url_or_path)
                .map_err(|error| refuse(format!("is not a sqlite URL: {error}")))?;
            (options, url_or_path.split_once('?').map_or("", |(_, query)| query))
        } else {
            (SqliteConnectOptions::new().filename(url_or_path), "")
        };
        let path = options.get_filename().to_path_buf();
        if path == Path::new("") {
            return Err(refuse("is sqlite without a file, expected sqlite:path".into()));
        }
        if url_or_path.contains(":memory:") || query.contains("mode=memory") {
            return Err(refuse(
                "is sqlite in memory, which forgets, expected a file, or memory:".into(),
            ));
        }
        if query.contains("mode=ro") || query.contains("immutable=") {
            return Err(refuse("is sqlite read-only, expected a file to write to".into()));
        }
        Ok(Self(Arc::new(Inner {
            location: Location::new(path, options),
            thread: OwnThread::new("sqlite-store"),
            questions: BatchQueue::default(),
        })))
    }

    /// Checks that the file can be opened and written to. Call it in a health endpoint, or at the start to fail early.
    ///
    /// # Errors
    ///
    /// If the file cannot be used: its folder is missing, or it is read-only, not a database, or locked. The text has
    /// the file's path.
    ///
    /// ```
    /// # use scrapest_webhook::store::SqliteStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = SqliteStore::new("/no/such/folder/deliveries.db")?;
    /// let error = store.ready().await.unwrap_err();
    /// assert!(error.to_string().contains("/no/such/folder/deliveries.db"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.change(&[], Owner::random(), Verb::Release).await.map(drop)
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
        let Inner { location, thread, questions } = &*self.0;
        questions.ask(question, thread, |batches| batch::work(location.file(), batches)).await
    }
}

impl DeliveryStore for SqliteStore {
    asking_verbs!();
}

/// Shows the path of the file, never its contents.
impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.location.fmt(f)
    }
}
