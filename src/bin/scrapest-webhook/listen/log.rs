//! The log on standard error: all `tracing` events of this program, the crate and its dependencies.

use anyhow::{Context, Result};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use clap::ValueEnum;
use scrapest_webhook::Rejection;
use tracing_subscriber::EnvFilter;

/// This crate at INFO: refusals, start and stop. Dependencies at WARN.
const DEFAULT: &str = "warn,scrapest_webhook=info";

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

pub(crate) fn start(format: Format) -> Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.trim().is_empty() => EnvFilter::try_new(&filter).with_context(|| {
            format!("RUST_LOG {filter:?}: is not a filter, expected one like debug or warn,scrapest_webhook=info")
        })?,
        _ => EnvFilter::new(DEFAULT),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(console::colors_enabled_stderr())
        // The error would be printed to standard error, which is what failed.
        .log_internal_errors(false);
    match format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().try_init(),
    }
    .map_err(|error| anyhow::anyhow!("--log-format: {error}"))
}

/// Answers a request for another path than --path, in case the sender has the wrong URL. The logged path has no
/// query, which may be confidential, and is truncated, because anyone can send it.
pub(super) async fn elsewhere(request: Request) -> StatusCode {
    let path: String = request.uri().path().chars().take(200).collect();
    tracing::info!(status = 404, path, "request for a path other than --path");
    StatusCode::NOT_FOUND
}

/// Answers a request for another path, without a log line, because the request is shown elsewhere.
pub(super) async fn not_found() -> StatusCode {
    StatusCode::NOT_FOUND
}

/// Logs why the layer answered a request itself: a label and a status, and nothing from the request, because
/// anyone can send one.
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
