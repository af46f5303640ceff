//! The receiver as a `tower_layer::Layer`, for axum, hyper and every other user of tower.

mod body;
mod exchange;
mod future;
mod layer;
mod service;

pub use self::body::{ResponseBody, VerifiedBody};
pub use self::future::ResponseFuture;
pub use self::service::WebhookService;
