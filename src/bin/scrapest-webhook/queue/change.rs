//! `queue retry` and `queue drop`.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use scrapest_webhook::queue::{JobState, Queue};
use serde_json::json;

use super::QueueArgs;
use crate::output;

#[derive(Debug, clap::Args)]
struct Which {
    #[command(flatten)]
    queue: QueueArgs,

    /// The ids of the jobs, as `queue list` prints them
    #[arg(value_name = "ID", conflicts_with = "all_dead")]
    ids: Vec<i64>,

    /// All dead jobs
    #[arg(long)]
    all_dead: bool,

    /// Print one line of JSON per job
    #[arg(long)]
    json: bool,
}

/// Make dead or waiting jobs due now, with all their attempts
///
/// Example: scrapest-webhook queue retry --queue sqlite:queue.db 7 8
#[derive(Debug, clap::Args)]
pub(super) struct Retry {
    #[command(flatten)]
    which: Which,
}

/// Give up dead or waiting jobs. Their bodies are erased
///
/// Example: scrapest-webhook queue drop --queue sqlite:queue.db 7
#[derive(Debug, clap::Args)]
pub(super) struct Drop {
    #[command(flatten)]
    which: Which,
}

impl Retry {
    pub(super) async fn run(self) -> Result<ExitCode> {
        self.which.change("retried", async |queue, id| Ok(queue.retry(id).await?)).await
    }
}

impl Drop {
    pub(super) async fn run(self) -> Result<ExitCode> {
        self.which.change("dropped", async |queue, id| Ok(queue.drop(id).await?)).await
    }
}

impl Which {
    async fn change(
        &self,
        done: &str,
        change: impl AsyncFn(&Queue, i64) -> Result<bool>,
    ) -> Result<ExitCode> {
        ensure!(self.all_dead || !self.ids.is_empty(), "expected the ID of a job, or --all-dead");
        let queue = self.queue.open_ready().await?;
        let mut changed_all = true;
        let mut ids = self.ids.clone();
        let mut after = 0;
        loop {
            if self.all_dead {
                // Jobs that die meanwhile may have smaller ids, and are left for another command.
                let dead = queue.list(Some(JobState::Dead), after, 1_000).await?;
                ids = dead.iter().map(|job| job.id).collect();
                let Some(last) = ids.last() else { break };
                after = *last;
            }
            for id in &ids {
                let is_changed = change(&queue, *id).await?;
                changed_all &= is_changed;
                let what = if is_changed { done } else { "unchanged" };
                match self.json {
                    true => output::print(format!("{}\n", json!({"id": id, "outcome": what})))?,
                    false if is_changed => output::print(format!("{id} {done}\n"))?,
                    false => output::say(format_args!(
                        "{id} is unchanged: it does not exist, or it is running or done"
                    )),
                }
            }
            if !self.all_dead {
                break;
            }
        }
        Ok(if changed_all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
