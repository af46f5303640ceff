//! Scrapest: its history has the messages of a source as its webhooks post them, known by source and message id.

use std::fmt;
use std::future::Future;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::{Reconcile, ReconcileError, Reconciled};
use crate::config_error::ConfigError;
use crate::delivery::Delivery;
use crate::layer::WebhookLayer;
use crate::provider::{Headers, Message as Request, Provider};
use crate::scrapest::Scrapest;
use crate::scrapest::api::{Client, HistoryQuery, Message};

impl WebhookLayer<Scrapest> {
    /// Handles what the history of a source has and this receiver has not handled, as far as its store knows. A message
    /// is known by its source and its id: that is the delivery id of a `SourceEvent` where no header gives one. Needs the
    /// same store and namespace as the receiver of the sender's deliveries.
    ///
    /// # Errors
    ///
    /// [`ReconcileError::Config`] where the settings do not allow it, [`ReconcileError::Api`] when the sender's API
    /// cannot be asked. What was handled by then is recorded; begin again.
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
        if what.only_failed {
            let what = "is set, but works only for ScrapeBadger: a source's history does not show what failed";
            return Err(ConfigError::new("only_failed", what).into());
        }
        let calls = client.calls();
        let mut done = Reconciled::default();
        let since = Some(OffsetDateTime::now_utc() - what.since);
        let mut query = HistoryQuery { since, ..HistoryQuery::default() };
        loop {
            let page = client.history(&what.of, &query).await?;
            for message in &page.data {
                let body = body(message);
                let request = Request::new(Headers::none(), &body, false);
                let envelope = receiver.provider.envelope(&request);
                let fetch = async { Ok(body.clone()) };
                what.take(receiver, envelope, fetch, &handler, &mut done).await?;
            }
            if page.next_cursor.is_none() || page.next_cursor == query.cursor {
                break;
            }
            query.cursor = page.next_cursor;
        }
        done.calls = client.calls() - calls;
        Ok(done)
    }
}

/// A `SourceEvent`, as a webhook posts it.
fn body(message: &Message) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        mid: &'a str,
        sid: &'a str,
        source: &'a str,
        timestamp: i64,
        payload: &'a RawValue,
    }
    let body = Body {
        mid: &message.message_id,
        sid: &message.source_id,
        source: &message.source,
        timestamp: (message.created_at.unix_timestamp_nanos() / 1_000_000) as i64,
        payload: &message.raw_payload,
    };
    // Strings and a number: writing them cannot fail.
    serde_json::to_vec(&body).unwrap_or_default().into()
}
