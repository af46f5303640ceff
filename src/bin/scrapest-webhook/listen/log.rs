//! The log on standard error: whatever `tracing` is told, here, in the crate and below it.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use clap::ValueEnum;
use scrapest_webhook::Rejection;
use tracing_subscriber::EnvFilter;

/// Ours at INFO: what is refused, and life. The libraries below only if they complain.
const DEFAULT: &str = "warn,scrapest_webhook=info";

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

pub(crate) fn start(format: Format) -> Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.trim().is_empty() => EnvFilter::try_new(&filter).with_context(|| {
            format!("RUST_LOG {filter:?}: cannot be read, expected like debug or warn,scrapest_webhook=info")
        })?,
        _ => EnvFilter::new(DEFAULT),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // Said on standard error, which is what failed.
        .log_internal_errors(false);
    match format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().try_init(),
    }
    .map_err(|error| anyhow::anyhow!("--log-format: {error}"))
}

/// Says of each request that the layer answered itself why it did. A label and a status, and nothing that came
/// with the request: anyone can send one.
pub(super) async fn refusals(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if let Some(rejection) = response.extensions().get::<Rejection>() {
        let (status, reason) = (rejection.status(), rejection.kind().as_str());
        match status {
            200..300 => tracing::info!(status, reason, "request answered"),
            _ => tracing::info!(status, reason, "request refused"),
        }
    }
    response
}
