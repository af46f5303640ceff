//! Scrapest: its history has the messages of a source as its webhooks post them, identified by source and message
//! id.

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
    /// Handles the messages in the history of a source that this receiver has not handled, according to its store.
    /// A message is identified by its source and its id, which are the delivery id of a `SourceEvent` that has
    /// none in a header. The store and namespace must be those of the receiver of the sender's deliveries.
    ///
    /// # Errors
    ///
    /// [`ReconcileError::Config`] if the settings do not allow it, [`ReconcileError::Api`] if a call to the
    /// sender's API fails. The deliveries that were handled by then are recorded, so the pass can be started
    /// again.
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

/// Builds a `SourceEvent`, as a webhook posts it.
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
    // It has only strings and a number, so serialization cannot fail.
    serde_json::to_vec(&body).unwrap_or_default().into()
}
