//! `listen`: a receiver that prints accepted deliveries, or passes them to a service in any language.
//!
//! 1. `settings` builds the crate's layer from the flags, `secrets` keeps its secrets up to date;
//! 2. `server` binds, and stops on a signal;
//! 3. `handler` is behind the layer: it prints through `lines`, or posts through `forward`, with the headers that
//!    `passed_on` allows;
//! 4. `observe` wraps the layer and passes each request, as an `exchange`, to `record` and to the `desk`;
//! 5. the `desk` finds likely causes, and passes requests to `pretty` (the terminal) and the `inspector` (the
//!    browser).

mod desk;
mod exchange;
pub(crate) mod forward;
mod handler;
mod inspector;
mod lines;
pub(crate) mod log;
mod observe;
pub(crate) mod passed_on;
mod pretty;
mod record;
mod secrets;
pub(crate) mod server;
pub(crate) mod settings;
mod tls;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::any;
use scrapest_webhook::scrapebadger::ScrapeBadger;
use scrapest_webhook::scrapest::Scrapest;
use scrapest_webhook::{Provider, Secret, Secrets, WebhookLayer};
use tokio::net::TcpListener;

use self::desk::{Desk, Explainer};
use self::handler::Receiver;
use self::lines::Lines;
use self::observe::Observers;
use self::pretty::{Output, Pretty, Welcome};
use self::server::{Serving, Signals};
use crate::checks::CheckArgs;
use crate::queue;
use crate::secret::SecretArgs;
use crate::sender::Sender;
use crate::{flag, output};

const EXAMPLES: &str = "\
Examples:
  Does my secret work, and what does the sender really send?
    WEBHOOK_SECRET=whsec_… scrapest-webhook listen --sender scrapest --secret-env WEBHOOK_SECRET

  Show every request in the browser, with the likely cause of each refusal:
    scrapest-webhook listen --sender scrapest --secret-env WEBHOOK_SECRET --ui \\
      --forward http://127.0.0.1:5000/events

  In front of a service in any language, with a store that remembers deliveries:
    scrapest-webhook listen --sender scrapebadger --secret-file /run/secrets/webhook \\
      --listen 0.0.0.0:8443 --tls-cert chain.pem --tls-key key.pem \\
      --store sqlite:deliveries.db --forward http://127.0.0.1:5000/events

  In front of a service that is slow or sometimes down: store each delivery, and answer at once (see `work`):
    scrapest-webhook listen --sender scrapest --secret-env WEBHOOK_SECRET --queue sqlite:queue.db

Standard output: first one line `listening on http://ADDR/PATH`. Then, on a terminal, one line for each request; in a
pipe, one line of JSON for each accepted event (--output).
Standard error: each refusal and its reason, unless standard output shows it (RUST_LOG=warn for less,
RUST_LOG=debug for more).
SIGTERM, Ctrl-C or closing the terminal stops it after every run has ended; a second signal stops it at once.
Exit status: 0 when every run has ended, 1 when a run was cut off or standard output was closed,
2 when it could not start.";

/// Receive webhooks, verified, fresh and only once, and print them or post them to your service
///
/// It speaks HTTP/1.1. A connection is closed if the headers of a request take more than 10 s, or after 10 s
/// without a request. Changes to a --secret-file take effect without a restart.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Listen {
    /// The sender of the webhooks
    #[arg(long, value_enum)]
    sender: Sender,

    /// The host and port to listen on; port 0 selects a free port
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

    /// The environment variable that contains the URL of the queue, if it has a password
    #[arg(long, value_name = "NAME", conflicts_with_all = ["forward", "forward_env"])]
    queue_env: Option<String>,

    #[command(flatten)]
    record: record::RecordArgs,

    #[command(flatten)]
    ui: inspector::UiArgs,

    /// The format of standard output [default: pretty on a terminal, else json]
    #[arg(long, value_enum)]
    output: Option<Output>,

    /// The certificate chain, in PEM; together with --tls-key it enables https
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// The format of the log on standard error
    #[arg(long, value_enum, default_value = "text")]
    log_format: log::Format,
}

impl Listen {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        // Before the log is set up: the layer warns about a short secret again.
        let secrets = self.secret.read()?;
        log::start(self.log_format)?;
        match self.sender {
            Sender::Scrapest => self.receive::<Scrapest>(&secrets).await,
            Sender::ScrapeBadger => self.receive::<ScrapeBadger>(&secrets).await,
        }
    }

    async fn receive<P: Provider + Default>(self, secrets: &[Secret]) -> Result<ExitCode> {
        let path = checked_path(&self.path)?;
        let secrets = Secrets::new(secrets.iter().cloned()).map_err(flag::named)?;
        let layer = WebhookLayer::<P>::from_secrets(secrets.clone());
        let layer = self.settings.set_on(self.checks.set_on(layer))?;
        let limits = self.settings.limits::<P>();
        let forward = self.forward.forward(limits)?.map(Arc::new);
        let queue = queue::open(self.queue.as_deref(), self.queue_env.as_deref()).await?;
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Some(tls::config(cert, key)?),
            _ => None,
        };
        let recorder = self.record.recorder::<P>()?;
        let ui = self.ui.bind().await?;
        let listener = TcpListener::bind(&self.listen).await.with_context(|| {
            format!("--listen {}: expected a free host and port, like 127.0.0.1:3000", self.listen)
        })?;
        let address = listener.local_addr().context("--listen")?;

        let signals = Signals::take()?;
        let lines = Lines::start()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{address}{path}");
        let output = self.output.unwrap_or_else(Output::usual);
        let page = ui.as_ref().map(inspector::Bound::url);
        let mut first = format!("listening on {url}");
        let pretty = (output == Output::Pretty).then(Pretty::new);
        match (&pretty, &page) {
            (Some(pretty), _) => {
                first += "\n";
                first += &pretty.welcome(&Welcome {
                    url: &url,
                    path,
                    port: address.port(),
                    sender: self.sender.name(),
                    is_loopback: address.ip().is_loopback(),
                    inspector: page.as_deref(),
                });
            }
            (None, Some(page)) => output::say(format_args!("inspector: {page}")),
            (None, None) => {}
        }
        lines.print(first).await.context("standard output: cannot be written")?;

        let is_shown = pretty.is_some() || ui.is_some();
        let desk = is_shown.then(|| {
            let explainer = Explainer {
                sender: self.sender,
                secret: self.secret.clone(),
                checks: self.checks.clone(),
                path: path.to_owned(),
            };
            let exchanges = ui.as_ref().map(|ui| ui.exchanges.clone());
            Desk::start(explainer, pretty.map(|pretty| (pretty, lines.clone())), exchanges)
        });
        if let Some(ui) = ui {
            ui.start(inspector::Service {
                sender: self.sender,
                signature_headers: P::default().signature_headers().map(str::to_owned).collect(),
                secret: self.secret.clone(),
                url,
                forward: forward.clone(),
            });
        }
        tokio::spawn(secrets::follow(self.secret, secrets));

        // Without an upstream the lines are the only output.
        let needed = (forward.is_none() && queue.is_none()).then_some(&lines);
        let prints_events = output == Output::Json;
        let receiver = Arc::new(Receiver { lines: lines.clone(), forward, queue, prints_events });
        let mut route = any(handler::on_delivery).with_state(receiver).layer(layer.clone());
        let mut app = Router::new();
        let elsewhere = match output {
            Output::Pretty => any(log::not_found),
            _ => {
                route = route.layer(from_fn(log::refusals));
                any(log::elsewhere)
            }
        };
        app = app.route(path, route).fallback_service(elsewhere);
        if recorder.is_some() || desk.is_some() {
            let recorder = recorder.clone();
            let observers = Observers { path: path.into(), recorder, desk };
            app = app.layer(from_fn_with_state(observers, observe::observe));
        }

        let serving = Serving::start(listener, tls, app);
        let outcome = server::serve(serving, signals, &layer, limits, needed).await;
        if let Some(recorder) = recorder {
            recorder.finish().await;
        }
        outcome
    }
}

/// A path with a router's pattern, or with characters that a URL cannot have, is a mistake.
fn checked_path(path: &str) -> Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    ensure!(
        path.starts_with('/') && path.bytes().all(plain),
        "--path {path:?}: expected / and after it only letters, digits and - . _ ~ /"
    );
    Ok(path)
}
