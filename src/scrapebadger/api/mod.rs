//! A client of ScrapeBadger's stream API: monitors, webhooks, the delivery log, single tweets (feature
//! `sender-api`).
//!
//! The operations and their types are those of the sender's published OpenAPI. An answer that does not fit its
//! schema is an error that names the field; nothing is filled in.
//!
//! 1. A call has a time limit, and is repeated with growing pauses while the sender answers 429 (after its
//!    `Retry-After`), or 5xx, or not at all. A POST is repeated only when the sender cannot have carried it out;
//!    every other call may be made twice.
//! 2. Every request counts against a budget, because the sender may bill it.
//! 3. The API key is sent in `X-API-Key`, and is never part of an error or of a `Debug`.
//!
//! ```no_run
//! use scrapest_webhook::scrapebadger::api::{ApiKey, Client};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(ApiKey::from_env("SCRAPEBADGER_API_KEY")?)?;
//! let monitor = client.monitor("mon-123").await?;
//! println!("{}: {} {}", monitor.name, monitor.status, monitor.status_reason.unwrap_or_default());
//! # Ok(())
//! # }
//! ```

mod call;
mod client;
mod error;
mod key;
mod model;
mod operations;

pub use self::client::{Client, DEFAULT_URL};
pub use self::error::{ApiError, ApiErrorKind};
pub use self::key::ApiKey;
pub use self::model::{
    LogEntry, LogPage, LogQuery, Monitor, MonitorChange, MonitorPage, NewMonitor, NewWebhook,
    Order, TestOutcome, Tweet, Webhook, WebhookWithSecret,
};
