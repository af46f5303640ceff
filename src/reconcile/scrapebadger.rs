//! ScrapeBadger: its delivery log has neither the body nor the delivery id, so a tweet is identified by its id.

use std::fmt;
use std::future::Future;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::serde::rfc3339;

use super::{Reconcile, ReconcileError, Reconciled};
use crate::config_error::ConfigError;
use crate::delivery::Delivery;
use crate::layer::WebhookLayer;
use crate::provider::Envelope;
use crate::receiver::Once;
use crate::scrapebadger::ScrapeBadger;
use crate::scrapebadger::api::{Client, LogEntry, LogPage, LogQuery, Order};
use crate::sender_api::ApiError;

/// A status in the sender's log.
const FAILED: &str = "webhook_failed";

impl WebhookLayer<ScrapeBadger> {
    /// Handles the entries in the log of a monitor that this receiver has not handled, according to its store.
    /// [`with_once_per(Once::Tweet)`](Self::with_once_per) must be set here and in the receiver of the sender's
    /// deliveries, and both must use the same store and namespace.
    ///
    /// # Errors
    ///
    /// [`ReconcileError::Config`] if the settings do not allow it, [`ReconcileError::Api`] if a call to the
    /// sender's API fails. The deliveries that were handled by then are recorded, so the pass can be started
    /// again.
    ///
    /// ```no_run
    /// use scrapest_webhook::scrapebadger::api::{ApiKey, Client};
    /// use scrapest_webhook::{Delivery, Once, Reconcile, ScrapeBadgerWebhookLayer, scrapebadger};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let secret = "a-secret-of-some-24-bytes";
    /// async fn handle(delivery: Delivery) -> Result<(), scrapest_webhook::EventError> {
    ///     let event = scrapebadger::Event::try_from(&delivery)?;
    ///     println!("missed: {event:?}");
    ///     Ok(())
    /// }
    ///
    /// let layer = ScrapeBadgerWebhookLayer::new(secret).with_once_per(Once::Tweet);
    /// let client = Client::new(ApiKey::from_env("SCRAPEBADGER_API_KEY")?)?;
    /// let done = layer.reconcile(&client, &Reconcile::new("mon-123"), handle).await?;
    /// println!("{} were missing", done.missing);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn reconcile<H, F, E>(
        &self,
        client: &Client,
        what: &Reconcile,
        handler: H,
    ) -> Result<Reconciled, ReconcileError>
    where
        H: Fn(Delivery) -> F,
        F: Future<Output = Result<(), E>>,
        E: fmt::Display,
    {
        let receiver = self.receiver();
        what.check(receiver)?;
        if receiver.once_per != Once::Tweet {
            let what = "is Once::Delivery, expected Once::Tweet: the sender's log has only the ids of tweets";
            return Err(ConfigError::new("once_per", what).into());
        }
        let calls = client.calls();
        let mut done = Reconciled::default();
        for entry in entries(client, what).await? {
            let envelope =
                Envelope::new().with_kind(Some("tweet")).with_subject(Some(&*entry.tweet_id));
            let fetch = async {
                let tweet = client.tweet(&entry.tweet_id).await?;
                Ok(body(&entry, &tweet.json))
            };
            what.take(receiver, envelope, fetch, &handler, &mut done).await?;
        }
        done.calls = client.calls() - calls;
        Ok(done)
    }
}

/// The entries since then, the oldest first, each tweet once.
async fn entries(client: &Client, what: &Reconcile) -> Result<Vec<LogEntry>, ApiError> {
    let since = OffsetDateTime::now_utc() - what.since;
    let query = LogQuery {
        monitor_id: Some(what.of.clone()),
        delivery_status: what.only_failed.then(|| FAILED.to_owned()),
        order: Order::NewestFirst,
        ..LogQuery::default()
    };
    let mut found: Vec<LogEntry> = Vec::new();
    let mut tweets = std::collections::HashSet::new();
    for page in 1.. {
        let LogPage { logs, page_size, .. } = client.log(&query, page).await?;
        let is_full = logs.len() as u64 >= u64::from(page_size);
        let is_last = !is_full || logs.last().is_none_or(|entry| entry.detected_at < since);
        // New entries push others to a later page, where they are read again.
        let new = logs
            .into_iter()
            .filter(|entry| entry.detected_at >= since && tweets.insert(entry.tweet_id.clone()));
        found.extend(new);
        if is_last {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

/// Builds a body in the form of contract 1 from the log entry and the tweet from the API.
fn body(entry: &LogEntry, tweet: &RawValue) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        r#type: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        monitor_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        rule_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tag: Option<&'a str>,
        tweet_id: &'a str,
        author_username: &'a str,
        #[serde(with = "rfc3339")]
        tweet_published_at: OffsetDateTime,
        #[serde(with = "rfc3339")]
        detected_at: OffsetDateTime,
        latency_ms: i64,
        tweet: &'a RawValue,
    }
    let body = Body {
        r#type: "tweet",
        monitor_id: entry.monitor_id.as_deref(),
        rule_id: entry.rule_id.as_deref(),
        tag: entry.rule_tag.as_deref(),
        tweet_id: &entry.tweet_id,
        author_username: &entry.author_username,
        tweet_published_at: entry.tweet_published_at,
        detected_at: entry.detected_at,
        latency_ms: entry.latency_ms,
        tweet,
    };
    // It has only strings, numbers, and times that were parsed from RFC 3339, so serialization cannot fail.
    serde_json::to_vec(&body).unwrap_or_default().into()
}
