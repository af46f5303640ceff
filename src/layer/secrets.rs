//! Which secrets a request is held against: one, several, those of the moment, or those of its webhook.

use std::sync::Arc;

use super::WebhookLayer;
use crate::provider::Provider;
use crate::secret::{Secrets, Source, Webhook, WebhookRef};

impl<P: Provider + Default> WebhookLayer<P> {
    /// A receiver whose secrets are exchanged while it runs, through the handle it is given. All of them
    /// are tried for every request.
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

    /// A receiver for several webhooks on one route, each with secrets of its own: `resolve` finds the one
    /// that a request is of, by the id in the sender's header or by the path.
    ///
    /// It is asked for every request with a signature of the right shape, **before anything is
    /// authenticated**: it has to answer at once and from memory, a `HashMap` say, never from a database that
    /// anyone could keep busy. An unknown webhook is no hurry: the request is held against
    /// a random key of the layer's own, and gets the 401 of a wrong signature at the same expense. So that
    /// time does not tell them apart either, every request is tried with as many keys as the webhook with the
    /// most secrets has had. What is left is the time of `resolve` itself: a `HashMap` takes some nanoseconds more for
    /// an id that it has.
    ///
    /// Give **each webhook secrets of its own**: the id is not under the signature, and with a secret
    /// that two share, a captured request could be sent once more under the id of the other. Deliveries of
    /// different webhooks are never taken for each other, and one that is idle costs nothing.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use scrapest_webhook::{ScrapeBadgerWebhookLayer, Secrets, Webhook};
    ///
    /// # fn main() -> Result<(), scrapest_webhook::ConfigError> {
    /// let mut webhooks = HashMap::new();
    /// for (id, secret) in [("wh_1", "whsec_3fb1c8a0d94e4a7fb2c6"), ("wh_2", "whsec_2fc11f0be4c24b6a")] {
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
