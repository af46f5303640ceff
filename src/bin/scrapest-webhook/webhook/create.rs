//! `webhook create`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use scrapest_webhook::scrapebadger::api::NewWebhook;

use super::secret_file;
use crate::api::ApiArgs;
use crate::{client, output};
use scrapest_webhook::scrapebadger::ScrapeBadger;

/// Create the webhook of a monitor
///
/// If the secret's file does not exist, a new secret is generated and written to it first, so that the receiver
/// can know it before the first delivery.
///
/// Example: scrapest-webhook webhook create --api-key-env KEY --monitor mon-123
/// --url https://example.com/webhooks --secret-file webhook.secret
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    #[command(flatten)]
    api: ApiArgs,

    /// The monitor; it has at most one webhook
    #[arg(long, value_name = "ID")]
    monitor: String,

    /// The URL that deliveries are posted to
    #[arg(long)]
    url: String,

    /// The file that contains the secret, or that a new one is written to (mode 0600)
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
}

impl Create {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let api = self.api.client::<ScrapeBadger>()?;
        client::url("--url", &self.url)?;
        let path = &self.secret_file;
        if !path.exists() {
            secret_file::write(path, &[secret_file::generate()])?;
            output::say(format_args!("wrote a new secret to {}", path.display()));
        }
        let secrets = secret_file::read(path)?;
        ensure!(
            secrets.len() == 1,
            "--secret-file {}: has {} secrets, expected one",
            path.display(),
            secrets.len()
        );
        let new = NewWebhook {
            monitor_id: self.monitor,
            url: self.url,
            secret: Some(secrets[0].as_str().into()),
        };
        let made = api
            .create_webhook(&new)
            .await
            .with_context(|| format!("not created; the secret stays in {}", path.display()))?;
        output::say(format_args!(
            "created webhook {:?} of monitor {:?}; its secret is in {}",
            made.id,
            made.monitor_id,
            path.display()
        ));
        Ok(ExitCode::SUCCESS)
    }
}
