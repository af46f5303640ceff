//! `webhook list`.

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::api::ApiArgs;
use crate::output;
use scrapest_webhook::scrapebadger::ScrapeBadger;

/// List the webhooks of the account
///
/// Example: scrapest-webhook webhook list --api-key-env KEY
#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    api: ApiArgs,

    /// Only the webhook of this monitor
    #[arg(long, value_name = "ID")]
    monitor: Option<String>,

    /// Print one line of JSON per webhook
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let hooks = self.api.client::<ScrapeBadger>()?.webhooks(self.monitor.as_deref()).await?;
        let mut text = String::new();
        for hook in &hooks {
            if self.json {
                let line = json!({
                    "id": hook.id, "monitor_id": hook.monitor_id, "monitor_name": hook.monitor_name,
                    "url": hook.url, "secret_set": hook.secret_set,
                });
                _ = writeln!(text, "{line}");
            } else {
                let signed = if hook.secret_set { "signed" } else { "NOT SIGNED" };
                // Data from the API is escaped, because it is printed to a terminal.
                _ = writeln!(
                    text,
                    "{}  {}  {}  {signed}",
                    hook.monitor_id.escape_debug(),
                    hook.monitor_name.escape_debug(),
                    hook.url.escape_debug()
                );
            }
        }
        output::print(text)?;
        if hooks.is_empty() && !self.json {
            output::say(format_args!("there is no webhook"));
        }
        Ok(ExitCode::SUCCESS)
    }
}
