//! `listen`: a receiver, that prints what it accepts or hands it to a service of any language.
//!
//! 1. `settings` makes the crate's layer of the flags;
//! 2. `server` binds, and stops when it is told to;
//! 3. `handler` is what stands behind the layer: it prints by way of `lines`, or posts by way of `forward`;
//! 4. `record` stands around the layer, and keeps what it was shown.

pub(crate) mod forward;
mod handler;
mod lines;
pub(crate) mod log;
mod record;
pub(crate) mod server;
pub(crate) mod settings;
mod tls;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::any;
use scrapest_webhook::scrapebadger::ScrapeBadger;
use scrapest_webhook::scrapest::Scrapest;
use scrapest_webhook::{Provider, Secret};
use tokio::net::TcpListener;

use self::handler::Receiver;
use self::lines::Lines;
use self::server::{Serving, Signals};
use crate::checks::CheckArgs;
use crate::queue;
use crate::secret::SecretArgs;
use crate::sender::Sender;

const EXAMPLES: &str = "\
Examples:
  Does my secret work, and what does the sender really send?
    WEBHOOK_SECRET=whsec_… scrapest-webhook listen --sender scrapest --secret-env WEBHOOK_SECRET

  A front for a service in any language, that remembers what it has had:
    scrapest-webhook listen --sender scrapebadger --secret-file /run/secrets/webhook \\
      --listen 0.0.0.0:8443 --tls-cert chain.pem --tls-key key.pem \\
      --store sqlite:deliveries.db --forward http://127.0.0.1:5000/events

  A front that stores and answers at once, for a service that is slow or sometimes away (see `work`):
    scrapest-webhook listen --sender scrapest --secret-env WEBHOOK_SECRET --queue sqlite:queue.db

Standard output: first one line `listening on http://ADDR/PATH`, then one line of JSON for each accepted event.
Standard error: what is refused and why (RUST_LOG=warn for less, RUST_LOG=debug for more).
SIGTERM and Ctrl-C stop it once what runs has ended; a second one stops it at once.
Exit status: 0 when all that ran has ended, 1 when not or when standard output is gone, 2 when it could not start.";

/// Receive webhooks: verified, fresh and only once, as lines of JSON or posted to a service of yours
///
/// HTTP/1.1, so that a proxy in front of it needs no setting. A connection whose request's headers take more
/// than 10 s, or that is idle for so long, is closed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Listen {
    /// Whose webhooks they are
    #[arg(long, value_enum)]
    sender: Sender,

    /// Where to listen, host and port; with port 0 on any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,

    /// The path that the sender posts to
    #[arg(long, default_value = "/webhooks")]
    path: String,

    #[command(flatten)]
    secret: SecretArgs,

    #[command(flatten)]
    checks: CheckArgs,

    #[command(flatten)]
    settings: settings::Settings,

    #[command(flatten)]
    forward: forward::ForwardArgs,

    /// Store each accepted delivery in this queue, `sqlite:FILE` or `postgres://…`, and answer 202; `work` posts it to a service
    #[arg(long, value_name = "URL", conflicts_with_all = ["queue_env", "forward", "forward_env"])]
    queue: Option<String>,

    /// The environment variable that has the URL of the queue, if it has a password in it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["forward", "forward_env"])]
    queue_env: Option<String>,

    #[command(flatten)]
    record: record::RecordArgs,

    /// The certificate chain, in PEM; with it, and with --tls-key, it listens on https
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// How the log on standard error is written
    #[arg(long, value_enum, default_value = "text")]
    log_format: log::Format,
}

impl Listen {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        // Before there is a log: what is said of a short secret is said by the layer again.
        let secrets = self.secret.read()?;
        log::start(self.log_format)?;
        match self.sender {
            Sender::Scrapest => self.receive::<Scrapest>(&secrets).await,
            Sender::ScrapeBadger => self.receive::<ScrapeBadger>(&secrets).await,
        }
    }

    async fn receive<P: Provider + Default>(self, secrets: &[Secret]) -> Result<ExitCode> {
        let path = checked_path(&self.path)?;
        let layer = self.settings.set_on(self.checks.layer::<P>(secrets)?)?;
        let limits = self.settings.limits::<P>();
        let forward = self.forward.forward(limits)?;
        let queue = queue::open(self.queue.as_deref(), self.queue_env.as_deref()).await?;
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Some(tls::config(cert, key)?),
            _ => None,
        };
        let recorder = self.record.recorder::<P>()?;
        let listener = TcpListener::bind(&self.listen).await.with_context(|| {
            format!("--listen {}: expected a free host and port, like 127.0.0.1:3000", self.listen)
        })?;
        let address = listener.local_addr().context("--listen")?;

        let signals = Signals::take()?;
        let lines = Lines::start()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        lines
            .print(format!("listening on {scheme}://{address}{path}"))
            .await
            .context("standard output: cannot be written")?;

        // Without an upstream the lines are all there is.
        let needed = (forward.is_none() && queue.is_none()).then_some(&lines);
        let receiver = Arc::new(Receiver { lines: lines.clone(), forward, queue });
        let mut route = any(handler::on_delivery)
            .with_state(receiver)
            .layer(layer.clone())
            .layer(from_fn(log::refusals));
        if let Some(recorder) = &recorder {
            route = route.layer(from_fn_with_state(recorder.clone(), record::record));
        }
        let app = Router::new().route(path, route).fallback(elsewhere);

        let serving = Serving::start(listener, tls, app);
        let outcome = server::serve(serving, signals, &layer, limits, needed).await;
        if let Some(recorder) = recorder {
            recorder.finish().await;
        }
        outcome
    }
}

/// The first day's other question: whether the sender was given the right path.
async fn elsewhere() -> StatusCode {
    tracing::info!(status = 404, "request for another path than --path");
    StatusCode::NOT_FOUND
}

/// What a router takes for a pattern, and what no URL has, is a mistake.
fn checked_path(path: &str) -> Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    ensure!(
        path.starts_with('/') && path.bytes().all(plain),
        "--path {path:?}: expected / and after it only letters, digits and - . _ ~ /"
    );
    Ok(path)
}
