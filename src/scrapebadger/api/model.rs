//! The types of the API, as its OpenAPI publishes them. Fields that a later version adds are ignored.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::serde::rfc3339;

use crate::secret::Secret;

/// A required field that may be `null`: a missing one is an error, because the schema names it.
fn nullable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

/// A monitor: the accounts that the sender watches, and where it posts what they tweet.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Monitor {
    /// The monitor's id, as deliveries have it in `monitor_id`.
    pub id: String,
    /// How it is called.
    pub name: String,
    /// The accounts that it watches, without `@`.
    pub usernames: Vec<String>,
    /// `active`, `paused`, or another word of the sender's.
    pub status: String,
    /// Why the sender has paused it, such as `insufficient_credits`.
    #[serde(deserialize_with = "nullable")]
    pub status_reason: Option<String>,
    /// Where its deliveries are posted.
    #[serde(deserialize_with = "nullable")]
    pub webhook_url: Option<String>,
    /// Whether its deliveries are signed.
    pub webhook_secret_set: bool,
    /// Which kinds of tweets it reports; `None`: all.
    #[serde(deserialize_with = "nullable")]
    pub filter_types: Option<Vec<String>>,
    /// What one account costs, in credits per day.
    pub credits_per_account_per_day: f64,
    /// What all of them cost, in credits per day.
    pub estimated_credits_per_day: f64,
    /// The tariff, as the sender calls it.
    pub pricing_tier: String,
    /// When it was made.
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
    /// How many there are on all pages.
    pub total: u64,
    /// The number of this page, from 1.
    pub page: u32,
    /// How many a page has at most.
    pub page_size: u32,
}

/// A monitor to be made.
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

/// A change of a monitor; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct MonitorChange {
    /// `active` or `paused`.
    pub status: Option<String>,
    /// The secret that its deliveries are signed with from now on; UTF-8, at most 128 characters.
    pub webhook_secret: Option<Secret>,
    /// Where its deliveries are posted from now on.
    pub webhook_url: Option<String>,
}

/// The webhook of a monitor, as it is listed.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Webhook {
    /// The webhook's id. Deleting takes the monitor's id instead.
    pub id: String,
    /// Whose it is.
    pub monitor_id: String,
    /// How that monitor is called.
    pub monitor_name: String,
    /// Where its deliveries are posted.
    pub url: String,
    /// Whether its deliveries are signed.
    pub secret_set: bool,
    /// When it was made.
    #[serde(with = "rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A webhook to be made. A monitor has at most one.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Whose it is to be.
    pub monitor_id: String,
    /// Where its deliveries are to be posted; at most 2,048 characters.
    pub url: String,
    /// The secret to sign with: UTF-8, at most 128 characters. `None`: the sender makes one.
    pub secret: Option<Secret>,
}

/// A webhook that was just made: the only answer that shows its secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WebhookWithSecret {
    /// The webhook's id.
    pub id: String,
    /// Whose it is.
    pub monitor_id: String,
    /// Where its deliveries are posted.
    pub url: String,
    /// What its deliveries are signed with.
    pub secret: Secret,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// What the sender saw when it sent a test event.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct TestOutcome {
    /// Whether it was answered 2xx.
    pub success: bool,
    /// The status that the sender got, if it got one.
    #[serde(default)]
    pub status_code: Option<u16>,
    /// How long the answer took, in milliseconds.
    pub response_time_ms: f64,
    /// What went wrong, in the sender's words.
    #[serde(default)]
    pub error: Option<String>,
}

/// In which order the log is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// The newest first.
    #[default]
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// Which part of the delivery log is wanted.
#[derive(Clone, Debug, Default)]
pub struct LogQuery {
    /// Of this monitor only.
    pub monitor_id: Option<String>,
    /// Of tweets by this account only.
    pub author_username: Option<String>,
    /// With this status only, such as `webhook_failed`.
    pub delivery_status: Option<String>,
    /// In which order.
    pub order: Order,
}

/// An entry of the delivery log. It has neither the body nor the delivery id.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct LogEntry {
    /// The entry's id.
    pub id: String,
    /// The monitor that reported the tweet; in the log of a filter rule `None`.
    #[serde(default)]
    pub monitor_id: Option<String>,
    /// How that monitor is called; in the log of a filter rule `None`.
    #[serde(default)]
    pub monitor_name: Option<String>,
    /// The filter rule that reported the tweet; in the log of a monitor `None`.
    #[serde(default)]
    pub rule_id: Option<String>,
    /// That rule's tag; in the log of a monitor `None`.
    #[serde(default)]
    pub rule_tag: Option<String>,
    /// The tweet's id.
    pub tweet_id: String,
    /// The handle of its author, without `@`.
    pub author_username: String,
    /// The first words of it.
    #[serde(deserialize_with = "nullable")]
    pub tweet_text_preview: Option<String>,
    /// Its address.
    pub tweet_url: String,
    /// When it was tweeted.
    #[serde(with = "rfc3339")]
    pub tweet_published_at: OffsetDateTime,
    /// When the sender first saw it.
    #[serde(with = "rfc3339")]
    pub detected_at: OffsetDateTime,
    /// From the one to the other in milliseconds.
    pub latency_ms: i64,
    /// The sender's word for that latency.
    pub latency_badge: String,
    /// `webhook_delivered`, `webhook_failed`, `websocket_delivered`, or another word of the sender's.
    pub delivery_status: String,
    /// What the receiver answered to the last attempt, if it answered.
    #[serde(deserialize_with = "nullable")]
    pub webhook_status_code: Option<u16>,
    /// How many attempts there were.
    pub webhook_attempts: u32,
}

/// One page of the delivery log.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct LogPage {
    /// The entries of this page.
    pub logs: Vec<LogEntry>,
    /// How many there are on all pages; it grows while the log is read.
    pub total: u64,
    /// The number of this page, from 1.
    pub page: u32,
    /// How many a page has at most.
    pub page_size: u32,
}

/// A tweet as the API gives it. Its shape is not published: only its id is read, the rest stays as it came.
#[derive(Clone)]
#[non_exhaustive]
pub struct Tweet {
    /// The tweet's id.
    pub id: String,
    /// The object that has this id, as JSON.
    pub json: Box<RawValue>,
}

/// Without the text.
impl fmt::Debug for Tweet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = format_args!("{} bytes", self.json.get().len());
        f.debug_struct("Tweet").field("id", &self.id).field("json", &json).finish()
    }
}
