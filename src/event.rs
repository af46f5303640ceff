//! Decoding of events for both senders, with errors that name the field.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::de::Read;

use crate::escaped::Escaped;
use crate::json::object::{Fill, Place};
use crate::json::{Members, without_lone_surrogates};

#[cfg(any(feature = "axum", feature = "actix"))]
pub(crate) mod extract;
pub(crate) mod raw;
#[cfg(test)]
mod tests;

/// An event of a kind that this version of the crate does not know, as it was sent.
///
/// Senders add new kinds. A handler should log this event and return a success, unless it wants the sender to
/// retry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnknownEvent {
    /// The kind that the body names, like `mention.created`. `None` if it names none.
    pub kind: Option<String>,
    /// The body, byte for byte as it was signed.
    #[serde(with = "raw")]
    pub raw: Bytes,
}

impl UnknownEvent {
    /// Creates the event for a body in which no known kind was found.
    ///
    /// A body that is not JSON may be a damaged event of a known kind, and so may an object that has a field twice
    /// with different values. Both are errors and not unknown events.
    pub(crate) fn from_body(kind: Option<&str>, body: &Bytes) -> Result<Self, EventError> {
        match (body.trim_ascii_start().first(), kind) {
            (Some(b'{'), None) => check_object(body)?,
            // The kind was readable, but other strings may contain bytes that are not UTF-8.
            (Some(b'{'), Some(_)) => check_object(String::from_utf8_lossy(body).as_bytes())?,
            (_, Some(_)) => {}
            (_, None) => _ = decode::<IgnoredAny>(body)?,
        }
        Ok(Self { kind: kind.map(str::to_owned), raw: body.clone() })
    }

    /// Parses the body as JSON into a type of your own.
    ///
    /// # Errors
    ///
    /// [`EventError`] with the path of the field, if the body does not match the type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, EventError> {
        decode(&self.raw)
    }
}

/// Checks that an object is JSON and has no field twice with different values.
fn check_object(body: &[u8]) -> Result<(), EventError> {
    match (Members::of_body(body), without_lone_surrogates(body)) {
        (Err(_), Some(body)) => Members::of_body(&body).map(drop),
        (checked, _) => checked.map(drop),
    }
}

/// Omits the body, which may be long and private. The kind is escaped and truncated.
impl fmt::Debug for UnknownEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownEvent")
            .field("kind", &self.kind.as_deref().map(Escaped))
            .field("raw", &format_args!("{} bytes", self.raw.len()))
            .finish()
    }
}

/// Why the event for the handler could not be built. Opaque; see [`kind`](Self::kind).
///
/// The text names the path of the field, like `data.tweet.id: missing field`. It may quote a little of the
/// payload, and is safe to log: one line of printable ASCII, of bounded length.
#[derive(Clone, Debug)]
pub struct EventError {
    kind: EventErrorKind,
    message: String,
}

/// The kinds of [`EventError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventErrorKind {
    /// The kind is known but the payload is not as documented, or the body is not JSON: 422.
    Payload,
    /// The route has no layer of this crate: 500.
    MissingLayer,
    /// The handler takes events of one sender, and the layer is for another: 500.
    WrongSender,
}

impl EventError {
    /// The maximum length of the text in bytes. An error quotes the value that it refuses, which may be the whole
    /// body.
    const LONGEST: usize = 512;

    pub(crate) fn payload(message: impl Into<String>) -> Self {
        Self { kind: EventErrorKind::Payload, message: printable(&message.into(), Self::LONGEST) }
    }

    /// A required field is missing or `null`.
    pub(crate) fn missing(path: &str) -> Self {
        Self::payload(format!("{path}: missing field"))
    }

    /// The handler takes events of `wanted`, and the delivery is from `found`.
    pub(crate) fn wrong_sender(found: &str, wanted: &str) -> Self {
        Self {
            kind: EventErrorKind::WrongSender,
            message: format!(
                "{found}: is the delivery's sender, but the handler takes events of {wanted}"
            ),
        }
    }

    /// Returns the kind of the error.
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

/// Decodes a body. A body that cannot be decoded is read a second time, to replace lone surrogates and to find the
/// position of the error.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, EventError> {
    decode_seed(PhantomData::<T>, body).or_else(|error| match without_lone_surrogates(body) {
        Some(body) => decode_seed(PhantomData::<T>, &body).map_err(|e| located::<T>(&body, &e)),
        None => Err(located::<T>(body, &error)),
    })
}

/// Decodes a body like [`decode`], into an existing value.
pub(crate) fn decode_into<T>(object: &mut T, body: &[u8]) -> Result<(), EventError>
where
    T: DeserializeOwned + for<'de> Fill<'de>,
{
    decode_seed(Place(object), body).or_else(|error| match without_lone_surrogates(body) {
        Some(body) => {
            *object = T::default();
            decode_seed(Place(object), &body).map_err(|error| located::<T>(&body, &error))
        }
        None => Err(located::<T>(body, &error)),
    })
}

fn decode_seed<'de, S: DeserializeSeed<'de>>(
    seed: S,
    body: &'de [u8],
) -> serde_json::Result<S::Value> {
    match std::str::from_utf8(body) {
        // One UTF-8 check of the whole body takes a tenth of the time of checking each string.
        Ok(text) => whole(seed, serde_json::Deserializer::from_str(text)),
        // Skipped values may contain bytes that are not UTF-8.
        Err(_) => whole(seed, serde_json::Deserializer::from_slice(body)),
    }
}

fn whole<'de, S: DeserializeSeed<'de>, R: Read<'de>>(
    seed: S,
    mut json: serde_json::Deserializer<R>,
) -> serde_json::Result<S::Value> {
    let value = seed.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// The error of this body, with its path.
fn located<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> EventError {
    let deserializer = &mut serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, T>(deserializer) {
        Err(found) if found.path().iter().next().is_some() => {
            EventError::payload(format!("{}: {}", found.path(), found.inner()))
        }
        // The error came before the first field, or after a complete value.
        _ => EventError::payload(format!("body: {error}")),
    }
}

/// At most `limit` bytes of `text`, in which everything but printable ASCII is escaped. The values that an error
/// quotes and the keys in a path come from the request.
fn printable(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for character in text.chars() {
        let escaped = match character {
            ' '..='~' => None,
            _ => Some(character.escape_default()),
        };
        let length = escaped.as_ref().map_or(1, ExactSizeIterator::len);
        if out.len() + length > limit {
            break;
        }
        match escaped {
            Some(escaped) => out.extend(escaped),
            None => out.push(character),
        }
    }
    out
}
