//! The configured receiver: one type for every framework.

mod access;
mod advice;
mod limits;
#[cfg(not(feature = "throttle"))]
mod needs;
#[cfg(any(feature = "tower", feature = "actix"))]
mod neighbours;
mod observe_only;
mod secrets;
mod shutdown;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::config_error::ConfigError;
use crate::provider::{DedupBy, Provider};
use crate::receiver::{OnStoreDown, Once, Receiver};
use crate::secret::{Secret, Source};
use crate::store::{AnyStore, DeliveryStore};

/// Receives the webhooks of one sender. It verifies each request, limits its size and its age, removes duplicates, and
/// passes the delivery to the handler.
///
/// Use [`ScrapestWebhookLayer`](crate::ScrapestWebhookLayer) or
/// [`ScrapeBadgerWebhookLayer`](crate::ScrapeBadgerWebhookLayer), or implement [`Provider`] for another sender. The
/// layer is a `tower_layer::Layer` (feature `tower`) and an actix-web middleware (feature `actix`). Clones share the
/// store and every limit, so one layer can be on several routes.
///
/// Every setting has a safe default. Settings that contradict each other cause a panic when the layer is applied to a
/// service; its text names the setting. axum applies the layer at the first connection. [`check`](Self::check) finds
/// such settings earlier, when the application starts.
///
/// ```
/// use std::time::Duration;
/// use scrapest_webhook::{ScrapestWebhookLayer, Secret};
///
/// # fn main() -> Result<(), scrapest_webhook::ConfigError> {
/// let layer = ScrapestWebhookLayer::try_new("whsec_3fb1c8a0d94e4a7fb2c6")?
///     .with_answer_deadline(Duration::from_secs(3))
///     .check()?;
/// # Ok(())
/// # }
/// ```
pub struct WebhookLayer<P> {
    receiver: Arc<Receiver<P>>,
}

impl<P: Provider + Default> WebhookLayer<P> {
    /// Makes a receiver with this secret and the sender's defaults.
    ///
    /// # Panics
    ///
    /// If the secret is empty, blank, or shorter than 8 bytes. [`try_new`](Self::try_new) returns an error instead.
    ///
    /// ```should_panic
    /// scrapest_webhook::ScrapestWebhookLayer::new(""); // panics: "secret is empty …"
    /// ```
    #[must_use]
    #[track_caller]
    pub fn new(secret: impl Into<Secret>) -> Self {
        match Self::try_new(secret) {
            Ok(layer) => layer,
            // A documented panic: the receiver cannot start without a secret.
            Err(error) => panic!("{error}"),
        }
    }

    /// Does the same as [`new`](Self::new), but returns an error instead of a panic.
    ///
    /// # Errors
    ///
    /// If the secret is empty, blank, or shorter than 8 bytes.
    ///
    /// ```
    /// let error = scrapest_webhook::ScrapestWebhookLayer::try_new(" ").unwrap_err();
    /// assert!(error.to_string().contains("secret is blank"));
    /// ```
    pub fn try_new(secret: impl Into<Secret>) -> Result<Self, ConfigError> {
        Source::fixed(secret.into()).map(Self::of)
    }

    fn of(secrets: Source) -> Self {
        Self { receiver: Arc::new(Receiver::new(P::default(), secrets)) }
    }
}

impl<P: Provider> WebhookLayer<P> {
    /// The sender's own settings. Default: `P::default()`.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// use scrapest_webhook::scrapest::Scrapest;
    /// let layer = layer.with_provider(Scrapest::default().with_signature_header("x-hook-signature"));
    /// ```
    #[must_use]
    pub fn with_provider(self, provider: P) -> Self {
        self.set(|receiver| receiver.set_provider(provider))
    }

    /// The store that remembers deliveries. Default: a [`MemoryStore`](crate::MemoryStore) of its own, for 250,000
    /// deliveries. [`store_from_url`](crate::store::store_from_url) makes a store from a URL.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// use scrapest_webhook::store::MemoryStore;
    /// let layer = layer.with_store(MemoryStore::new());
    /// ```
    #[must_use]
    pub fn with_store(self, store: impl DeliveryStore) -> Self {
        self.set(|receiver| receiver.store = AnyStore::new(store))
    }

    /// Keeps this webhook's deliveries apart from those of other webhooks in the same store: the same id in two
    /// namespaces is two deliveries. If several webhooks share a store, give each its own namespace.
    /// Default: the sender's name.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_namespace("billing-webhook");
    /// ```
    #[must_use]
    pub fn with_namespace(self, namespace: impl AsRef<str>) -> Self {
        self.set(|receiver| receiver.set_namespace(namespace.as_ref()))
    }

    /// Defines which requests are the same delivery. Default: the sender's, for both senders
    /// [`DedupBy::DeliveryIdAndTag`].
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_dedup_by(scrapest_webhook::DedupBy::Tag);
    /// ```
    #[must_use]
    pub fn with_dedup_by(self, dedup_by: DedupBy) -> Self {
        self.set(|receiver| receiver.dedup_by = Some(dedup_by))
    }

    /// How old a timestamp may be; exactly this age is accepted. Default: 3,600 s, but 300 s for a signed timestamp
    /// of the attempt. The sender's retries must come within this time.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// # use std::time::Duration;
    /// let layer = layer.with_past_tolerance(Duration::from_secs(1_800));
    /// ```
    #[must_use]
    pub fn with_past_tolerance(self, tolerance: Duration) -> Self {
        self.set(|receiver| receiver.past_tolerance = Some(tolerance))
    }

    /// How far ahead of the receiver's clock a timestamp may be; exactly this much is accepted. Default: 300 s.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// # use std::time::Duration;
    /// let layer = layer.with_future_tolerance(Duration::from_secs(30));
    /// ```
    #[must_use]
    pub fn with_future_tolerance(self, tolerance: Duration) -> Self {
        self.set(|receiver| receiver.future_tolerance = Some(tolerance))
    }

    /// How long after the request's headers the sender is answered at the latest. A handler that takes longer
    /// continues; the sender gets 503 and retries. Default: 4 s for Scrapest (it asks for less than 5 s), 8 s for
    /// ScrapeBadger (it waits 10 s).
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// # use std::time::Duration;
    /// let layer = layer.with_answer_deadline(Duration::from_secs(2));
    /// ```
    #[must_use]
    pub fn with_answer_deadline(self, deadline: Duration) -> Self {
        self.set(|receiver| receiver.answer_deadline = Some(deadline))
    }

    /// The lease: how long an attempt keeps its delivery without a renewal. The layer renews it after each third of
    /// this time. After a crash, a retry has to wait until the lease ends. Default: 15 s, renewed every 5 s.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// # use std::time::Duration;
    /// let layer = layer.with_lease(Duration::from_secs(9));
    /// ```
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        self.set(|receiver| receiver.lease = lease)
    }

    /// How long a delivery is remembered. It must be at least past tolerance + future tolerance + 120 s, so that a
    /// captured request is too old before it is forgotten. Default: 4,200 s in a [`MemoryStore`](crate::MemoryStore),
    /// 24 h in any other store; more if the tolerances need it.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// # use std::time::Duration;
    /// assert!(layer.with_retention(Duration::from_secs(60)).check().is_err());
    /// ```
    #[must_use]
    pub fn with_retention(self, retention: Duration) -> Self {
        self.set(|receiver| receiver.set_retention(retention))
    }

    /// How a delivery is treated while the store does not answer. Default: [`OnStoreDown::Refuse`].
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_on_store_down(scrapest_webhook::OnStoreDown::ProcessAnyway);
    /// ```
    #[must_use]
    pub fn with_on_store_down(self, choice: OnStoreDown) -> Self {
        self.set(|receiver| receiver.on_store_down = choice)
    }

    /// Adds a subject for which the handler runs only once, in addition to the delivery. With [`Once::Tweet`], a
    /// tweet runs once, whichever monitor or log reports it. You can change this setting at any time: it only adds a
    /// key. Default: [`Once::Delivery`].
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapeBadgerWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let layer = layer.with_once_per(scrapest_webhook::Once::Tweet);
    /// ```
    #[must_use]
    pub fn with_once_per(self, once: Once) -> Self {
        self.set(|receiver| receiver.once_per = once)
    }

    /// The clock that timestamps are compared with. For tests. Default: the system's clock.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// # use std::time::{Duration, SystemTime};
    /// let layer = layer.with_clock(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_625_600));
    /// ```
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.set(|receiver| receiver.clock = Arc::new(clock))
    }

    /// Checks that the settings do not contradict each other. Without this call, such settings cause a panic when the
    /// layer is applied to a service.
    ///
    /// A setting that works, but has no effect or works against the sender, is logged at WARN.
    ///
    /// # Errors
    ///
    /// Returns the first setting that cannot work, with its value and the expected one.
    ///
    /// ```
    /// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
    /// let error = layer.with_body_limit(0).check().unwrap_err();
    /// assert_eq!(error.to_string(), "body_limit: is 0, expected more than 0 bytes");
    /// ```
    pub fn check(self) -> Result<Self, ConfigError> {
        self.receiver.check()?;
        self.advise();
        Ok(self)
    }

    #[cfg(feature = "sender-api")]
    pub(crate) fn receiver(&self) -> &Arc<Receiver<P>> {
        &self.receiver
    }

    fn set(mut self, change: impl FnOnce(&mut Receiver<P>)) -> Self {
        change(Arc::make_mut(&mut self.receiver));
        self
    }

    /// Returns the checked receiver for an adapter, when the layer is applied to a service.
    #[cfg(any(feature = "tower", feature = "actix"))]
    #[track_caller]
    pub(crate) fn checked(&self) -> Arc<Receiver<P>> {
        if let Err(error) = self.receiver.check() {
            // A documented panic: an application must not start with settings that break a promise.
            panic!("{error}");
        }
        self.warn_if_observe_only();
        self.advise();
        self.meet_neighbours();
        Arc::clone(&self.receiver)
    }
}

impl<P> Clone for WebhookLayer<P> {
    fn clone(&self) -> Self {
        Self { receiver: Arc::clone(&self.receiver) }
    }
}

impl<P: fmt::Debug> fmt::Debug for WebhookLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebhookLayer").field(&self.receiver).finish()
    }
}
