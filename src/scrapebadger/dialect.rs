//! How ScrapeBadger signs and labels its requests.

use crate::json::{self, Field};
use crate::provider::{Envelope, Headers, Message, Provider, Timestamp};

/// ScrapeBadger's two published contracts, both accepted by one layer. It has no settings, because the sender's
/// documentation is complete.
///
/// Contract 1 is from the site's documentation and the official SDKs for Python and Node, contract 2 from the
/// API's documentation. They differ in the names of the headers and of some fields. In both, the signature is
/// HMAC-SHA256 over the raw body. The ids and the event header are not signed, so the kind is read from the body.
/// The timestamp is `detected_at`, the time of the first detection, which every retry repeats. A test event may
/// lack it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ScrapeBadger {}

impl Provider for ScrapeBadger {
    fn name(&self) -> &'static str {
        super::SENDER
    }

    fn signature_headers(&self) -> impl Iterator<Item = &str> {
        ["x-scrapebadger-signature", "x-signature-256"].into_iter()
    }

    fn kinds(&self) -> &'static [&'static str] {
        super::event::KINDS
    }

    /// Only contract 2 has a header with the webhook's id.
    fn webhook_id<'a>(&self, headers: Headers<'a>) -> Option<&'a [u8]> {
        headers.get("x-webhook-id")
    }

    fn envelope<'a>(&self, message: &Message<'a>) -> Envelope<'a> {
        // If the body may have no timestamp, it is read to its end.
        let [kind_1, kind_2, detected_at, tweet_id] = json::fields(
            message.body(),
            ["type", "event", "detected_at", "tweet_id"],
            |[kind, _, at, tweet]| {
                matches!(kind, Field::Text(kind) if kind != "test")
                    && *at != Field::Absent
                    && *tweet != Field::Absent
            },
        );
        let id = ["x-scrapebadger-delivery-id", "x-delivery-id"]
            .into_iter()
            .filter_map(|name| message.header(name))
            .find(|id| !id.is_empty());
        let kind = kind_1.text().or_else(|| kind_2.text());
        Envelope::new()
            .with_id(id)
            .with_timestamp(Timestamp::in_body(message.body(), "detected_at", &detected_at))
            .with_test(kind.as_deref() == Some("test"))
            .with_kind(kind)
            .with_subject(tweet_id.id())
    }
}
