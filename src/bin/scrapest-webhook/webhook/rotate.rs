//! `webhook rotate`: replaces the secret without refusing a delivery.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use scrapest_webhook::scrapebadger::api::{Client, MonitorChange};
use tokio::time::sleep;

use super::journal::{Journal, Step};
use super::secret_file;
use crate::api::ApiArgs;
use crate::{moment, output};
use scrapest_webhook::scrapebadger::ScrapeBadger;

/// Change the secret of a monitor's webhook while deliveries continue
///
/// The receivers must watch the secret's file (`Secrets::from_watched_file`, or `listen`). The rotation adds a
/// new secret to the file beside the old one, waits until the receivers know it, changes the secret at the sender,
/// and removes the old one once no delivery signed with it can be fresh. It may be stopped or killed at any time:
/// run the same command again, and it continues from the step in FILE.rotation.
///
/// Example: scrapest-webhook webhook rotate --api-key-env KEY --monitor mon-123 --secret-file webhook.secret
#[derive(Debug, clap::Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    api: ApiArgs,

    /// The monitor of the webhook
    #[arg(long, value_name = "ID")]
    monitor: String,

    /// The file that the receivers watch
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,

    /// How long the receivers may take to read a changed file
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = moment::span)]
    follow: Duration,

    /// How long the old secret stays valid after the sender has the new one: the receivers' past tolerance, and a
    /// minute for clock differences
    #[arg(long, value_name = "DURATION", default_value = "61m", value_parser = moment::span)]
    keep_old: Duration,
}

impl Rotate {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let api = self.api.client::<ScrapeBadger>()?;
        let mut journal = match Journal::read(&self.secret_file, &self.monitor)? {
            Some(journal) => journal,
            None => self.begin(&api).await?,
        };
        if journal.step == Step::Begun {
            journal = self.add()?;
        }
        if journal.step == Step::Added {
            self.wait("until the receivers have read the file", journal.left_of(self.follow)).await;
            journal = self.change(&api).await?;
        }
        let left = journal.left_of(self.keep_old);
        self.wait("until nothing signed with the old secret is fresh", left).await;
        self.drop_old()?;
        Ok(ExitCode::SUCCESS)
    }

    /// Reports invalid settings before anything is changed.
    async fn begin(&self, api: &Client) -> Result<Journal> {
        let secrets = secret_file::read(&self.secret_file)?;
        ensure!(
            secrets.len() == 1,
            "--secret-file {}: has {} secrets and no rotation is under way, expected one: remove those that are no \
             longer used",
            self.secret_file.display(),
            secrets.len()
        );
        let monitor = api.monitor(&self.monitor).await?;
        ensure!(
            monitor.webhook_url.is_some(),
            "--monitor: {:?} has no webhook, expected one to change the secret of",
            self.monitor
        );
        Journal::write(&self.secret_file, &self.monitor, Step::Begun)
    }

    fn add(&self) -> Result<Journal> {
        let mut secrets = secret_file::read(&self.secret_file)?;
        // If the file already has two, an earlier run was killed at this point.
        if secrets.len() == 1 {
            secrets.insert(0, secret_file::generate());
            secret_file::write(&self.secret_file, &secrets)?;
        }
        let journal = Journal::write(&self.secret_file, &self.monitor, Step::Added)?;
        output::say(format_args!("1 of 3: the file has the new secret beside the old one"));
        Ok(journal)
    }

    async fn change(&self, api: &Client) -> Result<Journal> {
        let secrets = self.both()?;
        let change = MonitorChange {
            webhook_secret: Some(secrets[0].as_str().into()),
            ..MonitorChange::default()
        };
        api.change_monitor(&self.monitor, &change)
            .await
            .context("both secrets stay valid here: run the command again to continue")?;
        let journal = Journal::write(&self.secret_file, &self.monitor, Step::Changed)?;
        output::say(format_args!("2 of 3: the sender signs with the new secret"));
        Ok(journal)
    }

    fn drop_old(&self) -> Result<()> {
        let secrets = secret_file::read(&self.secret_file)?;
        // If the file has only one, an earlier run was killed before it removed the journal.
        if secrets.len() > 1 {
            secret_file::write(&self.secret_file, &self.both()?[..1])?;
        }
        Journal::remove(&self.secret_file)?;
        output::say(format_args!("3 of 3: the old secret is removed; the rotation is done"));
        Ok(())
    }

    /// Both secrets, the new one first.
    fn both(&self) -> Result<Vec<secret_file::Text>> {
        let secrets = secret_file::read(&self.secret_file)?;
        ensure!(
            secrets.len() == 2,
            "--secret-file {}: has {} secrets during a rotation, expected the new one and the old one: something \
             else has changed the file",
            self.secret_file.display(),
            secrets.len()
        );
        Ok(secrets)
    }

    async fn wait(&self, what: &str, left: Duration) {
        if !left.is_zero() {
            let shown = humantime::format_duration(Duration::from_secs(left.as_secs().max(1)));
            output::say(format_args!("waiting {shown} {what}"));
            sleep(left).await;
        }
    }
}
