//! Skeleton.
#![allow(missing_docs, dead_code, unused_imports, unreachable_pub)]

mod delivery;
mod event;
mod pipeline;
pub mod scrapebadger;
pub mod scrapest;
pub mod store;
mod wire;

pub use self::delivery::Delivery;
pub use self::event::{EventError, EventErrorKind, UnknownEvent};
