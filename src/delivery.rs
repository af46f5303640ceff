//! What a handler gets: a delivery whose signature, freshness and uniqueness were checked.

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

/// A verified delivery: what the sender said of it, and its raw body.
///
/// Only the layer makes one. So a handler that has a `Delivery` knows that the signature was right and the timestamp
/// fresh, and that this attempt holds the claim. Cloning is cheap.
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

/// What the pipeline found out, in one allocation for all clones.
pub(crate) struct Verified {
    pub(crate) sender: &'static str,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) id: Option<DeliveryId>,
    pub(crate) kind: Option<Cow<'static, str>>,
    pub(crate) timestamp: Option<OffsetDateTime>,
    pub(crate) held: Held,
    pub(crate) body: Bytes,
    /// It was rebuilt from the sender's API.
    pub(crate) reconciled: bool,
    pub(crate) run: Arc<RunState>,
}

impl Delivery {
    pub(crate) fn new(verified: Verified) -> Self {
        Self(Arc::new(verified))
    }

    /// Which sender it came from: the [`name`](Self::sender) of its provider.
    #[must_use]
    pub fn sender(&self) -> &'static str {
        self.0.sender
    }

    /// Which webhook it was sent by: the [`id`](Webhook::id) of the one whose secret fitted. `None` unless the
    /// layer stands [for several](crate::WebhookLayer::for_webhooks).
    #[must_use]
    pub fn webhook_id(&self) -> Option<&str> {
        self.0.webhook.as_ref().map(Webhook::id)
    }

    /// The delivery id as the sender wrote it, if it wrote one. Neither sender is known to sign it: for
    /// an idempotency key take [`key`](Self::key).
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.0.id.as_ref().map(DeliveryId::as_str)
    }

    /// The kind of the event, as the signed body says it, like `tweet.created`.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.0.kind.as_deref()
    }

    /// The signed timestamp that was found fresh; the latest if there were several. `None` where the
    /// sender has none (a test event).
    #[must_use]
    pub fn timestamp(&self) -> Option<OffsetDateTime> {
        self.0.timestamp
    }

    /// How many times this delivery was begun here, this time included, as far as the store remembers:
    /// 2 says that a handler failed or died before.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.held.attempt
    }

    /// A number that is larger in every later attempt at this delivery. See [`Fence`].
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.0.held.keys.delivery().1
    }

    /// The same for every attempt at this delivery, and different for any other: file the effect under
    /// it (a unique column, an `Idempotency-Key`) and a run after a crash does no harm.
    #[must_use]
    pub fn key(&self) -> Key {
        self.0.held.keys.delivery().0
    }

    /// The body, byte for byte as it was signed.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// The body as JSON of a type of one's own.
    ///
    /// # Errors
    ///
    /// [`EventError`], which names the path of the field, when the body is not of this type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, EventError> {
        event::decode(self.body())
    }

    /// Whether it was rebuilt from the sender's API after its delivery was missed: the sender never signed it, and its
    /// body is not what a delivery would have had, byte for byte.
    #[must_use]
    pub fn is_reconciled(&self) -> bool {
        self.0.reconciled
    }

    /// The same attempt with this body, which was rebuilt.
    #[cfg(feature = "sender-api")]
    pub(crate) fn reconciled(&self, body: Bytes) -> Self {
        let Verified { sender, webhook, id, kind, timestamp, held, run, .. } = &*self.0;
        Self::new(Verified {
            sender,
            webhook: webhook.clone(),
            id: id.clone(),
            kind: kind.clone(),
            timestamp: *timestamp,
            held: held.clone(),
            body,
            reconciled: true,
            run: Arc::clone(run),
        })
    }

    /// What is claimed for this attempt, for a store that completes it by itself.
    pub(crate) fn held(&self) -> &Held {
        &self.0.held
    }

    pub(crate) fn run(&self) -> &Arc<RunState> {
        &self.0.run
    }

    /// Whether another attempt may be running for the same delivery. A long handler asks this just before an effect that
    /// must not happen twice.
    ///
    /// It is `true` once the lease has passed without a renewal (the store could not be reached, or the thread was
    /// blocked or the machine suspended), once another attempt took over, and once this run has ended without a
    /// success: by its run limit, a shutdown, a failure or a panic. Work that the handler left on another thread may
    /// ask too. It is `false` again only if a late renewal finds that nobody took over. Without a claim, as
    /// [`ProcessAnyway`](crate::OnStoreDown::ProcessAnyway) allows, there is no lease to lose, and it is `false`.
    ///
    /// Between this answer and the effect the lease may still end: for an effect outside, send the
    /// [`fence`](Self::fence) or the [`key`](Self::key) along.
    #[must_use]
    pub fn is_lease_lost(&self) -> bool {
        self.0.run.is_lease_lost()
    }
}

/// Without the body, which may be long and private; the id and the kind escaped and cut.
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
