//! `reconcile`: finds deliveries that are in the sender's log but not in the receiver's store, and posts them to
//! the service or puts them into a queue.

mod report;
mod target;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use scrapest_webhook::scrapebadger::ScrapeBadger;
use scrapest_webhook::scrapest::Scrapest;
use scrapest_webhook::{
    Once, Provider, Reconcile as What, ReconcileError, Reconciled, WebhookLayer,
};

use self::report::Report;
use self::target::Target;
use crate::api::ApiArgs;
use crate::listen::forward::ForwardArgs;
use crate::listen::server::Signals;
use crate::listen::settings::Settings;
use crate::sender::Sender;
use crate::{flag, moment, output, queue, store};

const EXAMPLES: &str = "\
Examples:
  Has anything been missed in the last day? Nothing is posted, and the calls are counted:
    scrapest-webhook reconcile --sender scrapebadger --api-key-env KEY --monitor mon-123 \\
      --store sqlite:deliveries.db --dry-run

  Post what was missed to the service, now and every five minutes:
    scrapest-webhook reconcile --sender scrapebadger --api-key-env KEY --monitor mon-123 \\
      --store sqlite:deliveries.db --forward http://127.0.0.1:5000/events --every 5m

  Put what was missed into the queue that `listen --queue` fills and `work` empties:
    scrapest-webhook reconcile --sender scrapebadger --api-key-env KEY --monitor mon-123 \\
      --store sqlite:deliveries.db --queue sqlite:queue.db

Give the store and the namespace of the receiver, which must handle each tweet once (`listen --once-per tweet`, or
`with_once_per(Once::Tweet)`). The command may be killed at any time: handled deliveries are recorded, and the next
pass continues.
Exit status: 0 when nothing was missing, 1 when every missing delivery is handled now (or would be, in a dry run),
3 when some are left or gone at the sender, 2 on any error.";

/// Find missed deliveries in the sender's log, and post them to your service or put them into a queue
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Reconcile {
    /// The sender of the deliveries
    #[arg(long, value_enum)]
    sender: Sender,

    #[command(flatten)]
    api: ApiArgs,

    /// The monitor whose log is read (ScrapeBadger)
    #[arg(long, value_name = "ID", conflicts_with = "source")]
    monitor: Option<String>,

    /// The source whose history is read (Scrapest)
    #[arg(long, value_name = "ID")]
    source: Option<String>,

    /// How far back to read the log; at most the retention of the store
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = moment::span)]
    since: Duration,

    /// Only deliveries that the sender has given up on, according to its log; the default without --store
    #[arg(long)]
    only_failed: bool,

    /// Print the deliveries that would be posted, and post nothing
    #[arg(long)]
    dry_run: bool,

    /// Repeat the pass after this time, until SIGTERM or Ctrl-C
    #[arg(long, value_name = "DURATION", value_parser = moment::span)]
    every: Option<Duration>,

    #[command(flatten)]
    settings: Settings,

    #[command(flatten)]
    forward: ForwardArgs,

    /// Put each missing delivery into this queue, `sqlite:FILE` or `postgres://…`; `work` posts it to a service
    #[arg(long, value_name = "URL", conflicts_with_all = ["queue_env", "forward", "forward_env"])]
    queue: Option<String>,

    /// The environment variable that contains the URL of the queue, if it has a password
    #[arg(long, value_name = "NAME", conflicts_with_all = ["forward", "forward_env"])]
    queue_env: Option<String>,
}

impl Reconcile {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        match self.sender {
            Sender::ScrapeBadger => {
                let client = self.api.client::<ScrapeBadger>()?;
                let (layer, target) = self.receiver::<ScrapeBadger>().await?;
                let (layer, what) = (layer.with_once_per(Once::Tweet), self.what("--monitor")?);
                self.passes(async || {
                    layer.reconcile(&client, &what, |delivery| target.take(delivery)).await
                })
                .await
            }
            Sender::Scrapest => {
                let client = self.api.client::<Scrapest>()?;
                let (layer, target) = self.receiver::<Scrapest>().await?;
                let what = self.what("--source")?;
                self.passes(async || {
                    layer.reconcile(&client, &what, |delivery| target.take(delivery)).await
                })
                .await
            }
        }
    }

    fn what(&self, wanted: &str) -> Result<What> {
        let of = match wanted {
            "--monitor" => &self.monitor,
            _ => &self.source,
        };
        let Some(of) = of else {
            bail!("{wanted}: is missing, expected the id whose log to read");
        };
        let mut what = What::new(of).since(self.since);
        if self.dry_run {
            what = what.dry_run();
        }
        if self.only_failed {
            what = what.only_failed();
        } else if !self.settings.has_store() && self.sender == Sender::ScrapeBadger {
            output::say(format_args!(
                "without --store it is not known what was handled: only deliveries that the sender has given up \
                 on are posted"
            ));
            what = what.only_failed();
        }
        Ok(what)
    }

    async fn receiver<P: Provider + Default>(&self) -> Result<(WebhookLayer<P>, Target)> {
        let layer = self.settings.set_on(store::unsigned()?)?;
        let forward = self.forward.forward(self.settings.limits::<P>())?;
        if self.dry_run {
            return Ok((layer, Target::None));
        }
        let queue = queue::open(self.queue.as_deref(), self.queue_env.as_deref()).await?;
        let target = match (forward, queue) {
            (Some(forward), _) => Target::Service(forward),
            (None, Some(queue)) => Target::Queue(queue),
            (None, None) => {
                bail!("--forward, --queue: are missing, expected one of them, or --dry-run")
            }
        };
        Ok((layer, target))
    }

    /// Runs one pass, or one after another.
    async fn passes(
        &self,
        pass: impl AsyncFn() -> Result<Reconciled, ReconcileError>,
    ) -> Result<ExitCode> {
        let Some(every) = self.every else {
            let report = Report { done: pass().await?, is_dry: self.dry_run };
            output::print(format!("{report}\n"))?;
            return Ok(report.exit_code());
        };
        ensure!(!every.is_zero(), "--every: is 0, expected a time like 5m");
        let mut signals = Signals::take()?;
        loop {
            // A pass that is dropped before its end has recorded the deliveries that it handled.
            let outcome = tokio::select! {
                outcome = pass() => outcome,
                _ = signals.next() => return Ok(ExitCode::SUCCESS),
            };
            match outcome {
                Ok(done) => {
                    output::print(format!("{}\n", Report { done, is_dry: self.dry_run }))?;
                }
                Err(ReconcileError::Config(error)) => return Err(flag::named(error)),
                // The sender's API may be back for the next pass.
                Err(error) => output::say(format_args!("error: {error}")),
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                _ = signals.next() => return Ok(ExitCode::SUCCESS),
            }
        }
    }
}
