//! The promises of the queue, on each engine: SQLite, and PostgreSQL with its own server.

mod accepting;
mod crashes;
mod erasing;
mod failing;
mod metrics;
mod outages;
mod place;
mod pooler;
mod stopping;
mod versions;
mod working;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use scrapest_webhook::queue::{Backoff, Depth, Job, JobRecord, JobState, Queue, Worker};
use scrapest_webhook::testing::{self, SignedRequest};
use support::{SECRET, layer};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use self::place::Place;

/// Defines each of these tests for each engine.
macro_rules! on_each_engine {
    ($($module:ident::$name:ident)*) => {
        mod sqlite { $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$module::$name(super::Place::sqlite()).await }
        )* }
        mod postgres { $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(place) = super::Place::postgres().await {
                    super::$module::$name(place).await
                }
            }
        )* }
    };
}

on_each_engine! {
    accepting::a_202_means_that_the_job_is_visible_to_other_processes
    accepting::repeated_deliveries_are_one_job
    accepting::many_concurrent_duplicates_are_one_job
    accepting::a_job_has_the_fields_of_its_delivery
    accepting::a_body_of_1_mib_arrives_unchanged
    accepting::a_kind_that_contains_nul_is_stored
    working::a_push_wakes_an_idle_worker_of_the_same_queue
    working::a_worker_of_another_process_finds_the_job
    working::the_longest_due_jobs_run_first_within_the_concurrency
    working::workers_share_jobs_without_running_any_twice
    working::a_long_run_keeps_its_lease
    working::a_clock_jump_may_repeat_a_run_but_loses_none
    working::an_outage_of_the_service_drains_within_the_concurrency
    working::depth_and_list_report_the_stored_jobs
    failing::a_backoff_outlives_the_worker
    failing::a_job_is_dead_after_its_last_attempt_and_can_be_retried_by_hand
    failing::a_known_kind_with_a_broken_payload_is_dead_at_once
    failing::a_job_of_another_sender_is_dead_and_kept
    failing::a_panic_is_a_failure
    failing::a_run_that_hangs_is_ended_at_its_limit
    failing::a_dropped_job_does_not_come_back
    erasing::a_key_is_forgotten_after_the_retention
    stopping::a_stop_waits_for_running_jobs_and_starts_none
    stopping::jobs_that_outlast_the_grace_are_released_and_not_counted
    stopping::a_stop_ends_an_idle_worker_and_one_in_backoff
    stopping::the_next_worker_takes_over_jobs_of_a_dropped_one
    versions::a_row_of_a_newer_version_is_left_unchanged
    versions::a_table_with_another_schema_is_reported
    crashes::an_aborting_job_becomes_dead_and_four_others_succeed_with_one_worker
    crashes::an_aborting_job_becomes_dead_and_four_others_succeed_with_three_workers
}

/// Longer than anything takes on a busy machine.
const EVENTUALLY: Duration = Duration::from_secs(60);

/// A genuine delivery whose tweet has this text.
fn tweet(text: &str) -> SignedRequest {
    request(&format!(
        r#"{{"event": "tweet.created", "timestamp": {}, "data": {{"id": "{text}", "text": "{text}"}}}}"#,
        now()
    ))
}

fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs()
}

fn request(body: &str) -> SignedRequest {
    testing::scrapest(SECRET).with_body(body.to_owned()).sign()
}

/// Sends to a receiver without earlier records, and returns the status.
async fn send(queue: &Queue, request: &SignedRequest) -> u16 {
    let app: Router = Router::new().route("/", post(queue.accept()).route_layer(layer()));
    let request = request.clone().into_http::<Body>("/");
    app.oneshot(request).await.unwrap().status().as_u16()
}

async fn push(queue: &Queue, text: &str) {
    assert_eq!(send(queue, &tweet(text)).await, 202);
}

/// Uses backoffs that are short enough for a test.
fn quick(worker: Worker) -> Worker {
    worker.with_backoff(Backoff::new(Duration::from_millis(20), Duration::from_millis(100)))
}

/// A worker in a task, which reports the texts of its runs in order.
struct Working {
    runs: mpsc::UnboundedReceiver<String>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    task: JoinHandle<bool>,
}

impl Working {
    /// `act` is the work of a run, which is reported first.
    fn start<F>(
        queue: &Queue,
        set: impl FnOnce(Worker) -> Worker,
        act: impl Fn(Job) -> F + Send + Sync + Clone + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), scrapest_webhook::queue::JobError>> + Send + 'static,
    {
        let (said, runs) = mpsc::unbounded_channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let worker = queue
            .work(move |job: Job| {
                _ = said.send(text_of(&job));
                act(job)
            })
            .with_shutdown(async { _ = stopped.await });
        let task = tokio::spawn(set(quick(worker)).check().unwrap());
        Self { runs, stop: Some(stop), task }
    }

    /// Returns the text of the next job that runs.
    async fn next(&mut self) -> String {
        let next = tokio::time::timeout(EVENTUALLY, self.runs.recv());
        next.await.expect("a job is run").expect("the worker works")
    }

    /// Stops the worker, and returns whether everything had ended.
    async fn stop(mut self) -> bool {
        _ = self.stop.take().unwrap().send(());
        tokio::time::timeout(EVENTUALLY, self.task).await.expect("the worker stops").unwrap()
    }
}

fn text_of(job: &Job) -> String {
    #[derive(serde::Deserialize)]
    struct Body {
        data: Data,
    }
    #[derive(serde::Deserialize)]
    struct Data {
        #[serde(default)]
        text: String,
    }
    job.parse::<Body>().map(|body| body.data.text).unwrap_or_default()
}

/// Waits until this holds for the jobs of the queue.
async fn until(queue: &Queue, holds: impl Fn(&[JobRecord]) -> bool) -> Vec<JobRecord> {
    let since = Instant::now();
    loop {
        let jobs = match queue.list(None, 0, 100_000).await {
            Ok(jobs) => jobs,
            Err(error) if since.elapsed() < EVENTUALLY => {
                drop(error);
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        if holds(&jobs) {
            return jobs;
        }
        assert!(since.elapsed() < EVENTUALLY, "{jobs:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until_all_are(queue: &Queue, state: JobState) -> Vec<JobRecord> {
    until(queue, |jobs| jobs.iter().all(|job| job.state == state)).await
}

/// The process of a worker, if the environment says so.
#[tokio::test(flavor = "multi_thread")]
async fn worker_process_for_other_tests() {
    crashes::work_if_told().await;
}
