//! Claims jobs as capacity becomes free, until the worker is stopped.

use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::run::{Run, run};
use super::{Configured, Settings};
use crate::queue::engine::{Found, RunId, Settlement, Wanted};
use crate::queue::{Job, Queue, QueueError, meters};

/// How often old bodies are erased and old keys are removed.
const UPKEEP: Duration = Duration::from_secs(5);
/// How soon an erased body is removed from the disk.
const SCRUB: Duration = Duration::from_secs(1);
/// How long a worker waits after the database did not answer.
const LOCKED: Duration = Duration::from_millis(500);
/// How long runs that are ended may take to be given back.
const GIVING_BACK: Duration = Duration::from_secs(5);

/// Runs the worker. Returns whether all runs have ended by themselves.
pub(super) async fn manage(configured: Configured) -> bool {
    let Configured { queue, handler, settings, mut shutdown } = configured;
    meters::worker_started();
    tracing::info!(?queue, concurrency = settings.concurrency, "worker started");
    let (stop, stopped) = watch::channel(false);
    let mut runs = JoinSet::new();
    // In a separate task, so that slow upkeep does not delay jobs.
    let mut upkeep = JoinSet::new();
    upkeep.spawn(keep_up(queue.clone(), settings));
    let mut is_alone = false;
    let mut claiming: Option<Claiming> = None;
    let mut next = Instant::now();
    loop {
        let free = if is_alone { 0 } else { settings.concurrency.saturating_sub(runs.len()) };
        let may_claim = free > 0 && claiming.is_none();
        if may_claim && Instant::now() >= next {
            claiming = Some(claim(&queue, settings, free, runs.is_empty()));
            continue;
        }
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            // A run has ended, so there is capacity now.
            Some(_) = runs.join_next(), if !runs.is_empty() => {
                is_alone = is_alone && !runs.is_empty();
                next = Instant::now();
            }
            found = answer(&mut claiming), if claiming.is_some() => {
                claiming = None;
                let Some(found) = noted(&queue, found) else {
                    next = Instant::now() + settings.poll.max(LOCKED);
                    continue;
                };
                next = Instant::now() + settings.poll;
                is_alone = found.is_alone;
                for claimed in found.jobs {
                    let job = Job::new(claimed);
                    let waited = (job.attempt() == 1).then_some(job.claimed().created_ago);
                    meters::started(waited, found.is_alone);
                    let (queue, handler) = (queue.clone(), handler.clone());
                    runs.spawn(run(Run { queue, handler, settings, job, stopped: stopped.clone() }));
                }
            }
            () = queue.0.pushed.notified(), if may_claim => next = Instant::now(),
            () = sleep_until(next), if may_claim => {}
        }
    }
    // The jobs that it finds are given back.
    drop(claiming);
    drop(upkeep);
    tracing::info!(running = runs.len(), "worker is stopping: it waits for the running jobs");
    let has_ended = timeout(settings.grace(), all(&mut runs)).await.is_ok();
    if !has_ended {
        tracing::warn!(
            running = runs.len(),
            "worker stops the jobs that still run, and returns them to the queue"
        );
        stop.send_replace(true);
        _ = timeout(GIVING_BACK, all(&mut runs)).await;
    }
    _ = timeout(GIVING_BACK, queue.0.engine.scrub()).await;
    tracing::info!(has_ended, "worker stopped");
    has_ended
}

async fn all(runs: &mut JoinSet<()>) {
    while runs.join_next().await.is_some() {}
}

/// A claim in flight. If it is dropped, the claimed jobs are given back.
type Claiming = oneshot::Receiver<Result<Found, QueueError>>;

fn claim(queue: &Queue, settings: Settings, most: usize, is_idle: bool) -> Claiming {
    let Settings { lease, most_lost, .. } = settings;
    let (queue, (to, from)) = (queue.clone(), oneshot::channel());
    tokio::spawn(async move {
        let found = queue.0.engine.claim(Wanted { most, is_idle, lease, most_lost }).await;
        let Err(Ok(found)) = to.send(found) else { return };
        for job in found.jobs {
            let run = RunId { id: job.id, fence: job.fence };
            // If this fails as well, the lease ends by itself.
            _ = queue.0.engine.settle(run, Settlement::GivenBack).await;
        }
    });
    from
}

async fn answer(claiming: &mut Option<Claiming>) -> Result<Found, QueueError> {
    match claiming {
        Some(claiming) => {
            claiming.await.unwrap_or_else(|_| Err(QueueError::new("the runtime has ended")))
        }
        None => std::future::pending().await,
    }
}

/// Logs the result of a claim. Returns `None` if the database did not answer.
fn noted(queue: &Queue, found: Result<Found, QueueError>) -> Option<Found> {
    let Ok(found) = queue.0.outage.note("claim", found) else {
        meters::failed();
        return None;
    };
    for id in &found.buried {
        tracing::error!(
            id,
            "job is dead: too many of its runs were lost; retry it or drop it by hand"
        );
    }
    meters::buried(found.buried.len());
    Some(found)
}

/// The periodic upkeep.
async fn keep_up(queue: Queue, settings: Settings) {
    let engine = &queue.0.engine;
    let mut last: Option<Instant> = None;
    loop {
        if last.is_none_or(|last| last.elapsed() >= UPKEEP) {
            last = Some(Instant::now());
            if engine.tidy(settings.kept_bodies, settings.retention).await.is_err() {
                meters::failed();
            }
        }
        queue.measure().await;
        if let Err(error) = engine.scrub().await {
            tracing::debug!(%error, "erased bodies stay in the database's log for now");
        }
        tokio::time::sleep(SCRUB).await;
    }
}
