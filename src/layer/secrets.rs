//! Constructors that choose the secrets for a request: fixed, several, replaceable, or per webhook.

use std::sync::Arc;

use super::WebhookLayer;
use crate::provider::Provider;
use crate::secret::{Secrets, Source, Webhook, WebhookRef};

impl<P: Provider + Default> WebhookLayer<P> {
    /// Makes a receiver whose secrets can be replaced while it runs: `secrets` is a handle, and its clones replace
    /// them. Every request is checked with all of them.
    ///
    /// ```
    /// use scrapest_webhook::{ScrapestWebhookLayer, Secrets};
    ///
    /// # fn main() -> Result<(), scrapest_webhook::ConfigError> {
    /// let secrets = Secrets::new(["the-one-of-last-month-24"])?;
    /// let layer = ScrapestWebhookLayer::from_secrets(secrets.clone());
    /// secrets.replace(["a-secret-of-some-24-bytes", "the-one-of-last-month-24"])?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn from_secrets(secrets: Secrets) -> Self {
        Self::of(Source::Changing(secrets))
    }

    /// Makes a receiver for several webhooks on one route, each with its own secrets. `resolve` finds the webhook of
    /// a request, by the id in the sender's header or by the path.
    ///
    /// The layer calls `resolve` for every request with a well-formed signature, **before anything is
    /// authenticated**. It has to answer at once and from memory, for example from a `HashMap`, never from a
    /// database, which anyone could keep busy. For an unknown webhook, the layer checks the request with a random key
    /// of its own and gives the same 401 as for a wrong signature, at the same cost. So that the time does not reveal
    /// the difference either, every request is checked with as many keys as the webhook with the most secrets has
    /// had. One difference remains, the time of `resolve` itself: a `HashMap` takes a few nanoseconds more for an id
    /// that it contains.
    ///
    /// Give **each webhook its own secrets**. The id is not signed: if two webhooks shared a secret, a captured
    /// request could be sent once more under the id of the other. Deliveries of different webhooks are never
    /// confused. An idle webhook costs nothing.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use scrapest_webhook::{ScrapeBadgerWebhookLayer, Secrets, Webhook};
    ///
    /// # fn main() -> Result<(), scrapest_webhook::ConfigError> {
    /// let mut webhooks = HashMap::new();
    /// for (id, secret) in [("wh_1", "whsec_3fb1c8a0d94e4a7fb2c6"), ("wh_2", "whsec_2fc11f0be4c24b6a91d7")] {
    ///     webhooks.insert(id, Webhook::new(id, Secrets::new([secret])?));
    /// }
    /// let layer = ScrapeBadgerWebhookLayer::for_webhooks(move |request| {
    ///     webhooks.get(request.id()?).cloned()
    /// });
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn for_webhooks(
        resolve: impl Fn(WebhookRef<'_>) -> Option<Webhook> + Send + Sync + 'static,
    ) -> Self {
        Self::of(Source::per_webhook(Arc::new(resolve)))
    }
}
