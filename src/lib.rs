//! Receive webhooks from **Scrapest** and **ScrapeBadger** in axum, in actix-web or in any tower service.
//!
//! One line on a route adds signature verification, replay protection, deduplication and typed events:
//!
//! ```
//! use axum::{Router, http::StatusCode, routing::post};
//! use scrapest_webhook::{ScrapestWebhookLayer, scrapest};
//!
//! async fn on_event(event: scrapest::Event) -> StatusCode {
//!     println!("{event:?}");
//!     StatusCode::NO_CONTENT
//! }
//!
//! let layer = ScrapestWebhookLayer::new("whsec_3fb1c8a0d94e4a7fb2c6");
//! let app: Router = Router::new().route("/webhooks/scrapest", post(on_event).route_layer(layer));
//! ```
//!
//! The same layer is an actix-web middleware (feature `actix`):
//!
//! ```
//! use actix_web::{App, HttpResponse, HttpServer, web};
//! use scrapest_webhook::{ScrapestWebhookLayer, scrapest};
//!
//! async fn on_event(event: scrapest::Event) -> HttpResponse {
//!     println!("{event:?}");
//!     HttpResponse::NoContent().finish()
//! }
//!
//! let layer = ScrapestWebhookLayer::new("whsec_3fb1c8a0d94e4a7fb2c6");
//! let server = HttpServer::new(move || {
//!     let webhook = web::resource("/webhooks/scrapest").route(web::post().to(on_event));
//!     App::new().service(webhook.wrap(layer.clone()))
//! });
//! ```
//!
//! # What you use
//!
//! | for | item |
//! |---|---|
//! | the receiver | [`ScrapestWebhookLayer`], [`ScrapeBadgerWebhookLayer`]: both are a [`WebhookLayer`], which has all settings |
//! | the event in a handler | [`scrapest::Event`], [`scrapebadger::Event`]; [`UnknownEvent`] for kinds this version does not know; [`EventError`] |
//! | the delivery in a handler | [`Delivery`]: id, kind, attempt, key, fence, raw body |
//! | secrets | [`Secret`]; [`Secrets`] to rotate them; [`Webhook`] for many webhooks on one route |
//! | stores | [`MemoryStore`] (default), `store::SqliteStore`, `store::PostgresStore`, `store::RedisStore`, [`store::store_from_url`] |
//! | the reason of a refusal | [`Rejection`] in the response's extensions, with its [`RejectionKind`] |
//! | tests of your handler | the module `testing` (feature `testing`) |
//! | slow work, and missed deliveries | the module `queue`, `WebhookLayer::reconcile` (features `queue-sqlite`, `queue-postgres`, `sender-api`) |
//! | a sender or a store of your own | [`Provider`], [`DeliveryStore`] |
//!
//! # What it does
//!
//! Each request goes through seven steps, in this order, before and around your handler. If configured, an allow-list
//! of addresses and a limit on failed authentications run first.
//!
//! 1. **headers**: a POST, whose body is neither encoded nor too long, with exactly one well-formed signature header;
//! 2. **body**: the raw bytes are read, within a byte limit, a deadline, and a limit over all requests;
//! 3. **signature**: HMAC-SHA256 over the raw bytes, with every active secret, compared in constant time;
//! 4. **freshness**: every timestamp that the sender gives is recent, and at least one of them is signed;
//! 5. **handshake**: a challenge (the sender's check of a new webhook) is answered if it is authentic;
//! 6. **claim**: the store decides whether this delivery is new, in progress or done;
//! 7. **handler**, then **settle**: a 2xx completes the delivery; any other result, including a panic, releases it
//!    for the retry.
//!
//! # What it promises
//!
//! 1. A 2xx is sent only after your handler has succeeded for this delivery, now or earlier.
//! 2. While the store keeps its records and a lease is held, at most one handler runs per delivery, and none runs after
//!    a success.
//! 3. A captured request is useless: while the store remembers it, it is a duplicate; after that, it is too old.
//! 4. After a crash between your handler's effect and our record, the handler runs again. Make the effect idempotent:
//!    [`Delivery`] has the key and the fence.
//! 5. Unknown events are passed through. Anything else that cannot be passed on is rejected with an error. Nothing is
//!    dropped silently.
//!
//! A lease is the time for which an attempt owns its delivery; the layer renews it while the handler runs. A fence is
//! a number that grows with every attempt.
//!
//! Two exceptions to promise 1: a challenge, and a post that [`with_deliver`](scrapest::Scrapest::with_deliver)
//! filters out, get 200 without a run.
//!
//! Limitation of promise 3: neither sender is known to sign its delivery id. So an attacker can send a captured
//! request under another id before the genuine one is handled; it then runs once. If a sender signs new bytes for
//! each attempt, a captured attempt that did not succeed can run once more under a new id while it is fresh.
//!
//! # The manual
//!
//! The module [`guide`] has one page per topic: handler, settings, rotating secrets, status codes, senders, stores,
//! exactly once, background work, production, observability, command line, troubleshooting and local development.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `axum` (default) | the extractors for axum handlers; implies `tower` |
//! | `tower` | the `tower_layer::Layer` |
//! | `actix` | the actix-web middleware and extractors |
//! | `sqlite`, `postgres`, `redis` | the stores of these names |
//! | `queue-sqlite`, `queue-postgres` | the durable queue `queue`: answer now, work later |
//! | `sender-api` | clients of the senders' APIs, and reconciliation with their logs |
//! | `metrics` | counters, gauges and histograms through the `metrics` facade |
//! | `throttle` | [`with_failed_auth_limit`](WebhookLayer::with_failed_auth_limit) |
//! | `testing` | signing requests in tests, and the contract suite for stores |
//! | `cli` | the binary `scrapest-webhook`, with every store |
//!
//! The layer, the stores and the queue need a tokio runtime with time enabled.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations, missing_docs, unreachable_pub)]
// Without a framework feature the core has no callers.
#![cfg_attr(not(any(feature = "tower", feature = "actix")), allow(dead_code, unused_imports))]

mod access;
mod config_error;
mod delivery;
mod delivery_id;
mod escaped;
mod event;
#[cfg(doc)]
pub mod guide;
mod json;
mod layer;
mod limits;
mod observe;
mod pipeline;
pub mod provider;
#[cfg(any(feature = "queue-postgres", feature = "queue-sqlite"))]
pub mod queue;
mod receiver;
#[cfg(feature = "sender-api")]
mod reconcile;
mod rejection;
mod run_state;
pub mod scrapebadger;
pub mod scrapest;
mod secret;
#[cfg(feature = "sender-api")]
pub mod sender_api;
pub mod store;
mod timer;
mod warn_once;

#[cfg(feature = "actix")]
pub mod actix;
#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tower")]
mod tower;

/// The types of the tower service that a [`WebhookLayer`] makes (feature `tower`), for code that must name them.
#[cfg(feature = "tower")]
pub mod service {
    pub use crate::tower::{ResponseBody, ResponseFuture, VerifiedBody, WebhookService};
}

pub use self::access::PeerAddr;
pub use self::config_error::ConfigError;
pub use self::delivery::Delivery;
pub use self::event::{EventError, EventErrorKind, UnknownEvent};
pub use self::layer::WebhookLayer;
pub use self::provider::{DedupBy, Provider};
pub use self::receiver::{OnStoreDown, Once};
#[cfg(feature = "sender-api")]
pub use self::reconcile::{Reconcile, ReconcileError, Reconciled};
pub use self::rejection::{Rejection, RejectionKind};
pub use self::secret::{Secret, Secrets, TokenIn, Webhook, WebhookRef};
pub use self::store::{DeliveryStore, MemoryStore};

/// The receiver for Scrapest. See [`WebhookLayer`] for its settings and [`scrapest::Scrapest`] for the assumptions
/// about the sender.
pub type ScrapestWebhookLayer = WebhookLayer<scrapest::Scrapest>;

/// The receiver for ScrapeBadger, for both its contracts. See [`WebhookLayer`] for its settings.
pub type ScrapeBadgerWebhookLayer = WebhookLayer<scrapebadger::ScrapeBadger>;

/// Compiles every block of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
