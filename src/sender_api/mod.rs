//! What the clients of the senders' APIs have in common (feature `sender-api`).
//!
//! 1. A call has a time limit, and is repeated with growing pauses while the sender answers 429 (after its
//!    `Retry-After`), or 5xx, or not at all. A POST is repeated only when the sender cannot have carried it out;
//!    every other call may be made twice.
//! 2. Every request counts against a budget, because the sender may bill it.
//! 3. The API key is sent in a header, and is never part of an error or of a `Debug`.
//! 4. An answer that does not fit what is published is an error that names the field. Nothing is filled in.

mod call;
mod client;
mod error;
mod key;

pub(crate) use self::call::{Call, schema};
pub(crate) use self::client::private::Sealed;
pub use self::client::{Api, Client};
pub use self::error::{ApiError, ApiErrorKind};
pub use self::key::ApiKey;
