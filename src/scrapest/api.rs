//! A client for Scrapest's history (feature `sender-api`), which returns the past messages of a source.
//!
//! The sender documents one call, `GET /account/history/{id}`, with at most 30 requests per minute. The first
//! pause after a 429 is therefore 2 s, unless the sender asks for another.
//!
//! ```no_run
//! use scrapest_webhook::scrapest::api::{ApiKey, Client, HistoryQuery};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(ApiKey::from_env("SCRAPEST_API_KEY")?)?;
//! let page = client.history("source-1", &HistoryQuery::default()).await?;
//! println!("{} messages", page.data.len());
//! # Ok(())
//! # }
//! ```

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::serde::rfc3339;

use super::Scrapest;
use crate::json::Id;
use crate::sender_api::{Api, Call, Sealed};
pub use crate::sender_api::{ApiError, ApiErrorKind, ApiKey};

/// A client for Scrapest's API.
pub type Client = crate::sender_api::Client<Scrapest>;

/// The URL of the API, as the sender has published it.
pub const DEFAULT_URL: &str = Scrapest::URL;

impl Sealed for Scrapest {}

impl Api for Scrapest {
    const URL: &'static str = "https://scrape.st";
    const KEY_HEADER: &'static str = "x-api-key";
}

/// Selects a part of a source's history.
#[derive(Clone, Debug, Default)]
pub struct HistoryQuery {
    /// Not before this time.
    pub since: Option<OffsetDateTime>,
    /// Not after this time.
    pub until: Option<OffsetDateTime>,
    /// The end of the page before: its [`next_cursor`](HistoryPage::next_cursor).
    pub cursor: Option<String>,
}

/// One page of a history, the oldest message first.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct HistoryPage {
    /// The messages of this page, at most 100.
    pub data: Vec<Message>,
    /// The start of the next page. `None` on the last page.
    #[serde(rename = "nextCursor")]
    pub next_cursor: Option<String>,
}

/// A message in a history.
#[derive(Clone, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// The entry's id.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// The platform: `x`, `fast-x`, `telegram`, `discord`, or a future one.
    pub source: String,
    /// The message's id. A delivery has it in `mid`.
    #[serde(rename = "messageId", deserialize_with = "id")]
    pub message_id: String,
    /// The account's id. A delivery has it in `sid`.
    #[serde(rename = "sourceId", deserialize_with = "id")]
    pub source_id: String,
    /// The payload, as JSON. A delivery has it in `payload`.
    #[serde(rename = "rawPayload")]
    pub raw_payload: Box<RawValue>,
    /// When it was recorded.
    #[serde(rename = "createdAt", with = "rfc3339")]
    pub created_at: OffsetDateTime,
}

fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Id::deserialize(deserializer).map(String::from)
}

/// Omits the payload, which may be long and private.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("source", &self.source)
            .field("message_id", &self.message_id)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Returns a page of the history of a source, the oldest message first, with at most 100 messages.
    ///
    /// # Errors
    ///
    /// If the call fails; see [`ApiErrorKind`].
    pub async fn history(
        &self,
        source_id: &str,
        query: &HistoryQuery,
    ) -> Result<HistoryPage, ApiError> {
        let mut url = self.url.clone();
        // The client's URL has a path, which was checked when the client was created.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["account", "history", source_id]);
        }
        {
            let mut pairs = url.query_pairs_mut();
            pairs.append_pair("order", "asc").append_pair("limit", "100");
            for (name, time) in [("startDate", query.since), ("endDate", query.until)] {
                if let Some(time) = time.and_then(|time| time.format(&Rfc3339).ok()) {
                    pairs.append_pair(name, &time);
                }
            }
            if let Some(cursor) = &query.cursor {
                pairs.append_pair("cursor", cursor);
            }
        }
        self.json(Call::get("read the history", url)).await
    }
}
