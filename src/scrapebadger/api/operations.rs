//! The operations of the API, in the order of the published paths.

use reqwest::{Method, Url};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::serde::rfc3339;

#[cfg(doc)]
use super::ApiErrorKind;
use super::parts::{push, text, with_body};
use super::{
    ApiError, Client, LogPage, LogQuery, Monitor, MonitorChange, MonitorPage, NewMonitor,
    NewWebhook, Order, TestOutcome, Tweet, Webhook, WebhookWithSecret,
};
use crate::secret::Secret;
use crate::sender_api::{Call, schema};

/// The maximum number of entries per page.
const PAGE_SIZE: u32 = 100;

impl Client {
    /// Returns the webhooks of the account, or of one monitor.
    ///
    /// # Errors
    ///
    /// If the call fails; see [`ApiErrorKind`].
    pub async fn webhooks(&self, monitor_id: Option<&str>) -> Result<Vec<Webhook>, ApiError> {
        #[derive(Deserialize)]
        struct List {
            webhooks: Vec<Webhook>,
            #[serde(rename = "total")]
            _total: u64,
        }
        let mut url = self.path(&["webhooks"]);
        if let Some(monitor) = monitor_id {
            url.query_pairs_mut().append_pair("monitor_id", monitor);
        }
        let list: List = self.json(Call::get("list the webhooks", url)).await?;
        Ok(list.webhooks)
    }

    /// Creates the webhook of a monitor.
    ///
    /// # Errors
    ///
    /// [`ApiErrorKind::Conflict`] if the monitor already has one, and the errors of every call.
    pub async fn create_webhook(&self, new: &NewWebhook) -> Result<WebhookWithSecret, ApiError> {
        const NAME: &str = "create the webhook";
        #[derive(Serialize)]
        struct Body<'a> {
            monitor_id: &'a str,
            url: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            secret: Option<&'a str>,
        }
        #[derive(Deserialize)]
        struct Answer {
            id: String,
            monitor_id: String,
            url: String,
            secret: String,
            #[serde(with = "rfc3339")]
            created_at: OffsetDateTime,
        }
        let secret = new.secret.as_ref().map(|secret| text(NAME, secret)).transpose()?;
        let body = Body { monitor_id: &new.monitor_id, url: &new.url, secret };
        let call = with_body(NAME, Method::POST, self.path(&["webhooks"]), &body)?;
        let made: Answer = self.json(call).await?;
        let Answer { id, monitor_id, url, secret, created_at } = made;
        let secret = Secret::from(secret);
        Ok(WebhookWithSecret { id, monitor_id, url, secret, created_at })
    }

    /// Asks the sender to post a test event to the webhook of a monitor, and returns the result.
    ///
    /// # Errors
    ///
    /// If the call fails. A receiver that refuses the event is not an error but a [`TestOutcome`].
    pub async fn test_webhook(&self, monitor_id: &str) -> Result<TestOutcome, ApiError> {
        #[derive(Serialize)]
        struct Body<'a> {
            monitor_id: &'a str,
        }
        let url = self.path(&["webhooks", "test"]);
        self.json(with_body("test the webhook", Method::POST, url, &Body { monitor_id })?).await
    }

    /// Deletes the webhook of a monitor. The sender's path takes the monitor's id, not the webhook's.
    ///
    /// # Errors
    ///
    /// If the call fails.
    pub async fn delete_webhook(&self, monitor_id: &str) -> Result<(), ApiError> {
        let url = self.path(&["webhooks", monitor_id]);
        self.bytes(Call { method: Method::DELETE, ..Call::get("delete the webhook", url) })
            .await
            .map(drop)
    }

    /// Returns a page of the delivery log, from 1, with at most 100 entries.
    ///
    /// # Errors
    ///
    /// If the call fails.
    pub async fn log(&self, query: &LogQuery, page: u32) -> Result<LogPage, ApiError> {
        let mut url = self.path(&["logs"]);
        if let Some(monitor) = &query.monitor_id {
            url.query_pairs_mut().append_pair("monitor_id", monitor);
        }
        self.log_at(url, query, page).await
    }

    /// Returns a page of the delivery log of a filter rule, from 1, with at most 100 entries.
    ///
    /// # Errors
    ///
    /// If the call fails.
    pub async fn filter_rule_log(
        &self,
        rule_id: &str,
        query: &LogQuery,
        page: u32,
    ) -> Result<LogPage, ApiError> {
        self.log_at(self.path(&["filter-rules", rule_id, "logs"]), query, page).await
    }

    async fn log_at(&self, mut url: Url, query: &LogQuery, page: u32) -> Result<LogPage, ApiError> {
        {
            let mut pairs = url.query_pairs_mut();
            if let Some(author) = &query.author_username {
                pairs.append_pair("author_username", author);
            }
            if let Some(status) = &query.delivery_status {
                pairs.append_pair("delivery_status", status);
            }
            pairs.append_pair("page", &page.max(1).to_string());
            pairs.append_pair("page_size", &PAGE_SIZE.to_string());
            pairs.append_pair(
                "sort",
                match query.order {
                    Order::NewestFirst => "desc",
                    Order::OldestFirst => "asc",
                },
            );
        }
        self.json(Call::get("read the delivery log", url)).await
    }

    /// Returns a page of the account's monitors, from 1, with at most 100 monitors.
    ///
    /// # Errors
    ///
    /// If the call fails.
    pub async fn monitors(&self, page: u32) -> Result<MonitorPage, ApiError> {
        let mut url = self.path(&["monitors"]);
        url.query_pairs_mut()
            .append_pair("page", &page.max(1).to_string())
            .append_pair("page_size", &PAGE_SIZE.to_string());
        self.json(Call::get("list the monitors", url)).await
    }

    /// Creates a monitor.
    ///
    /// # Errors
    ///
    /// If the call fails.
    pub async fn create_monitor(&self, new: &NewMonitor) -> Result<Monitor, ApiError> {
        let url = self.path(&["monitors"]);
        self.json(with_body("create the monitor", Method::POST, url, new)?).await
    }

    /// Returns one monitor.
    ///
    /// # Errors
    ///
    /// [`ApiErrorKind::NotFound`] if the account has no such monitor, and the errors of every call.
    pub async fn monitor(&self, id: &str) -> Result<Monitor, ApiError> {
        self.json(Call::get("look at the monitor", self.path(&["monitors", id]))).await
    }

    /// Changes a monitor, for example its webhook's secret.
    ///
    /// # Errors
    ///
    /// If the call fails. The change is safe to repeat.
    pub async fn change_monitor(
        &self,
        id: &str,
        change: &MonitorChange,
    ) -> Result<Monitor, ApiError> {
        const NAME: &str = "change the monitor";
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            status: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            webhook_url: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            webhook_secret: Option<&'a str>,
        }
        let secret = change.webhook_secret.as_ref().map(|secret| text(NAME, secret)).transpose()?;
        let body = Body {
            status: change.status.as_deref(),
            webhook_url: change.webhook_url.as_deref(),
            webhook_secret: secret,
        };
        self.json(with_body(NAME, Method::PATCH, self.path(&["monitors", id]), &body)?).await
    }

    /// Deletes a monitor.
    ///
    /// # Errors
    ///
    /// If the call fails.
    pub async fn delete_monitor(&self, id: &str) -> Result<(), ApiError> {
        let url = self.path(&["monitors", id]);
        self.bytes(Call { method: Method::DELETE, ..Call::get("delete the monitor", url) })
            .await
            .map(drop)
    }

    /// Returns one tweet. Its schema is not published: the object with this id is returned unchanged, whether it
    /// is the answer itself or its `data` or `tweet`.
    ///
    /// # Errors
    ///
    /// [`ApiErrorKind::NotFound`] if the tweet was deleted, [`ApiErrorKind::Schema`] if no object has its id, and
    /// the errors of every call.
    pub async fn tweet(&self, id: &str) -> Result<Tweet, ApiError> {
        const NAME: &str = "fetch the tweet";
        #[derive(Deserialize)]
        struct Answer {
            data: Option<Box<RawValue>>,
            tweet: Option<Box<RawValue>>,
        }
        #[derive(Deserialize)]
        struct Identified {
            id: crate::json::Id,
        }
        let mut url = self.url.clone();
        push(&mut url, &["v1", "twitter", "tweets", "tweet", id]);
        let body = self.bytes(Call::get(NAME, url)).await?;
        let whole: Box<RawValue> =
            serde_json::from_slice(&body).map_err(|_| schema(NAME, "it is not JSON"))?;
        let inner: Option<Answer> = serde_json::from_str(whole.get()).ok();
        let inner = inner.into_iter().flat_map(|answer| [answer.tweet, answer.data]).flatten();
        std::iter::once(whole)
            .chain(inner)
            .find(|json| {
                serde_json::from_str::<Identified>(json.get())
                    .is_ok_and(|found| String::from(found.id) == id)
            })
            .map(|json| Tweet { id: id.to_owned(), json })
            .ok_or_else(|| {
                schema(NAME, "field id is not that of the tweet, nor is data.id or tweet.id")
            })
    }

    /// Checks that the API accepts this key.
    ///
    /// # Errors
    ///
    /// If the call fails.
    pub async fn check(&self) -> Result<(), ApiError> {
        self.json::<IgnoredAny>(Call::get("list the webhooks", self.path(&["webhooks"])))
            .await
            .map(drop)
    }

    fn path(&self, of_stream: &[&str]) -> Url {
        let mut url = self.url.clone();
        push(&mut url, &["v1", "twitter", "stream"]);
        push(&mut url, of_stream);
        url
    }
}
