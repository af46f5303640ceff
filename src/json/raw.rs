//! A part of a body, byte for byte as it was sent.

use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::event::{self, EventError, raw};

/// A JSON value as the sender wrote it: nothing in it was rounded, reordered or dropped.
///
/// Serialized, it is a string that holds the JSON. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(#[serde(with = "raw")] Bytes);

impl RawJson {
    /// `json` is a part of `body`, and shares its memory.
    pub(crate) fn of(body: &Bytes, json: &str) -> Self {
        Self(body.slice_ref(json.as_bytes()))
    }

    /// The bytes as they were sent.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The value as a type of your own, or as a [`serde_json::Value`].
    ///
    /// # Errors
    ///
    /// [`EventError`], which names the path of the field, if the value is not of this type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, EventError> {
        event::decode(&self.0)
    }
}

/// Without the value, which may be long and private.
impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawJson({} bytes)", self.0.len())
    }
}
