//! Answer now, work later: a durable queue of deliveries (features `queue-sqlite`, `queue-postgres`).
//!
//! 1. [`Queue::accept`] stores a delivery and answers 202; while nothing can be stored it answers 503, and the sender
//!    tries again;
//! 2. [`Queue::work`] runs a handler for each job, in this process or in others, several at once;
//! 3. a job that failed runs again after a backoff; after its last attempt it is dead, and stays until it is
//!    [retried](Queue::retry) or [dropped](Queue::drop) by hand.
//!
//! ```no_run
//! use axum::{Router, routing::post};
//! use scrapest_webhook::{ScrapestWebhookLayer, queue::{Job, Queue}, scrapest};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let queue = Queue::open("sqlite:queue.db").await?;
//! let layer = ScrapestWebhookLayer::new("whsec_3fb1c8a0d94e4a7fb2c6").check()?;
//! let app: Router = Router::new().route("/webhooks", post(queue.accept()).route_layer(layer));
//!
//! tokio::spawn(queue.work(|job: Job| async move {
//!     let event: scrapest::Event = job.event()?;
//!     println!("{event:?}, under the key {}", job.key());
//!     Ok(())
//! }));
//! # let _ = app; Ok(()) }
//! ```
//!
//! # What it promises
//!
//! * **A 202 means stored.** The job is on the disk: `synchronous=FULL` on the connection that wrote it in SQLite,
//!   `synchronous_commit=on` in PostgreSQL.
//! * **A delivery is one job**, however often it comes: while it is pending, running, done or dead, and until the
//!   [retention](Worker::with_retention) of a job that is done is over.
//! * **At least once.** A job runs twice only if its first run did not record its end: the process died between the
//!   effect and the record, the database was away for longer than the lease, or the clock of the database jumped
//!   ahead. File the effect under [`Job::key`].
//! * **Failures are retried** with an exponential backoff that is stored: a restart neither forgets nor hurries it.
//!   A panic is a failure. A run that hangs is ended at its [limit](Worker::with_run_limit).
//! * **A run that is lost is not a failure.** If a process dies with its jobs, they are due again when their lease
//!   ends. Each of them then runs alone in its worker, so that a job that ends its process takes no others with it.
//!   After [so many](Worker::with_max_lost_runs) lost runs it is dead.
//! * **Nothing is dropped.** A job that cannot be decoded is dead with its reason and keeps its body.
//! * **A body is erased when its job succeeds**, unless it is [kept](Worker::with_kept_bodies) for a time.
//!
//! # Clocks
//!
//! The time is the database's: the server's in PostgreSQL, the machine's wall clock in SQLite. A clock that is set
//! forward ends leases and waits early by as much, so that a running job may run twice at once. One that is set
//! back lets them last longer. No job is lost by either.
//!
//! # Metrics
//!
#![cfg_attr(feature = "metrics", doc = include_str!("metrics.md"))]
#![cfg_attr(not(feature = "metrics"), doc = "With the feature `metrics`.")]

mod accept;
mod backoff;
mod engine;
mod error;
mod job;
mod meters;
mod outage;
#[cfg(feature = "queue-postgres")]
mod postgres;
mod record;
#[cfg(feature = "queue-sqlite")]
mod sqlite;
mod statements;
mod verbs;
mod work;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

pub use self::accept::{AcceptFuture, Accepted, Incoming};
pub use self::backoff::Backoff;
use self::engine::Engine;
pub use self::error::{JobError, QueueError};
pub use self::job::Job;
use self::job::{KeptHeaders, NewJob};
#[cfg(feature = "metrics")]
pub use self::meters::describe as describe_metrics;
use self::outage::Outage;
pub use self::record::{Depth, JobRecord, JobState};
pub use self::work::{JobFuture, Worker};
use crate::config_error::ConfigError;
use crate::delivery::Delivery;

const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// How long storing may take: less than a sender waits for its answer.
const STORE_WITHIN: Duration = Duration::from_millis(3_500);

/// A durable queue of deliveries. Clones are the same queue. See the [module](self).
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    outage: Outage,
    /// Wakes a worker of this process when something was stored.
    pushed: Notify,
    /// When the gauges were told how much there is.
    measured: Mutex<Option<Instant>>,
}

impl Queue {
    /// The queue at this URL. Its table, `scrapest_webhook_jobs`, is created if it is missing.
    ///
    /// | URL | feature |
    /// |---|---|
    /// | `sqlite:queue.db`, a file on a disk of this machine | `queue-sqlite` |
    /// | `postgres://user:password@host/database`, PostgreSQL 12 or newer, also through PgBouncer in transaction mode | `queue-postgres` |
    ///
    /// A database that is down does not make it fail: the queue answers 503 until the database is back, and logs that
    /// once. [`is_ready`](Self::is_ready) tells.
    ///
    /// # Errors
    ///
    /// If the URL is wrong, or is of a scheme that this build does not have; the text says what would do, and has
    /// nothing of the URL's password.
    pub async fn open(url: &str) -> Result<Self, ConfigError> {
        let queue = Self(Arc::new(Inner {
            engine: engine::of_url(url)?,
            outage: Outage::default(),
            pushed: Notify::new(),
            measured: Mutex::default(),
        }));
        // Only to say at the start what is wrong.
        _ = queue.ready().await;
        Ok(queue)
    }

    /// Stores a delivery, for a handler that does something else as well. `true` if it is a job now, `false` if it was
    /// one before. Answer 2xx only after that.
    ///
    /// # Errors
    ///
    /// When it is not stored, within 3.5 s. Answer 503, so that the sender tries again.
    pub async fn push(&self, delivery: &Delivery) -> Result<bool, QueueError> {
        self.store(Arc::new(NewJob::new(delivery, KeptHeaders::default()))).await
    }

    async fn store(&self, job: Arc<NewJob>) -> Result<bool, QueueError> {
        let stored = timeout(STORE_WITHIN, self.0.engine.push(job)).await;
        let late =
            || QueueError::new(format!("{:?} took longer than {STORE_WITHIN:?}", self.0.engine));
        let stored = stored.unwrap_or_else(|_| Err(late()));
        meters::pushed(&stored);
        if matches!(stored, Ok(true)) {
            self.0.pushed.notify_one();
        }
        if meters::MEASURE {
            let queue = self.clone();
            tokio::spawn(async move { queue.measure().await });
        }
        self.0.outage.note("push", stored)
    }

    /// Tells the gauges how much there is, every 5 s: in each process that works or stores, so that they are right also
    /// when no worker lives.
    async fn measure(&self) {
        if !meters::MEASURE {
            return;
        }
        {
            let mut measured = self.0.measured.lock().unwrap_or_else(PoisonError::into_inner);
            if measured.is_some_and(|measured| measured.elapsed() < MEASURE_EVERY) {
                return;
            }
            *measured = Some(Instant::now());
        }
        if let Ok(depth) = self.depth().await {
            meters::depth(&depth);
        }
    }

    /// Whether a delivery can be stored now: something is written, and made durable.
    ///
    /// # Errors
    ///
    /// Why not, within 3.5 s.
    pub async fn ready(&self) -> Result<(), QueueError> {
        let ready = timeout(STORE_WITHIN, self.0.engine.ready()).await;
        let late =
            || QueueError::new(format!("{:?} took longer than {STORE_WITHIN:?}", self.0.engine));
        self.0.outage.note("ready", ready.unwrap_or_else(|_| Err(late())))
    }

    /// Whether a delivery can be stored now, for a health endpoint, together with the layer's own `is_ready`.
    pub async fn is_ready(&self) -> bool {
        self.ready().await.is_ok()
    }

    /// How much is in the queue.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        self.0.engine.depth().await
    }

    /// The jobs that are dead, the oldest first, at most 1,000. For more, use [`list`](Self::list).
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn dead(&self) -> Result<Vec<JobRecord>, QueueError> {
        self.list(Some(JobState::Dead), 0, 1_000).await
    }

    /// The jobs of this state, or all, whose id is larger than `after`: at most `most`, in the order of their ids.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn list(
        &self,
        state: Option<JobState>,
        after: i64,
        most: u32,
    ) -> Result<Vec<JobRecord>, QueueError> {
        self.0.engine.list(state.map_or(-1, JobState::number), after, most).await
    }

    /// The job of this id, as it stands.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn find(&self, id: i64) -> Result<Option<JobRecord>, QueueError> {
        let found = self.list(None, id.saturating_sub(1), 1).await?.pop();
        Ok(found.filter(|job| job.id == id))
    }

    /// The body of the job of this id; `None` if it is erased, or if there is no such job.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn body(&self, id: i64) -> Result<Option<Bytes>, QueueError> {
        self.0.engine.body(id).await
    }

    /// Makes a job due now, with all its attempts anew: one that is dead, or one that waits. `false` if there is no such
    /// job, or if it is running or done.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn retry(&self, id: i64) -> Result<bool, QueueError> {
        let is_due = self.0.engine.retry(id).await?;
        if is_due {
            self.0.pushed.notify_one();
        }
        Ok(is_due)
    }

    /// Gives a job up by hand: one that is dead, or one that waits. Its body is erased; its key stays for the retention, so
    /// that the delivery does not become a job again. `false` if there is no such job, or if it is running or done.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn drop(&self, id: i64) -> Result<bool, QueueError> {
        let is_dropped = self.0.engine.drop_job(id).await?;
        self.0.engine.scrub().await?;
        Ok(is_dropped)
    }
}

/// Where it is, never the password.
impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({:?})", self.0.engine)
    }
}
