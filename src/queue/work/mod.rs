//! A worker: its settings, and the future that it is.
//!
//! 1. [`manage`](self::manage) claims jobs as there is room for them, and stops;
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

/// What the handler of a job returns, boxed.
pub type JobFuture = Pin<Box<dyn Future<Output = Result<(), JobError>> + Send>>;

type Handler = Arc<dyn Fn(Job) -> JobFuture + Send + Sync>;

/// Works on the jobs of a queue until its [shutdown](Self::with_shutdown) resolves: a future, to be awaited or spawned.
///
/// Its output is whether everything that ran has ended; else the rest was given back. It survives a database that is
/// locked or away. Dropped instead of stopped, it aborts its runs, which count as lost.
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
    /// A worker that runs `handler` for each job. `Err` is a failure: the job runs again, unless it is
    /// [dead](JobError::dead) or has failed as often as it may. A panic is a failure as well.
    ///
    /// Any number of workers may share a queue, in any number of processes.
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
    /// How many jobs run at once in this worker. Default: 8.
    pub fn with_concurrency(self, jobs: usize) -> Self {
        self.set(|configured| configured.settings.concurrency = jobs)
    }

    /// After how many failed runs a job is dead. Default: 50, which with the default backoff is more than a day.
    pub fn with_max_attempts(self, attempts: u32) -> Self {
        self.set(|configured| configured.settings.most_attempts = attempts)
    }

    /// After how many lost runs a job is dead: runs whose process died, or could not renew their lease. Default: 5.
    pub fn with_max_lost_runs(self, runs: u32) -> Self {
        self.set(|configured| configured.settings.most_lost = runs)
    }

    /// How long a run may take. Then it is ended at its next `await`, which is a failure. Default: 60 s.
    ///
    /// A handler that blocks its thread cannot be ended: it goes on beside the next run of its job.
    pub fn with_run_limit(self, limit: Duration) -> Self {
        self.set(|configured| configured.settings.run_limit = limit)
    }

    /// How long a job belongs to a run without a sign of life; it is renewed at each third of that. After a crash its jobs
    /// wait so long. Default: 15 s.
    pub fn with_lease(self, lease: Duration) -> Self {
        self.set(|configured| configured.settings.lease = lease)
    }

    /// How long a job waits after a failed run. Default: [`Backoff::default`].
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        self.set(|configured| configured.settings.backoff = backoff)
    }

    /// How often an idle worker asks for jobs that another process stored. Those of its own process wake it at once.
    /// Default: 200 ms.
    pub fn with_poll_interval(self, interval: Duration) -> Self {
        self.set(|configured| configured.settings.poll = interval)
    }

    /// Stops the worker when this future resolves: it claims nothing more and waits for what runs. Default: never.
    pub fn with_shutdown(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        self.set(|configured| configured.shutdown = Box::pin(shutdown))
    }

    /// How long a stop waits for what runs. The rest is ended and given back, which does not count as an attempt.
    /// Default: the run limit and 5 s more.
    pub fn with_grace(self, grace: Duration) -> Self {
        self.set(|configured| configured.settings.grace = Some(grace))
    }

    /// How long the body of a job that has succeeded is kept. Default: 0, it is erased with the record of the success.
    pub fn with_kept_bodies(self, time: Duration) -> Self {
        self.set(|configured| configured.settings.kept_bodies = time)
    }

    /// How long the key of a job that is done is kept, so that its delivery does not become a job again. At least as long
    /// as a sender may send it. Default: 24 h.
    pub fn with_retention(self, time: Duration) -> Self {
        self.set(|configured| configured.settings.retention = time)
    }

    /// Whether the settings make sense; else the worker panics when it is first polled.
    ///
    /// # Errors
    ///
    /// The first setting that cannot work: what it is and what would do.
    pub fn check(self) -> Result<Self, ConfigError> {
        match &self.0 {
            State::Configured(configured) => configured.settings.check()?,
            State::Working(_) | State::Stopped => {}
        }
        Ok(self)
    }

    fn set(mut self, change: impl FnOnce(&mut Configured)) -> Self {
        // Once it is polled it is pinned in a task, and nobody has it to set anything.
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
    /// If a setting cannot work; see [`check`](Worker::check).
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let state = match std::mem::replace(&mut self.0, State::Stopped) {
            State::Configured(configured) => {
                if let Err(error) = configured.settings.check() {
                    // Documented: a worker must not start with settings that break a promise.
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
