//! Decoding an event, for both senders: what can go wrong, and where in the body it did.

use std::error::Error;
use std::fmt;

use serde::de::DeserializeOwned;

/// Why a handler could not be given its event. Opaque; see [`kind`](Self::kind).
#[derive(Debug)]
pub struct EventError {
    kind: EventErrorKind,
    message: String,
}

/// The kinds of [`EventError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventErrorKind {
    /// The event is of a known kind but its payload is not as documented: 422.
    Payload,
    /// The handler does not sit behind a layer of this crate: 500.
    MissingLayer,
    /// The handler asks for the event of one sender behind the layer of another: 500.
    WrongSender,
}

impl EventError {
    pub(crate) fn payload(message: impl Into<String>) -> Self {
        Self { kind: EventErrorKind::Payload, message: message.into() }
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> EventErrorKind {
        self.kind
    }
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for EventError {}

/// Decodes fast; only what fails is decoded again, to learn where.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, EventError> {
    serde_json::from_slice(body).map_err(|_| {
        let deserializer = &mut serde_json::Deserializer::from_slice(body);
        match serde_path_to_error::deserialize::<_, T>(deserializer) {
            Err(error) => EventError::payload(format!("{}: {}", error.path(), error.inner())),
            Ok(_) => EventError::payload("trailing data after the event"),
        }
    })
}
