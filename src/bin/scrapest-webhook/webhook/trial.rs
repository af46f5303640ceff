//! `webhook test`: compares the sender's report on a test event with the requests that arrived here.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::any;
use scrapest_webhook::scrapebadger::ScrapeBadger;
use scrapest_webhook::{Delivery, Rejection};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::secret_file;
use crate::api::ApiArgs;
use crate::checks::CheckArgs;
use crate::output;

/// How long to wait for requests that are still in transit when the sender has answered.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// Ask the sender to post a test event, and compare its report with the requests that arrive
///
/// With --listen a receiver runs during the test; the webhook's URL must lead to it, for example through a tunnel.
/// Without --listen, only the sender's report is shown, and the event goes to the receiver in use.
///
/// Example: scrapest-webhook webhook test --api-key-env KEY --monitor mon-123
#[derive(Debug, clap::Args)]
pub(super) struct Test {
    #[command(flatten)]
    api: ApiArgs,

    /// The monitor of the webhook
    #[arg(long, value_name = "ID")]
    monitor: String,

    /// The host and port on which to receive the event
    #[arg(long, value_name = "ADDR", requires = "secret_file")]
    listen: Option<String>,

    /// A file that contains the webhook's secrets, one per line; with --listen
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

impl Test {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let api = self.api.client::<ScrapeBadger>()?;
        let (seen, mut arrived) = mpsc::channel(16);
        if let (Some(address), Some(path)) = (&self.listen, &self.secret_file) {
            let secrets = secret_file::read(path)?;
            let secrets: Vec<_> = secrets.iter().map(|secret| secret.as_str().into()).collect();
            let layer = CheckArgs::default().layer::<ScrapeBadger>(&secrets)?;
            let listener = TcpListener::bind(address).await.with_context(|| {
                format!("--listen {address}: expected a free host and port, like 127.0.0.1:3000")
            })?;
            let seen = Arc::new(seen);
            let app = Router::new()
                .fallback(any(received).layer(layer))
                .layer(from_fn(move |request, next| watch(Arc::clone(&seen), request, next)));
            tokio::spawn(async move { axum::serve(listener, app).await });
        } else {
            drop(seen);
        }
        let outcome = api.test_webhook(&self.monitor).await?;
        let mut text = String::new();
        let status = outcome.status_code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        let word = if outcome.success { "received" } else { "NOT RECEIVED" };
        let took = outcome.response_time_ms;
        _ = writeln!(text, "the sender says: {word}, status {status}, after {took:.0} ms");
        if let Some(error) = &outcome.error {
            _ = writeln!(text, "  its error: {}", error.escape_debug());
        }
        if self.listen.is_some() {
            match timeout(ON_ITS_WAY, arrived.recv()).await {
                Ok(Some(line)) => _ = writeln!(text, "arrived here: {line}"),
                _ => {
                    text += "arrived here: nothing; does the webhook's URL lead to --listen?\n";
                }
            }
        }
        output::print(text)?;
        Ok(if outcome.success { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

async fn received(delivery: Delivery) -> StatusCode {
    _ = delivery;
    StatusCode::NO_CONTENT
}

/// Reports one line per request, with the layer's result.
async fn watch(seen: Arc<mpsc::Sender<String>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().escape_debug().to_string();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let line = match response.extensions().get::<Rejection>() {
        Some(rejection) => {
            format!("{path}, refused: {} (status {status})", rejection.kind().as_str())
        }
        None => format!("{path}, signature right (status {status})"),
    };
    // If there are more than a few at once, they are not from the test.
    _ = seen.try_send(line);
    response
}
