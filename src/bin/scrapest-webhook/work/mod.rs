//! `work`: posts the jobs of a queue to a service in any language.

mod post;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use scrapest_webhook::queue::{Backoff, Job};
use tokio::sync::oneshot;

use self::post::Service;
use crate::listen::server::Signals;
use crate::queue::QueueArgs;
use crate::{flag, listen, moment};

const EXAMPLES: &str = "\
Examples:
  Store deliveries and answer 202 at once; post them to a service, however long it takes:
    scrapest-webhook listen --sender scrapest --secret-env WEBHOOK_SECRET --queue sqlite:queue.db
    scrapest-webhook work --queue sqlite:queue.db --forward http://127.0.0.1:5000/events

A 2xx completes the job. Anything else is a failure: the job is posted again, after a wait that doubles.
After --max-attempts it is dead, until `queue retry` or `queue drop`.
SIGTERM and Ctrl-C stop it after the running jobs have ended; a second signal stops it at once.
Exit status: 0 when all running jobs have ended, 1 when some were given back, 2 when it could not start.";

/// Post the jobs of a queue to your service, with retries
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Work {
    #[command(flatten)]
    queue: QueueArgs,

    /// Post each job to this URL
    ///
    /// Body and content type are unchanged. The headers of `listen --forward` are added (Webhook-Attempt is the
    /// number of the attempt, from 1), and traceparent and tracestate if the request had them. Redirects are not
    /// followed.
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "forward_env",
        conflicts_with = "forward_env"
    )]
    forward: Option<String>,

    /// The environment variable that contains the URL, if it has a password
    #[arg(long, value_name = "NAME")]
    forward_env: Option<String>,

    /// How long to wait for the service's response
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = moment::span)]
    forward_timeout: Duration,

    /// The largest number of jobs posted at the same time
    #[arg(long, value_name = "N", default_value_t = 8)]
    concurrency: usize,

    /// The number of failed attempts after which a job is dead
    #[arg(long, value_name = "N", default_value_t = 50)]
    max_attempts: u32,

    /// How long a job waits after its first failure; the wait doubles after each further one
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = moment::span)]
    backoff: Duration,

    /// The longest wait
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = moment::span)]
    max_backoff: Duration,

    /// How long the running jobs wait after a crash of this process
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = moment::span)]
    lease: Duration,

    /// How long the body of a job that has succeeded is kept
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = moment::span)]
    keep_bodies: Duration,

    /// The format of the log on standard error
    #[arg(long, value_enum, default_value = "text")]
    log_format: listen::log::Format,
}

impl Work {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        listen::log::start(self.log_format)?;
        let service = Arc::new(self.service()?);
        let signals = Signals::take()?;
        let queue = self.queue.open().await?;
        let (stop, stopped) = oneshot::channel();
        let worker = queue
            .work(move |job: Job| {
                let service = Arc::clone(&service);
                async move { service.post(&job).await }
            })
            .with_concurrency(self.concurrency)
            .with_max_attempts(self.max_attempts)
            .with_backoff(Backoff::new(self.backoff, self.max_backoff))
            .with_lease(self.lease)
            .with_kept_bodies(self.keep_bodies)
            // The timeout of the request ends first, and gives a better error.
            .with_run_limit(self.forward_timeout.saturating_add(Duration::from_secs(5)))
            .with_shutdown(async { _ = stopped.await })
            .check()
            .map_err(flag::named)?;
        tokio::spawn(stop_on(signals, stop));
        let has_ended = worker.await;
        Ok(if has_ended { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn service(&self) -> Result<Service> {
        ensure!(!self.forward_timeout.is_zero(), "--forward-timeout: is 0, expected more than 0");
        let (flag, url) = match (&self.forward, &self.forward_env) {
            (Some(url), _) => {
                flag::without_password("--forward", url)?;
                ("--forward".to_owned(), url.clone())
            }
            (None, name) => {
                let name = name.as_deref().unwrap_or_default();
                flag::variable("--forward-env", name, "the URL to forward to")?
            }
        };
        Service::new(&flag, &url, self.forward_timeout)
    }
}

async fn stop_on(mut signals: Signals, stop: oneshot::Sender<()>) {
    let signal = signals.next().await;
    tracing::info!(signal, "stopping; a second signal stops it at once");
    _ = stop.send(());
    let signal = signals.next().await;
    tracing::warn!(signal, "stopped at once: jobs that were still running run again");
    std::process::exit(1)
}
