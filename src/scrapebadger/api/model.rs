//! The types of the API, as its OpenAPI describes them. Fields that a later version adds are ignored.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::serde::rfc3339;

use crate::secret::Secret;

/// Parses a required field that may be `null`. A missing field is an error, because the schema requires it.
fn nullable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

/// A monitor: the accounts that the sender watches, and the URL to which it posts their tweets.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Monitor {
    /// The monitor's id. Deliveries have it in `monitor_id`.
    pub id: String,
    /// The monitor's name.
    pub name: String,
    /// The accounts that it watches, without `@`.
    pub usernames: Vec<String>,
    /// `active`, `paused`, or another value of the sender.
    pub status: String,
    /// Why the sender has paused it, for example `insufficient_credits`.
    #[serde(deserialize_with = "nullable")]
    pub status_reason: Option<String>,
    /// The URL to which its deliveries are posted.
    #[serde(deserialize_with = "nullable")]
    pub webhook_url: Option<String>,
    /// Whether its deliveries are signed.
    pub webhook_secret_set: bool,
    /// The kinds of tweets that it reports. `None`: all.
    #[serde(deserialize_with = "nullable")]
    pub filter_types: Option<Vec<String>>,
    /// The cost of one account, in credits per day.
    pub credits_per_account_per_day: f64,
    /// The cost of all accounts, in credits per day.
    pub estimated_credits_per_day: f64,
    /// The tariff, as the sender names it.
    pub pricing_tier: String,
    /// When it was created.
    #[serde(with = "rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// One page of monitors.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct MonitorPage {
    /// The monitors of this page.
    pub monitors: Vec<Monitor>,
    /// The number of monitors on all pages.
    pub total: u64,
    /// The number of this page, from 1.
    pub page: u32,
    /// The maximum number of monitors per page.
    pub page_size: u32,
}

/// A monitor to create.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewMonitor {
    /// 1 to 100 characters.
    pub name: String,
    /// 1 to 100 accounts.
    pub usernames: Vec<String>,
    /// At most 2,048 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
    /// At most 4 kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_types: Option<Vec<String>>,
}

/// A change to a monitor. Fields that are `None` are left unchanged.
#[derive(Clone, Debug, Default)]
pub struct MonitorChange {
    /// `active` or `paused`.
    pub status: Option<String>,
    /// The secret that signs its deliveries from now on. UTF-8, at most 128 characters.
    pub webhook_secret: Option<Secret>,
    /// The URL to which its deliveries are posted from now on.
    pub webhook_url: Option<String>,
}

/// The webhook of a monitor, as the list shows it.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Webhook {
    /// The webhook's id. Deleting takes the monitor's id instead.
    pub id: String,
    /// The id of its monitor.
    pub monitor_id: String,
    /// The name of its monitor.
    pub monitor_name: String,
    /// The URL to which its deliveries are posted.
    pub url: String,
    /// Whether its deliveries are signed.
    pub secret_set: bool,
    /// When it was created.
    #[serde(with = "rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A webhook to create. A monitor has at most one.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// The id of its monitor.
    pub monitor_id: String,
    /// The URL to which its deliveries are posted. At most 2,048 characters.
    pub url: String,
    /// The secret to sign with. UTF-8, at most 128 characters. `None`: the sender generates one.
    pub secret: Option<Secret>,
}

/// A webhook that was just created. No other answer contains the secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WebhookWithSecret {
    /// The webhook's id.
    pub id: String,
    /// The id of its monitor.
    pub monitor_id: String,
    /// The URL to which its deliveries are posted.
    pub url: String,
    /// The secret that signs its deliveries.
    pub secret: Secret,
    /// When it was created.
    pub created_at: OffsetDateTime,
}

/// The result of a test event, as the sender saw it.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct TestOutcome {
    /// Whether the response was 2xx.
    pub success: bool,
    /// The status of the response, if there was one.
    #[serde(default)]
    pub status_code: Option<u16>,
    /// How long the response took, in milliseconds.
    pub response_time_ms: f64,
    /// The error, in the sender's words.
    #[serde(default)]
    pub error: Option<String>,
}

/// The order in which the log is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// The newest first.
    #[default]
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// Selects a part of the delivery log.
#[derive(Clone, Debug, Default)]
pub struct LogQuery {
    /// Only entries of this monitor.
    pub monitor_id: Option<String>,
    /// Only tweets by this account.
    pub author_username: Option<String>,
    /// Only entries with this status, for example `webhook_failed`.
    pub delivery_status: Option<String>,
    /// The order of the entries.
    pub order: Order,
}

/// An entry of the delivery log. It has neither the body nor the delivery id.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct LogEntry {
    /// The entry's id.
    pub id: String,
    /// The monitor that reported the tweet. `None` in the log of a filter rule.
    #[serde(default)]
    pub monitor_id: Option<String>,
    /// The name of that monitor. `None` in the log of a filter rule.
    #[serde(default)]
    pub monitor_name: Option<String>,
    /// The filter rule that reported the tweet. `None` in the log of a monitor.
    #[serde(default)]
    pub rule_id: Option<String>,
    /// The tag of that rule. `None` in the log of a monitor.
    #[serde(default)]
    pub rule_tag: Option<String>,
    /// The tweet's id.
    pub tweet_id: String,
    /// The author's handle, without `@`.
    pub author_username: String,
    /// The beginning of the text.
    #[serde(deserialize_with = "nullable")]
    pub tweet_text_preview: Option<String>,
    /// The tweet's URL.
    pub tweet_url: String,
    /// When the tweet was posted.
    #[serde(with = "rfc3339")]
    pub tweet_published_at: OffsetDateTime,
    /// When the sender first saw it.
    #[serde(with = "rfc3339")]
    pub detected_at: OffsetDateTime,
    /// The time between posting and detection, in milliseconds.
    pub latency_ms: i64,
    /// The sender's category for that latency.
    pub latency_badge: String,
    /// `webhook_delivered`, `webhook_failed`, `websocket_delivered`, or another value of the sender.
    pub delivery_status: String,
    /// The status of the receiver's response to the last attempt, if there was one.
    #[serde(deserialize_with = "nullable")]
    pub webhook_status_code: Option<u16>,
    /// The number of attempts.
    pub webhook_attempts: u32,
}

/// One page of the delivery log.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct LogPage {
    /// The entries of this page.
    pub logs: Vec<LogEntry>,
    /// The number of entries on all pages. It grows while the log is read.
    pub total: u64,
    /// The number of this page, from 1.
    pub page: u32,
    /// The maximum number of entries per page.
    pub page_size: u32,
}

/// A tweet from the API. Its schema is not published, so only its id is parsed, and the rest is kept unchanged.
#[derive(Clone)]
#[non_exhaustive]
pub struct Tweet {
    /// The tweet's id.
    pub id: String,
    /// The object with this id, as JSON.
    pub json: Box<RawValue>,
}

/// Omits the text.
impl fmt::Debug for Tweet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = format_args!("{} bytes", self.json.get().len());
        f.debug_struct("Tweet").field("id", &self.id).field("json", &json).finish()
    }
}
