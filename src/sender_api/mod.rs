//! Code shared by the clients of the senders' APIs (feature `sender-api`).
//!
//! 1. A call has a time limit. It is repeated with growing pauses if the sender answers 429 (after its
//!    `Retry-After`) or 5xx, or does not answer. A POST is repeated only if the sender cannot have carried it out;
//!    every other call may be carried out twice.
//! 2. Every request counts against a budget, because the sender may bill it.
//! 3. The API key is sent in a header, and never appears in an error or in `Debug`.
//! 4. An answer that does not match the published schema is an error that names the field. Missing fields are not
//!    filled in.

mod call;
mod client;
mod error;
mod key;

pub(crate) use self::call::{Call, schema};
pub(crate) use self::client::private::Sealed;
pub use self::client::{Api, Client};
pub use self::error::{ApiError, ApiErrorKind};
pub use self::key::ApiKey;
