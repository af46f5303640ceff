//! `webhook`: manages the webhooks of an account at ScrapeBadger, through its API.

mod create;
mod delete;
mod journal;
mod list;
mod rotate;
mod secret_file;
mod trial;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

const EXAMPLES: &str = "\
Examples:
  Create the webhook of a monitor, with a new secret that is written to a file:
    scrapest-webhook webhook create --api-key-env KEY --monitor mon-123 \\
      --url https://example.com/webhooks/scrapebadger --secret-file /run/secrets/webhook

  Change its secret while deliveries continue:
    scrapest-webhook webhook rotate --api-key-env KEY --monitor mon-123 --secret-file /run/secrets/webhook

Secrets are written to files that only their owner can read, never to standard output.
Exit status: 0 on success, 1 when the sender says that a test event was not received, 2 on any error.";

/// List, create, test, rotate and delete webhooks at ScrapeBadger
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Webhook {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Create(create::Create),
    Test(trial::Test),
    Rotate(rotate::Rotate),
    Delete(delete::Delete),
}

impl Webhook {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::List(command) => command.run().await,
            Command::Create(command) => command.run().await,
            Command::Test(command) => command.run().await,
            Command::Rotate(command) => command.run().await,
            Command::Delete(command) => command.run().await,
        }
    }
}
