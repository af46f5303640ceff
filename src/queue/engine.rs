//! The operations of the queue's database, and their implementation for both databases.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::error::QueueError;
use super::job::{Claimed, NewJob};
use super::record::{Depth, JobRecord};
use crate::config_error::ConfigError;

/// Returns the database that the URL names, even if it does not answer.
pub(super) fn of_url(url: &str) -> Result<Arc<dyn Engine>, ConfigError> {
    // A URL may contain a password, and a text without a scheme may be a password, so only known schemes are
    // repeated.
    match url.split_once(':').map_or("", |(scheme, _)| scheme) {
        #[cfg(feature = "queue-sqlite")]
        "sqlite" => Ok(Arc::new(super::sqlite::Sqlite::new(url)?)),
        #[cfg(feature = "queue-postgres")]
        "postgres" | "postgresql" => Ok(Arc::new(super::postgres::Postgres::new(url)?)),
        _ => {
            let known = [
                (cfg!(feature = "queue-sqlite"), "sqlite:queue.db"),
                (cfg!(feature = "queue-postgres"), "postgres://user@host/database"),
            ];
            let known = known.iter().filter(|(has, _)| *has).map(|(_, form)| *form);
            let known = known.collect::<Vec<_>>().join(" or ");
            Err(ConfigError::new(
                "queue",
                format!("has a URL of an unknown scheme, expected {known}"),
            ))
        }
    }
}

/// How many jobs a claim may take, and under which conditions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) most: usize,
    /// No other job is running, so a job that must run alone may be taken.
    pub(super) is_idle: bool,
    pub(super) lease: Duration,
    /// A job is dead after this many lost runs.
    pub(super) most_lost: u32,
}

#[derive(Default)]
pub(super) struct Found {
    pub(super) jobs: Vec<Claimed>,
    /// The claimed job must run alone.
    pub(super) is_alone: bool,
    /// Jobs that this claim declared dead because of their lost runs.
    pub(super) buried: Vec<i64>,
}

/// The outcome of a run.
#[derive(Clone, Debug)]
pub(super) enum Settlement {
    Done { keep_body: bool },
    Failed { wait: Duration, reason: String, is_dead: bool, most_attempts: u32 },
    GivenBack,
}

/// The result of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Done,
    /// The job is dead now.
    Dead,
    /// Another run has taken over.
    Lost,
}

/// Identifies a run of a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunId {
    pub(super) id: i64,
    pub(super) fence: i64,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, QueueError>>;

/// A database with the table of jobs. Each operation is one transaction, and may be repeated.
pub(super) trait Engine: Debug + Send + Sync + 'static {
    /// Stores a job durably. `false` if its key exists already.
    fn push(&self, job: Arc<NewJob>) -> Answer<'_, bool>;
    /// Tests a durable write, which it removes again.
    fn ready(&self) -> Answer<'_, ()>;
    fn claim(&self, wanted: Wanted) -> Answer<'_, Found>;
    /// Extends the lease. Whether the run still holds its job.
    fn renew(&self, run: RunId, lease: Duration) -> Answer<'_, bool>;
    fn settle(&self, run: RunId, how: Settlement) -> Answer<'_, Settled>;
    fn retry(&self, id: i64) -> Answer<'_, bool>;
    fn drop_job(&self, id: i64) -> Answer<'_, bool>;
    /// Erases bodies and removes keys whose time is over.
    fn tidy(&self, keep_bodies: Duration, retention: Duration) -> Answer<'_, ()>;
    /// Removes erased data from the disk, as far as this crate controls it.
    fn scrub(&self) -> Answer<'_, ()>;
    fn depth(&self) -> Answer<'_, Depth>;
    /// The body of a job in any state, unless it was erased.
    fn body(&self, id: i64) -> Answer<'_, Option<Bytes>>;
    fn list(&self, state: i64, after: i64, most: u32) -> Answer<'_, Vec<JobRecord>>;
}

pub(super) fn millis(duration: Duration) -> i64 {
    // A thousand years are long enough, and cause no overflow.
    let longest = 1_000 * 365 * 86_400_000_i64;
    i64::try_from(duration.as_millis()).unwrap_or(longest).min(longest)
}

/// Implements [`Engine`] with the operations, for a type whose `run` executes a closure on a connection.
macro_rules! impl_engine {
    ($engine:ty) => {
        impl Engine for $engine {
            fn push(&self, job: Arc<NewJob>) -> BoxFuture<'_, Result<bool, QueueError>> {
                Box::pin(self.run(move |connection| {
                    let job = Arc::clone(&job);
                    Box::pin(async move { verbs::push(connection, &job).await })
                }))
            }

            fn ready(&self) -> BoxFuture<'_, Result<(), QueueError>> {
                Box::pin(self.run(|connection| Box::pin(verbs::ready(connection))))
            }

            fn claim(&self, wanted: Wanted) -> BoxFuture<'_, Result<Found, QueueError>> {
                Box::pin(self.run(move |connection| Box::pin(verbs::claim(connection, wanted))))
            }

            fn renew(
                &self,
                run: RunId,
                lease: Duration,
            ) -> BoxFuture<'_, Result<bool, QueueError>> {
                Box::pin(self.run(move |connection| Box::pin(verbs::renew(connection, run, lease))))
            }

            fn settle(
                &self,
                run: RunId,
                how: Settlement,
            ) -> BoxFuture<'_, Result<Settled, QueueError>> {
                let how = Arc::new(how);
                Box::pin(async move {
                    let erases = matches!(*how, Settlement::Done { keep_body: false });
                    let settling = self.run(move |connection| {
                        let how = Arc::clone(&how);
                        Box::pin(async move { verbs::settle(connection, run, &how).await })
                    });
                    let settled = settling.await?;
                    if erases {
                        self.erased();
                    }
                    Ok(settled)
                })
            }

            fn retry(&self, id: i64) -> BoxFuture<'_, Result<bool, QueueError>> {
                Box::pin(self.run(move |connection| Box::pin(verbs::retry(connection, id))))
            }

            fn drop_job(&self, id: i64) -> BoxFuture<'_, Result<bool, QueueError>> {
                Box::pin(async move {
                    let dropping =
                        self.run(move |connection| Box::pin(verbs::drop_job(connection, id)));
                    let is_dropped = dropping.await?;
                    self.erased();
                    Ok(is_dropped)
                })
            }

            fn tidy(
                &self,
                keep_bodies: Duration,
                retention: Duration,
            ) -> BoxFuture<'_, Result<(), QueueError>> {
                Box::pin(async move {
                    let tidying = self.run(move |connection| {
                        Box::pin(verbs::tidy(connection, keep_bodies, retention))
                    });
                    tidying.await?;
                    if !keep_bodies.is_zero() {
                        self.erased();
                    }
                    Ok(())
                })
            }

            fn scrub(&self) -> BoxFuture<'_, Result<(), QueueError>> {
                Box::pin(self.scrub_disk())
            }

            fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
                Box::pin(self.run(|connection| Box::pin(verbs::depth(connection))))
            }

            fn body(&self, id: i64) -> BoxFuture<'_, Result<Option<Bytes>, QueueError>> {
                Box::pin(self.run(move |connection| Box::pin(verbs::body(connection, id))))
            }

            fn list(
                &self,
                state: i64,
                after: i64,
                most: u32,
            ) -> BoxFuture<'_, Result<Vec<JobRecord>, QueueError>> {
                Box::pin(
                    self.run(move |connection| {
                        Box::pin(verbs::list(connection, state, after, most))
                    }),
                )
            }
        }
    };
}

pub(super) use impl_engine;
