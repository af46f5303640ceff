//! Scrapest's events, as types.
//!
//! The sender documents two generations of events, and both are accepted:
//!
//! * Named events, like `tweet.created`. The sender documents five names, and that times are ISO 8601, but not the
//!   schema of the payloads. The names of the fields are an assumption, taken from the two forms in which the same
//!   service documents a tweet in its websocket feed. Both forms are read into one [`Tweet`].
//! * One format for every platform, with a `source` and a `mid`: a [`PostEvent`] from X, or a [`MessageEvent`]
//!   from any other platform.
//!
//! Only ids are required. All other fields are optional: a field that is missing or `null` is `None`. Data that is
//! not read into a field is still in the raw body, [`Delivery::body`](crate::Delivery::body).
//!
//! ```
//! use scrapest_webhook::scrapest::Event;
//!
//! fn describe(event: &Event) -> String {
//!     match event {
//!         Event::TweetCreated(created) => created.tweet.text.clone().unwrap_or_default(),
//!         Event::UserUpdated(updated) => format!("user {} changed", updated.user.id),
//!         Event::DeliveryFailed(failed) => format!("one was lost: {:?}", failed.webhook.error),
//!         other => format!("a {} was ignored", other.kind().unwrap_or("nameless event")),
//!     }
//! }
//!
//! let body = r#"{"event": "tweet.created", "data": {"id": 1234567890123456789, "text": "hello"}}"#;
//! let event = Event::from_body(Some("tweet.created"), &body.into())?;
//! assert_eq!(describe(&event), "hello");
//!
//! let broken = r#"{"event": "tweet.created", "data": {"text": "hello"}}"#;
//! let error = Event::from_body(Some("tweet.created"), &broken.into()).unwrap_err();
//! assert_eq!(error.to_string(), "data.id: missing field");
//! # Ok::<(), scrapest_webhook::EventError>(())
//! ```

#[cfg(feature = "sender-api")]
pub mod api;
mod dialect;
mod event;
mod settings;

pub use self::event::source::{MessageEvent, Post, PostAuthor, PostEvent, Source};
pub use self::event::{
    Author, Event, Tweet, TweetEvent, User, UserEvent, WebhookEvent, WebhookStatus,
};
pub use self::settings::{Deliver, Scrapest, SignedContent};
pub use crate::event::UnknownEvent;
pub use crate::json::RawJson;

/// The sender's name in a [`Delivery`](crate::Delivery).
pub(crate) const SENDER: &str = "scrapest";
