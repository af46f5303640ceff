//! One run of a job: under its lease and its limit, until it is settled.

use std::any::Any;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{Instrument, Span, info_span};

use super::{Handler, Settings};
use crate::escaped::Escaped;
use crate::queue::engine::{RunId, Settled, Settlement};
use crate::queue::meters::{self, Ended};
use crate::queue::{Job, JobError, Queue};

/// The maximum length of a stored reason, in characters.
const LONGEST_REASON: usize = 1_000;
/// How long a run that is being ended may take to reach its next `await`.
const LAST_POLL: Duration = Duration::from_secs(1);
/// How soon a renewal or a settlement is repeated if the database did not answer.
const AGAIN: Duration = Duration::from_millis(500);

pub(super) struct Run {
    pub(super) queue: Queue,
    pub(super) handler: Handler,
    pub(super) settings: Settings,
    pub(super) job: Job,
    /// Becomes true when a stop no longer waits.
    pub(super) stopped: watch::Receiver<bool>,
}

/// The outcome of a run, before it is recorded.
enum Outcome {
    Done,
    Failed(JobError),
    /// Another run has taken over.
    Lost,
    Stopped,
}

pub(super) async fn run(run: Run) {
    let span = span(&run.job);
    async move {
        let began = Instant::now();
        let outcome = supervise(&run).await;
        let ended = record(&run, outcome).await;
        meters::ended(ended, began.elapsed());
    }
    .instrument(span)
    .await;
}

fn span(job: &Job) -> Span {
    info_span!(
        "webhook_job",
        id = job.id(),
        sender = %Escaped(job.sender()),
        delivery_id = job.delivery_id().map(Escaped).map(tracing::field::display),
        kind = job.kind().map(Escaped).map(tracing::field::display),
        attempt = job.attempt(),
        traceparent = job.traceparent(),
    )
}

/// Aborts the handler's task when its supervisor is dropped.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs the handler in a separate task, so that a handler that blocks or panics can be observed.
async fn supervise(run: &Run) -> Outcome {
    let (handler, job) = (run.handler.clone(), run.job.clone());
    // The call is inside the task as well, because it may panic before it returns a future.
    let handling = async move { handler(job).await };
    let mut handling = tokio::spawn(handling.instrument(Span::current()));
    let guard = AbortOnDrop(handling.abort_handle());
    let mut stopped = run.stopped.clone();
    let limit = sleep(run.settings.run_limit);
    tokio::pin!(limit);
    let mut renew_at = Instant::now() + run.settings.lease / 3;
    let outcome = loop {
        tokio::select! {
            biased;
            ended = &mut handling => return ended.map_or_else(failed, |result| match result {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Failed(error),
            }),
            () = &mut limit => {
                let limit = run.settings.run_limit;
                let text = format!("the run was stopped: it took longer than its limit of {limit:?}");
                break Outcome::Failed(JobError::new(text));
            }
            () = told(&mut stopped) => break Outcome::Stopped,
            () = sleep_until(renew_at) => match renew(run).await {
                Some(true) => renew_at = Instant::now() + run.settings.lease / 3,
                Some(false) => break Outcome::Lost,
                None => renew_at = Instant::now() + AGAIN.min(run.settings.lease / 3),
            },
        }
    };
    drop(guard);
    match timeout(LAST_POLL, handling).await {
        // The handler succeeded in the meantime, which counts.
        Ok(Ok(Ok(()))) => Outcome::Done,
        Ok(_) => outcome,
        Err(_) => {
            tracing::warn!("the handler cannot be stopped: it blocks its thread, and continues");
            outcome
        }
    }
}

/// Waits until a stop no longer waits for this run.
async fn told(stopped: &mut watch::Receiver<bool>) {
    if stopped.wait_for(|stopped| *stopped).await.is_err() {
        // The worker is gone, and aborts this run.
        std::future::pending().await
    }
}

/// Renews the lease. Returns `None` if the database does not answer.
async fn renew(run: &Run) -> Option<bool> {
    let renewed = run.queue.0.engine.renew(run.id(), run.settings.lease).await;
    let renewed = run.queue.0.outage.note("renew", renewed);
    if renewed.is_err() {
        meters::failed();
    }
    renewed.ok()
}

fn failed(error: JoinError) -> Outcome {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = format!("the handler panicked: {}", panic_text(&*panic));
            Outcome::Failed(JobError::new(text))
        }
        // Only the supervisor aborts the task, or the runtime when it shuts down.
        Err(_) => Outcome::Stopped,
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref().map(String::as_str)).unwrap_or("without a text")
}

/// Records the outcome. Retries until that succeeds, however long the database is away.
async fn record(run: &Run, outcome: Outcome) -> Ended {
    let settings = run.settings;
    let (settlement, ended) = match outcome {
        Outcome::Done => {
            let keep_body = !settings.kept_bodies.is_zero();
            (Settlement::Done { keep_body }, Ended::Done)
        }
        Outcome::Failed(error) => {
            let wait = settings.backoff.after(run.job.claimed().failed);
            let reason = stored(&error.to_string());
            let is_dead = error.is_dead();
            let most_attempts = settings.most_attempts;
            let log = Escaped(&reason);
            tracing::warn!(reason = %log, ?wait, is_dead, "run failed");
            (Settlement::Failed { wait, reason, is_dead, most_attempts }, Ended::Failed)
        }
        Outcome::Stopped => (Settlement::GivenBack, Ended::GivenBack),
        Outcome::Lost => {
            tracing::warn!("run was stopped: its lease was lost, and another run has taken over");
            return Ended::Lost;
        }
    };
    loop {
        let settled = run.queue.0.engine.settle(run.id(), settlement.clone()).await;
        match run.queue.0.outage.note("settle", settled) {
            Ok(Settled::Done) => return ended,
            Ok(Settled::Dead) => {
                tracing::error!("job is dead: retry it or drop it by hand");
                return Ended::Dead;
            }
            Ok(Settled::Lost) => {
                tracing::warn!(
                    ended = ended.as_str(),
                    "run ended after its lease was lost: its job may run twice"
                );
                return Ended::Lost;
            }
            Err(_) => meters::failed(),
        }
        sleep(AGAIN).await;
    }
}

impl Run {
    fn id(&self) -> RunId {
        RunId { id: self.job.id(), fence: self.job.claimed().fence }
    }
}

/// Converts a reason to its stored form: one line of bounded length.
fn stored(reason: &str) -> String {
    let mut text: String = reason
        .chars()
        .take(LONGEST_REASON)
        .flat_map(|char| {
            let escaped = char.is_control().then(|| char.escape_default());
            let plain = (!char.is_control()).then_some(char);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect();
    if reason.chars().nth(LONGEST_REASON).is_some() {
        text.push('…');
    }
    text
}
