//! A client for ScrapeBadger's stream API: monitors, webhooks, the delivery log, single tweets (feature
//! `sender-api`).
//!
//! The operations and their types follow the sender's published OpenAPI. An answer that does not match its schema
//! is an error that names the field. Missing fields are not filled in.
//!
//! For time limits, repetitions and the budget, see [`sender_api`](crate::sender_api).
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

mod model;
mod operations;
mod parts;

pub use self::model::{
    LogEntry, LogPage, LogQuery, Monitor, MonitorChange, MonitorPage, NewMonitor, NewWebhook,
    Order, TestOutcome, Tweet, Webhook, WebhookWithSecret,
};
use super::ScrapeBadger;
use crate::sender_api::{Api, Sealed};
pub use crate::sender_api::{ApiError, ApiErrorKind, ApiKey};

/// A client for ScrapeBadger's API.
pub type Client = crate::sender_api::Client<ScrapeBadger>;

/// The URL of the API, as the sender has published it.
pub const DEFAULT_URL: &str = ScrapeBadger::URL;

impl Sealed for ScrapeBadger {}

impl Api for ScrapeBadger {
    const URL: &'static str = "https://scrapebadger.com";
    const KEY_HEADER: &'static str = "X-API-Key";
}
