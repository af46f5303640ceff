#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
// The core alone has nobody who calls it.
#![cfg_attr(not(any(feature = "tower", feature = "actix")), allow(dead_code, unused_imports))]

mod access;
mod config_error;
mod delivery;
mod escaped;
mod event;
mod json;
mod layer;
mod limits;
mod observe;
mod pipeline;
pub mod provider;
mod receiver;
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
pub mod tower;

pub use self::access::PeerAddr;
pub use self::config_error::ConfigError;
pub use self::delivery::Delivery;
pub use self::event::{EventError, EventErrorKind, UnknownEvent};
pub use self::layer::WebhookLayer;
pub use self::provider::{DedupBy, Provider};
pub use self::receiver::OnStoreDown;
pub use self::rejection::{Rejection, RejectionKind};
pub use self::secret::{Secret, Secrets, Webhook, WebhookRef};
pub use self::store::{DeliveryStore, MemoryStore};

/// The receiver for Scrapest. See [`WebhookLayer`] for its settings and
/// [`scrapest::Scrapest`] for what is assumed of the sender.
pub type ScrapestWebhookLayer = WebhookLayer<scrapest::Scrapest>;

/// The receiver for ScrapeBadger, for both its contracts. See [`WebhookLayer`] for its settings.
pub type ScrapeBadgerWebhookLayer = WebhookLayer<scrapebadger::ScrapeBadger>;
