//! A worker: its settings and its future.
//!
//! 1. [`manage`](self::manage) claims jobs as capacity becomes free, and stops the worker;
//! 2. [`run`](self::run) runs one job under its lease and its limit, and settles it.

mod manage;
mod run;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Backoff, Job, JobError, Queue};
use crate::config_error::ConfigError;

/// The boxed future of a job's handler.
pub type JobFuture = Pin<Box<dyn Future<Output = Result<(), JobError>> + Send>>;

type Handler = Arc<dyn Fn(Job) -> JobFuture + Send + Sync>;

/// Works on the jobs of a queue until its [shutdown](Self::with_shutdown) resolves. It is a future, to be awaited
/// or spawned.
///
/// Its output is whether all runs have ended; if not, the remaining jobs were given back. A worker survives a
/// database that is locked or away. If it is dropped before it has stopped, its runs are aborted and count as
/// lost.
///
/// ```no_run
/// use std::time::Duration;
/// use scrapest_webhook::queue::{Job, Queue};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let queue = Queue::open("sqlite:queue.db").await?;
/// let worker = queue
///     .work(|job: Job| async move {
///         println!("{}", job.key());
///         Ok(())
///     })
///     .with_concurrency(4)
///     .with_max_attempts(20)
///     .with_shutdown(async { _ = tokio::signal::ctrl_c().await })
///     .check()?;
/// let has_ended: bool = worker.await;
/// # Ok(()) }
/// ```
#[must_use = "a worker does nothing until it is awaited or spawned"]
pub struct Worker(State);

enum State {
    Configured(Box<Configured>),
    Working(Pin<Box<dyn Future<Output = bool> + Send>>),
    Stopped,
}

struct Configured {
    queue: Queue,
    handler: Handler,
    settings: Settings,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    concurrency: usize,
    most_attempts: u32,
    most_lost: u32,
    run_limit: Duration,
    lease: Duration,
    backoff: Backoff,
    poll: Duration,
    grace: Option<Duration>,
    kept_bodies: Duration,
    retention: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 8,
            most_attempts: 50,
            most_lost: 5,
            run_limit: Duration::from_secs(60),
            lease: Duration::from_secs(15),
            backoff: Backoff::default(),
            poll: Duration::from_millis(200),
            grace: None,
            kept_bodies: Duration::ZERO,
            retention: Duration::from_secs(24 * 3_600),
        }
    }
}

impl Queue {
    /// Creates a worker that runs `handler` for each job. An `Err` or a panic is a failure: the job runs again,
    /// unless it is [dead](JobError::dead) or has used up its attempts.
    ///
    /// Any number of workers, in any number of processes, may share a queue.
    pub fn work<H, F>(&self, handler: H) -> Worker
    where
        H: Fn(Job) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        Worker(State::Configured(Box::new(Configured {
            queue: self.clone(),
            handler: Arc::new(move |job| Box::pin(handler(job))),
            settings: Settings::default(),
            shutdown: Box::pin(std::future::pending()),
        })))
    }
}

impl Worker {
    /// Sets how many jobs run at once in this worker. Default: 8.
    pub fn with_concurrency(self, jobs: usize) -> Self {
        self.set(|configured| configured.settings.concurrency = jobs)
    }

    /// Sets after how many failed runs a job is dead. Default: 50, which takes more than a day with the default
    /// backoff.
    pub fn with_max_attempts(self, attempts: u32) -> Self {
        self.set(|configured| configured.settings.most_attempts = attempts)
    }

    /// Sets after how many lost runs a job is dead. A run is lost if its process died or could not renew its
    /// lease. Default: 5.
    pub fn with_max_lost_runs(self, runs: u32) -> Self {
        self.set(|configured| configured.settings.most_lost = runs)
    }

    /// Sets how long a run may take. After that it is ended at its next `await`, which is a failure. Default: 60
    /// s.
    ///
    /// A handler that blocks its thread cannot be ended: it continues while the job runs again.
    pub fn with_run_limit(self, limit: Duration) -> Self {
        self.set(|configured| configured.settings.run_limit = limit)
    }

    /// Sets how long a run holds its job without a renewal. The lease is renewed after each third of it. After a
    /// crash the jobs of the process wait this long. Default: 15 s.
    pub fn with_lease(self, lease: Duration) -> Self {
        self.set(|configured| configured.settings.lease = lease)
    }

    /// Sets how long a job waits after a failed run. Default: [`Backoff::default`].
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        self.set(|configured| configured.settings.backoff = backoff)
    }

    /// Sets how often an idle worker polls for jobs that another process stored. A job that its own process stored
    /// wakes it at once. Default: 200 ms.
    pub fn with_poll_interval(self, interval: Duration) -> Self {
        self.set(|configured| configured.settings.poll = interval)
    }

    /// Stops the worker when this future resolves: it claims no more jobs and waits for its runs. Default: never.
    pub fn with_shutdown(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        self.set(|configured| configured.shutdown = Box::pin(shutdown))
    }

    /// Sets how long a stop waits for runs. The remaining runs are ended and their jobs given back, which does not
    /// count as an attempt. Default: the run limit plus 5 s.
    pub fn with_grace(self, grace: Duration) -> Self {
        self.set(|configured| configured.settings.grace = Some(grace))
    }

    /// Sets how long the body of a successful job is kept. Default: 0, it is erased when the success is recorded.
    pub fn with_kept_bodies(self, time: Duration) -> Self {
        self.set(|configured| configured.settings.kept_bodies = time)
    }

    /// Sets how long the key of a done job is kept, so that its delivery does not become a job again. It should be
    /// at least as long as a sender may repeat a delivery. Default: 24 h.
    pub fn with_retention(self, time: Duration) -> Self {
        self.set(|configured| configured.settings.retention = time)
    }

    /// Checks the settings. Without this call, the worker panics on invalid settings when it is first polled.
    ///
    /// # Errors
    ///
    /// The first invalid setting: its name and the expected value.
    pub fn check(self) -> Result<Self, ConfigError> {
        match &self.0 {
            State::Configured(configured) => configured.settings.check()?,
            State::Working(_) | State::Stopped => {}
        }
        Ok(self)
    }

    fn set(mut self, change: impl FnOnce(&mut Configured)) -> Self {
        // A polled worker is pinned in a task, so its setters cannot be called any more.
        if let State::Configured(configured) = &mut self.0 {
            change(configured);
        }
        self
    }
}

impl Settings {
    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |setting, what: String| Err(ConfigError::new(setting, what));
        for (setting, value) in [
            ("concurrency", self.concurrency),
            ("max_attempts", self.most_attempts as usize),
            ("max_lost_runs", self.most_lost as usize),
        ] {
            if value == 0 {
                return refuse(setting, "is 0, expected more than 0".to_owned());
            }
        }
        for (setting, value) in
            [("lease", self.lease), ("run_limit", self.run_limit), ("poll_interval", self.poll)]
        {
            if value < Duration::from_millis(1) {
                return refuse(setting, format!("is {value:?}, expected at least 1ms"));
            }
        }
        if self.kept_bodies > self.retention {
            return refuse(
                "kept_bodies",
                format!(
                    "is {:?}, expected at most the retention of {:?}",
                    self.kept_bodies, self.retention
                ),
            );
        }
        let longest = Duration::from_secs(3_650 * 86_400);
        for (setting, value) in [
            ("lease", self.lease),
            ("run_limit", self.run_limit),
            ("poll_interval", self.poll),
            ("retention", self.retention),
            ("backoff", self.backoff.longest()),
            ("grace", self.grace()),
        ] {
            if value > longest {
                return refuse(
                    setting,
                    format!("is {value:?}, expected at most {longest:?} (10 years)"),
                );
            }
        }
        Ok(())
    }

    fn grace(&self) -> Duration {
        self.grace.unwrap_or(self.run_limit.saturating_add(Duration::from_secs(5)))
    }
}

impl Future for Worker {
    type Output = bool;

    /// # Panics
    ///
    /// If a setting is invalid; see [`check`](Worker::check).
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let state = match std::mem::replace(&mut self.0, State::Stopped) {
            State::Configured(configured) => {
                if let Err(error) = configured.settings.check() {
                    // Documented: a worker must not start with settings that break a guarantee.
                    panic!("{error}");
                }
                State::Working(Box::pin(manage::manage(*configured)))
            }
            state => state,
        };
        self.0 = state;
        let State::Working(working) = &mut self.0 else { return Poll::Pending };
        let ended = working.as_mut().poll(cx);
        if ended.is_ready() {
            self.0 = State::Stopped;
        }
        ended
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Configured(configured) => f
                .debug_struct("Worker")
                .field("queue", &configured.queue)
                .field("settings", &configured.settings)
                .finish_non_exhaustive(),
            State::Working(_) => f.write_str("Worker(working)"),
            State::Stopped => f.write_str("Worker(stopped)"),
        }
    }
}
