//! ScrapeBadger's events, as types.
//!
//! The sender documents two contracts, whose bodies differ: one has `"type": "tweet"` and a `tweet`, the other
//! `"event": "tweet.detected"` and `tweet_data`. Both are read into one [`TweetEvent`] with one [`Tweet`]. The
//! fields are documented by the sender, but some bodies lack some of them (a delivery from a filter rule has
//! fewer), so only the tweet's id is required. A field that is missing or `null` is `None`; a list is empty.
//!
//! Data that is not read into a field is still in the raw body, [`Delivery::body`](crate::Delivery::body).
//!
//! ```
//! use scrapest_webhook::scrapebadger::Event;
//!
//! let body = r#"{
//!     "type": "tweet",
//!     "latency_ms": 850,
//!     "tweet": {"id": "1234567890123456789", "username": "elonmusk"}
//! }"#;
//! let Event::Tweet(event) = Event::from_body(Some("tweet"), &body.into())? else {
//!     panic!("the kind says that it is a tweet")
//! };
//! assert_eq!(event.tweet.id, "1234567890123456789");
//! assert_eq!(event.tweet.username.as_deref(), Some("elonmusk"));
//! assert_eq!(event.latency_ms, Some(850));
//!
//! let broken = r#"{"type": "tweet", "tweet": {"username": "elonmusk"}}"#;
//! let error = Event::from_body(Some("tweet"), &broken.into()).unwrap_err();
//! assert_eq!(error.to_string(), "tweet.id: missing field");
//! # Ok::<(), scrapest_webhook::EventError>(())
//! ```

#[cfg(feature = "sender-api")]
pub mod api;
mod dialect;
mod event;

pub use self::dialect::ScrapeBadger;
pub use self::event::{Event, TestEvent, Tweet, TweetEvent};
pub use crate::event::UnknownEvent;

/// The sender's name in a [`Delivery`](crate::Delivery).
pub(crate) const SENDER: &str = "scrapebadger";
