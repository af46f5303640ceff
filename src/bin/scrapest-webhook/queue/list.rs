//! `queue list`.

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Result;
use scrapest_webhook::queue::{JobRecord, JobState};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::QueueArgs;
use crate::{moment, output};

/// How many jobs are fetched at once.
const PAGE: u32 = 1_000;

/// List jobs, the oldest first
///
/// Example: scrapest-webhook queue list --queue sqlite:queue.db --state dead
#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    queue: QueueArgs,

    /// Only the jobs in this state
    #[arg(long, value_enum)]
    state: Option<State>,

    /// The maximum number of jobs
    #[arg(long, default_value_t = 100)]
    limit: u32,

    /// Print one line of JSON per job
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum State {
    Waiting,
    Running,
    Done,
    Dead,
    Unreadable,
}

impl List {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let queue = self.queue.open_ready().await?;
        let state = self.state.map(JobState::from);
        let (mut after, mut left) = (0, self.limit);
        while left > 0 {
            let jobs = queue.list(state, after, left.min(PAGE)).await?;
            let Some(last) = jobs.last() else { break };
            after = last.id;
            left -= u32::try_from(jobs.len()).unwrap_or(left).min(left);
            let mut text = String::new();
            for job in &jobs {
                _ = match self.json {
                    true => writeln!(text, "{}", to_json(job)),
                    false => writeln!(text, "{}", line(job)),
                };
            }
            output::print(text)?;
        }
        if left == self.limit && !self.json {
            output::say(format_args!("there is no such job"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Running => Self::Running,
            State::Done => Self::Done,
            State::Dead => Self::Dead,
            State::Unreadable => Self::Unreadable,
        }
    }
}

fn line(job: &JobRecord) -> String {
    let time = |time: Option<OffsetDateTime>| time.map(|time| moment::show(time.into()));
    // Data from the delivery is escaped, because it is printed to a terminal.
    let text = |text: Option<&str>| text.unwrap_or("-").escape_debug().to_string();
    let mut line = format!(
        "{}  {}  {}  {}  {}  failed {}, lost {}",
        job.id,
        job.state.as_str(),
        time(job.stored_at).unwrap_or_default(),
        job.sender.escape_debug(),
        text(job.kind.as_deref()),
        job.failed,
        job.lost,
    );
    if job.state == JobState::Waiting && job.failed > 0 {
        _ = write!(line, "  due {}", time(job.run_at).unwrap_or_default());
    }
    if let Some(reason) = &job.reason {
        _ = write!(line, "  {}", reason.escape_debug());
    }
    line
}

pub(super) fn to_json(job: &JobRecord) -> Value {
    let time = |time: Option<OffsetDateTime>| time.map(|time| moment::show(time.into()));
    json!({
        "id": job.id, "state": job.state.as_str(), "key": job.key.to_string(), "sender": job.sender,
        "webhook_id": job.webhook_id, "delivery_id": job.delivery_id, "kind": job.kind,
        "failed": job.failed, "lost": job.lost, "reason": job.reason, "body_bytes": job.body_bytes,
        "stored_at": time(job.stored_at), "run_at": time(job.run_at), "settled_at": time(job.settled_at),
    })
}
