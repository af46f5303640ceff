//! `webhook delete`.

use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::api::ApiArgs;
use crate::output;
use scrapest_webhook::scrapebadger::ScrapeBadger;

/// Delete the webhook of a monitor, which ends its deliveries
///
/// Example: scrapest-webhook webhook delete --api-key-env KEY --monitor mon-123 --yes
#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    #[command(flatten)]
    api: ApiArgs,

    /// The monitor of the webhook
    #[arg(long, value_name = "ID")]
    monitor: String,

    /// Confirm the deletion
    #[arg(long)]
    yes: bool,
}

impl Delete {
    pub(super) async fn run(self) -> Result<ExitCode> {
        ensure!(
            self.yes,
            "--yes: is missing; without the webhook nothing is delivered, and tweets detected in the meantime \
             are lost"
        );
        self.api.client::<ScrapeBadger>()?.delete_webhook(&self.monitor).await?;
        output::say(format_args!("deleted the webhook of monitor {:?}", self.monitor));
        Ok(ExitCode::SUCCESS)
    }
}
