//! The types for several webhooks behind one layer.

use std::sync::Arc;

use super::{SecretSet, Secrets};

/// One of several webhooks behind one layer, with its id and its secrets. Cheap to clone; clones share the secrets.
/// See [`WebhookLayer::for_webhooks`](crate::WebhookLayer::for_webhooks).
#[derive(Clone, Debug)]
pub struct Webhook(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: String,
    secrets: Secrets,
}

impl Webhook {
    /// Makes a webhook. `id` identifies it in the store, in logs and in
    /// [`Delivery::webhook_id`](crate::Delivery::webhook_id). It must be unique, and the same after a restart.
    pub fn new(id: impl Into<String>, secrets: Secrets) -> Self {
        Self(Arc::new(Inner { id: id.into(), secrets }))
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The secrets, for rotation.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    pub(super) fn current(&self) -> Arc<SecretSet> {
        self.0.secrets.current()
    }
}

/// The webhook that a request claims to belong to. **Nothing here is verified**: it only selects the secrets that the
/// request is then checked with.
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

    /// The id in the sender's header: ScrapeBadger's `X-Webhook-Id` (only its contract 2), or the one that is
    /// [assumed](crate::scrapest::Scrapest::with_webhook_id_header) for Scrapest. It never comes from the body, which
    /// is not parsed before it is verified.
    #[must_use]
    pub fn id(&self) -> Option<&'a str> {
        self.id
    }

    /// The path of the request as received, not decoded. With the feature `axum` it is the original path even under
    /// `Router::nest`.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }
}
