//! `queue`: shows the contents of a queue, and changes it by hand.

mod change;
mod list;
mod place;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use self::place::{QueueArgs, open};

const EXAMPLES: &str = "\
Examples:
  Which jobs are dead, and why?
    scrapest-webhook queue list --queue sqlite:queue.db --state dead

  Once the service is repaired:
    scrapest-webhook queue retry --queue sqlite:queue.db --all-dead

Exit status: 0 on success, 1 when there is no such job or it cannot be changed, 2 on any error.";

/// List, show, retry and drop the jobs of a queue that `listen --queue` or your application fills
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Queue {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Show(show::Show),
    Retry(change::Retry),
    Drop(change::Drop),
}

impl Queue {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::List(command) => command.run().await,
            Command::Show(command) => command.run().await,
            Command::Retry(command) => command.run().await,
            Command::Drop(command) => command.run().await,
        }
    }
}
