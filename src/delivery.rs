//! The delivery that a handler receives after its signature, freshness and uniqueness were checked.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::delivery_id::DeliveryId;
use crate::escaped::Escaped;
use crate::event::{self, EventError};
use crate::run_state::RunState;
use crate::secret::Webhook;
use crate::store::Held;
use crate::store::{Fence, Key};

/// A verified delivery: the sender's data about it, and its raw body.
///
/// Only this crate can create one. So a handler that has a `Delivery` knows that the signature was valid, that the
/// timestamp was fresh, and that this attempt has the claim. The exceptions are settings that allow otherwise
/// ([`ProcessAnyway`](crate::OnStoreDown::ProcessAnyway), `insecure_*`), a test event without a
/// [timestamp](Self::timestamp), and a [reconciled](Self::is_reconciled) delivery. Cloning is cheap.
///
/// ```
/// use axum::http::StatusCode;
/// use scrapest_webhook::Delivery;
///
/// #[derive(serde::Deserialize)]
/// struct Body {
///     data: serde_json::Value,
/// }
///
/// async fn on_delivery(delivery: Delivery) -> StatusCode {
///     // Decode the body yourself, or take the typed event as a second argument.
///     let Ok(body) = delivery.parse::<Body>() else {
///         return StatusCode::UNPROCESSABLE_ENTITY;
///     };
///     // The key is the same for every attempt at this delivery: a unique column refuses a second effect.
///     println!("INSERT {} {:?} {}", delivery.key(), delivery.kind(), body.data);
///     StatusCode::NO_CONTENT
/// }
/// # use scrapest_webhook::{ScrapestWebhookLayer, testing};
/// # use axum::{Router, body::Body as Http, routing::post};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let secret = "whsec_3fb1c8a0d94e4a7fb2c6";
/// # let app = Router::new().route("/", post(on_delivery).route_layer(ScrapestWebhookLayer::new(secret)));
/// # let request = testing::scrapest(secret).sign().into_http::<Http>("/");
/// # let response = tower::ServiceExt::oneshot(app, request).await.unwrap();
/// # assert_eq!(response.status(), StatusCode::NO_CONTENT);
/// # }
/// ```
#[derive(Clone)]
pub struct Delivery(Arc<Verified>);

/// The results of the pipeline, in one allocation for all clones.
#[derive(Clone)]
pub(crate) struct Verified {
    pub(crate) sender: &'static str,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) id: Option<DeliveryId>,
    pub(crate) kind: Option<Cow<'static, str>>,
    pub(crate) timestamp: Option<OffsetDateTime>,
    pub(crate) held: Held,
    pub(crate) body: Bytes,
    /// Whether it was rebuilt from the sender's API.
    pub(crate) reconciled: bool,
    pub(crate) run: Arc<RunState>,
}

impl Delivery {
    pub(crate) fn new(verified: Verified) -> Self {
        Self(Arc::new(verified))
    }

    /// The sender: the [`name`](crate::Provider::name) of its provider.
    #[must_use]
    pub fn sender(&self) -> &'static str {
        self.0.sender
    }

    /// The [`id`](Webhook::id) of the webhook whose secret matched the signature. `None` unless the layer is [for
    /// several webhooks](crate::WebhookLayer::for_webhooks).
    #[must_use]
    pub fn webhook_id(&self) -> Option<&str> {
        self.0.webhook.as_ref().map(Webhook::id)
    }

    /// The delivery id as the sender wrote it, if it wrote one. Neither sender is known to sign it: use
    /// [`key`](Self::key) as an idempotency key.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.0.id.as_ref().map(DeliveryId::as_str)
    }

    /// The kind of the event, as given in the signed body, like `tweet.created`.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.0.kind.as_deref()
    }

    /// The signed timestamp; the latest if there were several. `None` if there was none, as in a test event.
    #[must_use]
    pub fn timestamp(&self) -> Option<OffsetDateTime> {
        self.0.timestamp
    }

    /// The number of this attempt, from 1, as far as the store remembers: 2 means that an earlier attempt failed or
    /// its process died. 0 if there is no claim, as [`ProcessAnyway`](crate::OnStoreDown::ProcessAnyway) allows.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.held.attempt
    }

    /// A number that is larger in every later attempt at this delivery. 0 if there is no claim, as
    /// [`ProcessAnyway`](crate::OnStoreDown::ProcessAnyway) allows. See [`Fence`].
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.0.held.keys.delivery().1
    }

    /// A key that is the same for every attempt at this delivery, and different for every other delivery. (With
    /// [`Once::Tweet`](crate::Once::Tweet) it is the key of the tweet.) Store the effect under it, as a unique column
    /// or an `Idempotency-Key`, so that another run after a crash does no harm.
    #[must_use]
    pub fn key(&self) -> Key {
        self.0.held.keys.delivery().0
    }

    /// The body, byte for byte as it was signed.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// Decodes the body, which is JSON, into a type of your own.
    ///
    /// # Errors
    ///
    /// [`EventError`], which names the path of the field, if the body is not of this type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, EventError> {
        event::decode(self.body())
    }

    /// Whether this delivery was missed and then rebuilt from the sender's API. The sender never signed it, and its
    /// body is not byte for byte what the sender would have delivered.
    #[must_use]
    pub fn is_reconciled(&self) -> bool {
        self.0.reconciled
    }

    /// Returns the delivery with this body, which was rebuilt.
    #[cfg(feature = "sender-api")]
    pub(crate) fn reconciled(mut self, body: Bytes) -> Self {
        let verified = self.edit();
        (verified.body, verified.reconciled) = (body, true);
        self
    }

    /// Returns the id unformatted, for callers that usually do not log it.
    pub(crate) fn raw_id(&self) -> Option<&DeliveryId> {
        self.0.id.as_ref()
    }

    /// Gives the pipeline access to add its claim. Existing clones do not change.
    pub(crate) fn edit(&mut self) -> &mut Verified {
        Arc::make_mut(&mut self.0)
    }

    /// Returns the claim of this attempt, for a store that completes it by itself.
    pub(crate) fn held(&self) -> &Held {
        &self.0.held
    }

    pub(crate) fn run(&self) -> &Arc<RunState> {
        &self.0.run
    }

    /// Whether another attempt may be running for the same delivery. A long handler should check this just before an
    /// effect that must not happen twice.
    ///
    /// It is `true` once the lease has passed without a renewal (the store could not be reached, or the thread was
    /// blocked or the machine suspended), once another attempt took over, and once this run has ended without a
    /// success: by its run limit, a shutdown, a failure or a panic. Work that the handler left on another thread can
    /// check it too. It becomes `false` again only if a late renewal finds that no other attempt took over. Without a
    /// claim, as [`ProcessAnyway`](crate::OnStoreDown::ProcessAnyway) allows, there is no lease to lose, and it is
    /// `false`.
    ///
    /// The lease may still end between this answer and the effect. So send the [`fence`](Self::fence) or the
    /// [`key`](Self::key) along with an effect in another system.
    #[must_use]
    pub fn is_lease_lost(&self) -> bool {
        self.0.run.is_lease_lost()
    }
}

/// Omits the body, which may be long and private. The id and the kind are escaped and truncated.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("sender", &self.0.sender)
            .field("webhook_id", &self.webhook_id().map(Escaped))
            .field("id", &self.id().map(Escaped))
            .field("kind", &self.kind().map(Escaped))
            .field("timestamp", &self.0.timestamp)
            .field("attempt", &self.attempt())
            .field("fence", &self.fence())
            .field("body", &format_args!("{} bytes", self.0.body.len()))
            .finish_non_exhaustive()
    }
}
