//! A durable queue of deliveries, to answer now and work later (features `queue-sqlite`, `queue-postgres`).
//!
//! 1. [`Queue::accept`] stores a delivery and answers 202. While deliveries cannot be stored it answers 503, and
//!    the sender retries.
//! 2. [`Queue::work`] runs a handler for each job, several at once, in this process or in others.
//! 3. A failed job runs again after a backoff. After its last attempt it is dead, and stays until it is
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
//! # Guarantees
//!
//! * **A 202 means stored.** The job is on the disk: SQLite writes with `synchronous=FULL`, PostgreSQL with
//!   `synchronous_commit=on`.
//! * **A delivery is one job**, however often it arrives: while the job is pending, running or dead, and after it
//!   is done until its [retention](Worker::with_retention) is over.
//! * **At least once.** A job runs twice only if the end of its first run was not recorded: the process died
//!   between the effect and the record, the database was away for longer than the lease, or the clock of the
//!   database jumped ahead. Store the effect under [`Job::key`].
//! * **Failures are retried** with an exponential backoff. It is stored, so a restart neither resets nor shortens
//!   it. A panic is a failure. A run that hangs is ended at its [limit](Worker::with_run_limit).
//! * **A lost run is not a failure.** If a process dies, its jobs are due again when their leases end. Each of
//!   them then runs alone in its worker, so that a job that crashes its process affects no others. After [too
//!   many](Worker::with_max_lost_runs) lost runs it is dead.
//! * **Nothing is dropped.** A job that cannot be decoded is dead, with its reason, and keeps its body.
//! * **A body is erased when its job succeeds**, unless [`with_kept_bodies`](Worker::with_kept_bodies) keeps it
//!   for a time.
//!
//! # Clocks
//!
//! The queue uses the clock of its database: the server's clock for PostgreSQL, the machine's wall clock for
//! SQLite. If that clock is set forward, leases and waits end early, so a running job may run a second time at
//! once. If it is set back, they last longer. No job is lost in either case.
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
/// How long storing may take. Shorter than the time that a sender waits for a response.
const STORE_WITHIN: Duration = Duration::from_millis(3_500);

/// A durable queue of deliveries. Clones share the queue. See the [module](self).
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    outage: Outage,
    /// Wakes a worker of this process when a job was stored.
    pushed: Notify,
    /// When the gauges were last updated.
    measured: Mutex<Option<Instant>>,
}

impl Queue {
    /// Opens the queue at this URL. Its table, `scrapest_webhook_jobs`, is created if it is missing.
    ///
    /// | URL | feature |
    /// |---|---|
    /// | `sqlite:queue.db`, a file on a disk of this machine | `queue-sqlite` |
    /// | `postgres://user:password@host/database`, PostgreSQL 12 or newer, also through PgBouncer in transaction mode | `queue-postgres` |
    ///
    /// A database that is down is not an error: the queue answers 503 until the database is back, and logs the
    /// outage once. [`is_ready`](Self::is_ready) reports it.
    ///
    /// # Errors
    ///
    /// If the URL is invalid, or has a scheme that this build does not support. The text says what is expected,
    /// and never contains the URL's password.
    pub async fn open(url: &str) -> Result<Self, ConfigError> {
        let queue = Self(Arc::new(Inner {
            engine: engine::of_url(url)?,
            outage: Outage::default(),
            pushed: Notify::new(),
            measured: Mutex::default(),
        }));
        // Only logs at the start if the database cannot be used.
        _ = queue.ready().await;
        Ok(queue)
    }

    /// Stores a delivery, for a handler that also does something else. Returns `true` if it became a job now,
    /// `false` if it was a job already. Answer 2xx only after that.
    ///
    /// # Errors
    ///
    /// If the delivery could not be stored within 3.5 s. Answer 503, so that the sender retries.
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

    /// Updates the gauges of the queue's size every 5 s. Every process that works or stores does so, so that they
    /// are right even if no worker is alive.
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

    /// Checks whether a delivery can be stored now, with a durable write.
    ///
    /// # Errors
    ///
    /// The reason why it cannot be stored, within 3.5 s.
    pub async fn ready(&self) -> Result<(), QueueError> {
        let ready = timeout(STORE_WITHIN, self.0.engine.ready()).await;
        let late =
            || QueueError::new(format!("{:?} took longer than {STORE_WITHIN:?}", self.0.engine));
        self.0.outage.note("ready", ready.unwrap_or_else(|_| Err(late())))
    }

    /// Whether a delivery can be stored now. For a health endpoint, together with the layer's own `is_ready`.
    pub async fn is_ready(&self) -> bool {
        self.ready().await.is_ok()
    }

    /// Returns the number of jobs in the queue.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        self.0.engine.depth().await
    }

    /// Returns the dead jobs, the oldest first, at most 1,000. For more, use [`list`](Self::list).
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn dead(&self) -> Result<Vec<JobRecord>, QueueError> {
        self.list(Some(JobState::Dead), 0, 1_000).await
    }

    /// Returns the jobs in this state, or in any state, whose id is larger than `after`: at most `most`, in the
    /// order of their ids.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn list(
        &self,
        state: Option<JobState>,
        after: i64,
        most: u32,
    ) -> Result<Vec<JobRecord>, QueueError> {
        self.0.engine.list(state.map_or(-1, JobState::number), after, most).await
    }

    /// Returns the job with this id.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn find(&self, id: i64) -> Result<Option<JobRecord>, QueueError> {
        let found = self.list(None, id.saturating_sub(1), 1).await?.pop();
        Ok(found.filter(|job| job.id == id))
    }

    /// Returns the body of the job with this id. `None` if it was erased, or if there is no such job.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn body(&self, id: i64) -> Result<Option<Bytes>, QueueError> {
        self.0.engine.body(id).await
    }

    /// Makes a dead or waiting job due now, with all its attempts. Returns `false` if there is no such job, or if
    /// it is running or done.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn retry(&self, id: i64) -> Result<bool, QueueError> {
        let is_due = self.0.engine.retry(id).await?;
        if is_due {
            self.0.pushed.notify_one();
        }
        Ok(is_due)
    }

    /// Gives up a dead or waiting job. Its body is erased; its key is kept for the retention, so that the delivery
    /// does not become a job again. Returns `false` if there is no such job, or if it is running or done.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn drop(&self, id: i64) -> Result<bool, QueueError> {
        let is_dropped = self.0.engine.drop_job(id).await?;
        self.0.engine.scrub().await?;
        Ok(is_dropped)
    }
}

/// Prints the location, never the password.
impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({:?})", self.0.engine)
    }
}
