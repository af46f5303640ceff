//! The metrics of the queue. They do nothing without the feature `metrics`.

use std::time::Duration;

use super::error::QueueError;
use super::record::Depth;

/// Whether metrics are recorded.
pub(super) const MEASURE: bool = cfg!(feature = "metrics");

/// The outcome of a run, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Done,
    Failed,
    Dead,
    Lost,
    GivenBack,
}

impl Ended {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Lost => "lost",
            Self::GivenBack => "given_back",
        }
    }
}

#[cfg(feature = "metrics")]
mod counted {
    use metrics::{
        Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
    };

    use super::{Depth, Duration, Ended, QueueError};

    const PUSHES: &str = "scrapest_webhook_queue_pushes_total";
    const RUNS: &str = "scrapest_webhook_queue_runs_total";
    const LOST_RUNS: &str = "scrapest_webhook_queue_lost_runs_total";
    const START: &str = "scrapest_webhook_queue_start_seconds";
    const RUN: &str = "scrapest_webhook_queue_run_seconds";
    const ERRORS: &str = "scrapest_webhook_queue_errors_total";
    const JOBS: &str = "scrapest_webhook_queue_jobs";
    const OLDEST: &str = "scrapest_webhook_queue_oldest_seconds";

    /// Describes every metric of the queue to the installed recorder. A worker calls it when it starts.
    pub fn describe() {
        use Unit::{Count, Seconds};

        describe_counter!(PUSHES, Count, "Deliveries pushed to the queue, by outcome");
        describe_counter!(RUNS, Count, "Runs of jobs, by outcome");
        describe_counter!(LOST_RUNS, Count, "Runs whose process died or that lost their lease");
        describe_histogram!(START, Seconds, "Time from the push to the start of the first run");
        describe_histogram!(RUN, Seconds, "Duration of a run");
        describe_counter!(ERRORS, Count, "Failed database operations of a worker");
        describe_gauge!(JOBS, Count, "Jobs in the queue, by state");
        describe_gauge!(OLDEST, Seconds, "Age of the oldest job that is neither done nor dead");
    }

    pub(in crate::queue) fn pushed(pushed: &Result<bool, QueueError>) {
        let outcome = match pushed {
            Ok(true) => "stored",
            Ok(false) => "known",
            Err(_) => "failed",
        };
        counter!(PUSHES, "outcome" => outcome).increment(1);
    }

    /// Initializes the metrics of a worker with 0 when it starts.
    pub(in crate::queue) fn worker_started() {
        describe();
        for ended in [Ended::Done, Ended::Failed, Ended::Dead, Ended::Lost, Ended::GivenBack] {
            counter!(RUNS, "outcome" => ended.as_str()).increment(0);
        }
        counter!(LOST_RUNS).increment(0);
        counter!(ERRORS).increment(0);
    }

    pub(in crate::queue) fn started(waited: Option<Duration>, was_lost: bool) {
        if let Some(waited) = waited {
            histogram!(START).record(waited.as_secs_f64());
        }
        if was_lost {
            counter!(LOST_RUNS).increment(1);
        }
    }

    pub(in crate::queue) fn buried(jobs: usize) {
        counter!(RUNS, "outcome" => Ended::Dead.as_str()).increment(jobs as u64);
        counter!(LOST_RUNS).increment(jobs as u64);
    }

    pub(in crate::queue) fn ended(ended: Ended, took: Duration) {
        counter!(RUNS, "outcome" => ended.as_str()).increment(1);
        histogram!(RUN).record(took.as_secs_f64());
    }

    pub(in crate::queue) fn failed() {
        counter!(ERRORS).increment(1);
    }

    pub(in crate::queue) fn depth(depth: &Depth) {
        let states = [("waiting", depth.waiting), ("running", depth.running), ("dead", depth.dead)];
        for (state, jobs) in states {
            gauge!(JOBS, "state" => state).set(jobs as f64);
        }
        gauge!(OLDEST).set(depth.oldest.unwrap_or_default().as_secs_f64());
    }
}

#[cfg(not(feature = "metrics"))]
mod counted {
    use super::{Depth, Duration, Ended, QueueError};

    pub(in crate::queue) fn pushed(_: &Result<bool, QueueError>) {}
    pub(in crate::queue) fn worker_started() {}
    pub(in crate::queue) fn started(_: Option<Duration>, _: bool) {}
    pub(in crate::queue) fn buried(_: usize) {}
    pub(in crate::queue) fn ended(_: Ended, _: Duration) {}
    pub(in crate::queue) fn failed() {}
    pub(in crate::queue) fn depth(_: &Depth) {}
}

#[cfg(feature = "metrics")]
pub use self::counted::describe;
pub(super) use self::counted::{buried, depth, ended, failed, pushed, started, worker_started};
