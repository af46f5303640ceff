//! `queue show`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::{QueueArgs, list};
use crate::output;

/// Show one job with its body
///
/// Example: scrapest-webhook queue show --queue sqlite:queue.db 7
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    #[command(flatten)]
    queue: QueueArgs,

    /// The id of the job, as `queue list` prints it
    #[arg(value_name = "ID")]
    id: i64,

    /// Print it on one line, for programs
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let queue = self.queue.open_ready().await?;
        let Some(job) = queue.find(self.id).await? else {
            output::say(format_args!("there is no job {}", self.id));
            return Ok(ExitCode::FAILURE);
        };
        let body = queue.body(self.id).await?;
        let mut shown = list::to_json(&job);
        if let Value::Object(fields) = &mut shown {
            let body = body.map(|body| match serde_json::from_slice::<Value>(&body) {
                Ok(value) => value,
                Err(_) => json!(String::from_utf8_lossy(&body)),
            });
            fields.insert("body".to_owned(), body.unwrap_or(Value::Null));
        }
        // JSON escapes all control characters, so none reaches the terminal.
        let text = if self.json { shown.to_string() } else { format!("{shown:#}") };
        output::print(text + "\n")?;
        Ok(ExitCode::SUCCESS)
    }
}
