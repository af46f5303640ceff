//! Several webhooks behind one layer.

use std::sync::Arc;

use super::{SecretSet, Secrets};

/// One of several webhooks behind one layer: its id, and its secrets. Cheap to clone; clones share the secrets.
/// See [`WebhookLayer::for_webhooks`](crate::WebhookLayer::for_webhooks).
#[derive(Clone, Debug)]
pub struct Webhook(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: String,
    secrets: Secrets,
}

impl Webhook {
    /// `id` keeps it apart from the others in the store, in logs and in
    /// [`Delivery::webhook_id`](crate::Delivery::webhook_id): one for each, and the same after a restart.
    pub fn new(id: impl Into<String>, secrets: Secrets) -> Self {
        Self(Arc::new(Inner { id: id.into(), secrets }))
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Its secrets, to be exchanged.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    pub(super) fn current(&self) -> Arc<SecretSet> {
        self.0.secrets.current()
    }
}

/// Which webhook a request says it is of. **Nothing here is verified**: it only finds the secrets that the
/// request is then held against.
#[derive(Clone, Copy, Debug)]
pub struct WebhookRef<'a> {
    id: Option<&'a str>,
    path: &'a str,
}

impl<'a> WebhookRef<'a> {
    pub(crate) fn new(id: Option<&'a [u8]>, path: &'a str) -> Self {
        let id = id.and_then(|id| std::str::from_utf8(id).ok()).filter(|id| !id.is_empty());
        Self { id, path }
    }

    /// The id that the sender's header names: ScrapeBadger's `X-Webhook-Id` (its contract 2 alone), or the
    /// one that is [assumed](crate::scrapest::Scrapest::with_webhook_id_header) of Scrapest. Never one from the
    /// body, which is not read before it was verified.
    #[must_use]
    pub fn id(&self) -> Option<&'a str> {
        self.id
    }

    /// The path of the request as it came, not decoded; behind axum's `nest` without the prefix.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }
}
