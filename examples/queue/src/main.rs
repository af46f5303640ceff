//! Fast answer, work later: the handler stores the event as a job of apalis and answers 202. Retries, backoff and the
//! state of a job that is given up come from there. The delivery's key is the job's idempotency key, so that a
//! delivery is one job, even after the receiver forgot that it had it.
//!
//! ```sh
//! cargo run --manifest-path examples/queue/Cargo.toml
//! QUEUE_URL=postgres://user:password@localhost/database cargo run --manifest-path examples/queue/Cargo.toml
//! ```

use std::time::Duration;

use anyhow::{Context, ensure};
use apalis::layers::WorkerBuilderExt;
use apalis::layers::retry::backoff::{ExponentialBackoffMaker, MakeBackoff};
use apalis::layers::retry::{HasherRng, RetryPolicy};
use apalis::prelude::*;
use apalis_postgres::PostgresStorage;
use apalis_sqlite::SqliteStorage;
use axum::{Router, body::Body, extract::State, http::StatusCode, routing::post};
use scrapest_webhook::{Delivery, ScrapestWebhookLayer, scrapest, testing};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};
use tower::ServiceExt;

const SECRET: &str = "whsec_0123456789abcdef01234567";
/// After so many runs a job stays where it is, as `Failed`, for somebody to look at.
const MOST_ATTEMPTS: usize = 3;

/// What the worker needs later: the event, and the key to file its effect under, since a job too may run twice.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    key: String,
    event: scrapest::Event,
}

#[derive(Clone)]
enum Queue {
    Sqlite(SqliteStorage<Job>),
    Postgres(PostgresStorage<Job>),
}

async fn on_event(
    State(queue): State<Queue>,
    delivery: Delivery,
    event: scrapest::Event,
) -> StatusCode {
    // 2xx only once it is stored: from then on nobody sends it again.
    match queue.push(Job { key: delivery.key().to_string(), event }).await {
        Ok(()) => StatusCode::ACCEPTED,
        Err(error) => {
            eprintln!("not queued, the sender tries again: {error:#}");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

/// The work. Whatever it does for the first time, it must be able to do once more.
async fn work(job: Job, attempt: Attempt) -> Result<(), BoxDynError> {
    let text = job.event.tweet().and_then(|tweet| tweet.text.as_deref()).unwrap_or_default();
    println!("{text}, attempt {}", attempt.current());
    match text {
        "flaky" if attempt.current() < 2 => Err("not the first time".into()),
        "hopeless" => Err("never".into()),
        _ => Ok(()),
    }
}

impl Queue {
    async fn open() -> anyhow::Result<(Self, Jobs)> {
        if let Ok(url) = std::env::var("QUEUE_URL") {
            let pool = PgPool::connect(&url).await?;
            PostgresStorage::setup(&pool).await?;
            return Ok((Self::Postgres(PostgresStorage::new(&pool)), Jobs::Postgres(pool)));
        }
        std::fs::create_dir_all(folder())?;
        let options = SqliteConnectOptions::new()
            .filename(folder().join("queue.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An event that was answered with 202 must outlast a loss of power.
            .synchronous(SqliteSynchronous::Full);
        // On connections of its own: it leaves its own at `synchronous=OFF`.
        let setup = SqlitePool::connect_with(options.clone()).await?;
        SqliteStorage::setup(&setup).await?;
        setup.close().await;
        let pool = SqlitePool::connect_with(options).await?;
        Ok((Self::Sqlite(SqliteStorage::new(&pool)), Jobs::Sqlite(pool)))
    }

    async fn push(&self, job: Job) -> anyhow::Result<()> {
        let key = job.key.clone();
        let task = TaskBuilder::new(job).idempotency_key(key).max_attempts(MOST_ATTEMPTS).build();
        match self {
            Self::Sqlite(queue) => Ok(queue.clone().push_task(task).await?),
            Self::Postgres(queue) => match queue.clone().push_task(task).await {
                // A key that is there already, which the other one passes over by itself.
                Err(TaskSinkError::PushError(apalis_postgres::Error::Database(
                    sqlx::Error::Database(error),
                ))) if error.is_unique_violation() => Ok(()),
                pushed => Ok(pushed?),
            },
        }
    }

    /// Works until every job is done or given up.
    async fn work_off(self, jobs: Jobs) -> anyhow::Result<()> {
        let backoff = ExponentialBackoffMaker::new(
            Duration::from_millis(50),
            Duration::from_secs(2),
            0.5,
            HasherRng::default(),
        )?
        .make_backoff();
        let policy = RetryPolicy::retries(MOST_ATTEMPTS - 1).with_backoff(backoff);
        // In production: until a signal to stop.
        let settled = async move {
            while jobs.open().await? > 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok::<_, std::io::Error>(())
        };
        let worker = WorkerBuilder::new("worker");
        match self {
            Self::Sqlite(queue) => {
                worker.backend(queue).retry(policy).build(work).run_until(settled).await?
            }
            Self::Postgres(queue) => {
                worker.backend(queue).retry(policy).build(work).run_until(settled).await?
            }
        }
        Ok(())
    }
}

/// The table of the jobs, to look into.
#[derive(Clone)]
enum Jobs {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Jobs {
    /// Status and attempts of each.
    async fn all(&self) -> Result<Vec<(String, i64)>, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => {
                let all = "SELECT status, attempts FROM Jobs ORDER BY attempts, status";
                sqlx::query_as(all).fetch_all(pool).await
            }
            Self::Postgres(pool) => {
                let all = "SELECT status::text, attempts::bigint FROM apalis.jobs \
                           WHERE job_type = $1 ORDER BY attempts, status";
                sqlx::query_as(all).bind(std::any::type_name::<Job>()).fetch_all(pool).await
            }
        }
    }

    async fn open(&self) -> Result<usize, std::io::Error> {
        let all = self.all().await.map_err(std::io::Error::other)?;
        let is_settled = |(status, attempts): &(String, i64)| match status.as_str() {
            "Done" | "Killed" => true,
            "Failed" => *attempts >= MOST_ATTEMPTS as i64,
            _ => false,
        };
        Ok(all.iter().filter(|job| !is_settled(job)).count())
    }
}

fn receiver(queue: &Queue) -> anyhow::Result<Router> {
    let layer = ScrapestWebhookLayer::new(SECRET).check()?;
    Ok(Router::new().route("/", post(on_event).route_layer(layer)).with_state(queue.clone()))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (queue, jobs) = Queue::open().await?;
    // A database of one's own may have some of earlier runs.
    let before = jobs.all().await?;
    let app = receiver(&queue)?;
    let requests: Vec<_> = ["fine", "flaky", "hopeless"].map(request).into();
    for request in &requests {
        let answer = app.clone().oneshot(request.clone().into_http::<Body>("/")).await?;
        ensure!(answer.status() == StatusCode::ACCEPTED, "{}", answer.status());
    }
    // Restarted, with a store in memory that knows nothing: the jobs know.
    let restarted = receiver(&queue)?;
    for request in requests {
        let answer = restarted.clone().oneshot(request.into_http::<Body>("/")).await?;
        ensure!(answer.status() == StatusCode::ACCEPTED, "{}", answer.status());
    }
    let working = tokio::time::timeout(Duration::from_secs(60), queue.work_off(jobs.clone()));
    working.await.context("the jobs are not settled")??;
    let settled = jobs.all().await?;
    println!("6 answers with 202, {} jobs: {settled:?}", settled.len() - before.len());
    for (status, attempts) in [("Done", 1), ("Done", 2), ("Failed", MOST_ATTEMPTS as i64)] {
        let count = |jobs: &[(String, i64)]| {
            jobs.iter().filter(|job| (job.0.as_str(), job.1) == (status, attempts)).count()
        };
        ensure!(count(&settled) == count(&before) + 1, "{status} after {attempts} attempts");
    }
    ensure!(settled.len() == before.len() + 3, "a delivery is one job");
    if let Jobs::Sqlite(pool) = jobs {
        pool.close().await;
        std::fs::remove_dir_all(folder())?;
    }
    Ok(())
}

fn folder() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("queue-{}", std::process::id()))
}

fn request(text: &str) -> testing::SignedRequest {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let body = format!(
        r#"{{"event": "tweet.created", "timestamp": {}, "data": {{"id": "{text}", "text": "{text}"}}}}"#,
        now.unwrap_or_default().as_secs()
    );
    testing::scrapest(SECRET).with_body(body).sign()
}
