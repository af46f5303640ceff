//! Constructors for a sender that does not sign.

use super::WebhookLayer;
use crate::config_error::ConfigError;
use crate::provider::Provider;
use crate::secret::{Secret, Secrets, Source, TokenIn};

impl<P: Provider + Default> WebhookLayer<P> {
    /// Makes a receiver for a sender that does not sign and only sends a shared token. **Insecure**: use it only if
    /// the sender cannot sign.
    ///
    /// The token is compared in constant time, and appears in no log, span, error or `Debug`. A request with a wrong
    /// token, without one, or with two gets the same 401 as a wrong signature. But a token is not a signature:
    ///
    /// * **The body is not protected.** Anyone who has seen one request can send any event.
    /// * **Freshness depends on an unsigned timestamp.** The layer trusts the timestamp in the body. So it refuses an
    ///   old request only if it is sent again unchanged.
    /// * **A replay is recognised only if it is byte for byte the same.** A delivery has a digest of its body in
    ///   place of the HMAC.
    ///
    /// Therefore put HTTPS in front, so that nobody on the network path sees the token, and allow only the sender's
    /// addresses ([`with_allowed_ips`](Self::with_allowed_ips)). A token in the query is written into the logs of
    /// proxies and servers: prefer a header.
    ///
    /// For several tokens, while one is being replaced, see [`insecure_with_tokens`](Self::insecure_with_tokens). Every
    /// other setting is the same.
    ///
    /// # Errors
    ///
    /// If the token is empty, blank, or shorter than 8 bytes, or if the name of the header or parameter is not valid.
    ///
    /// ```
    /// use scrapest_webhook::{ScrapestWebhookLayer, TokenIn};
    ///
    /// # fn main() -> Result<(), scrapest_webhook::ConfigError> {
    /// let place = TokenIn::header("x-webhook-token");
    /// let layer = ScrapestWebhookLayer::insecure_with_token(place, "tok_3fb1c8a0d94e4a7fb2c6")?
    ///     .with_allowed_ips(["192.0.2.0/24"])?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn insecure_with_token(
        place: TokenIn,
        token: impl Into<Secret>,
    ) -> Result<Self, ConfigError> {
        place.check()?;
        let layer = Self::of(Source::fixed(token.into())?);
        Ok(layer.set(|receiver| receiver.token = Some(place)))
    }

    /// Makes a receiver for several tokens, which can be replaced while it runs. It is as insecure as
    /// [`insecure_with_token`](Self::insecure_with_token).
    ///
    /// # Errors
    ///
    /// If the name of the header or parameter is not valid.
    pub fn insecure_with_tokens(place: TokenIn, tokens: Secrets) -> Result<Self, ConfigError> {
        place.check()?;
        Ok(Self::from_secrets(tokens).set(|receiver| receiver.token = Some(place)))
    }
}
