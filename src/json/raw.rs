//! A part of a body, byte for byte as it was sent.

use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::event::{self, EventError, raw};

/// A JSON value as the sender wrote it. Nothing in it was rounded, reordered or dropped.
///
/// It is serialized as a string that contains the JSON. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(#[serde(with = "raw")] Bytes);

impl RawJson {
    /// Creates the value. `json` is a part of `body`, and shares its memory.
    pub(crate) fn of(body: &Bytes, json: &str) -> Self {
        Self(body.slice_ref(json.as_bytes()))
    }

    /// Returns the bytes as they were sent.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Parses the value into a type of your own, or into a [`serde_json::Value`].
    ///
    /// # Errors
    ///
    /// [`EventError`] with the path of the field, if the value does not match the type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, EventError> {
        event::decode(&self.0)
    }
}

/// Omits the value, which may be long and private.
impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawJson({} bytes)", self.0.len())
    }
}
