//! Ids, numbers, times and flags in JSON, for the private structs that [`object`](super::object) declares.
//!
//! An id is read exactly, or it is an error, because a wrong id is worse than none. A count, a time or a flag is
//! optional: one that cannot be read is absent, so that the event is not lost.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::object::Fill;
use super::surrogates;
use super::times::{parse_payload_time, unix_time};

#[cfg(test)]
mod tests;

/// An id: a string, or an integer of up to 64 bits. A number that JSON parsers would round (a float, a longer
/// integer) is an error.
#[derive(Debug, PartialEq)]
pub(crate) struct Id(String);

impl From<Id> for String {
    fn from(Id(id): Id) -> Self {
        id
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;

        impl Visitor<'_> for IdVisitor {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id: a string, or an integer of up to 64 bits")
            }

            fn visit_str<E: Error>(self, id: &str) -> Result<Id, E> {
                Ok(Id(id.to_owned()))
            }

            fn visit_u64<E: Error>(self, id: u64) -> Result<Id, E> {
                Ok(Id(id.to_string()))
            }

            fn visit_i64<E: Error>(self, id: i64) -> Result<Id, E> {
                Ok(Id(id.to_string()))
            }
        }

        deserializer.deserialize_any(IdVisitor)
    }
}

/// Declares a field type that is parsed from the raw value, and is `None` if it cannot be parsed.
macro_rules! lenient {
    ($($(#[$doc:meta])* $name:ident($type:ty), $read:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, PartialEq)]
        pub(crate) struct $name(pub(crate) Option<$type>);

        impl $name {
            pub(crate) fn of(json: &str) -> Self {
                Self($read(json))
            }
        }

        impl<'de> Fill<'de> for $name {
            #[inline]
            fn fill<D: Deserializer<'de>>(&mut self, value: D) -> Result<(), D::Error> {
                *self = Self::of(<&RawValue>::deserialize(value)?.get());
                Ok(())
            }
        }
    )*};
}

lenient! {
    /// A count: `12`, `12.0` or `"12"`.
    Count(u64), count;
    /// A whole number that may be negative, in the same forms as a count.
    Number(i64), number;
    /// A time in a payload, in UTC: RFC 3339, Twitter's format, or a Unix time.
    Time(OffsetDateTime), payload_time;
    /// `true` or `false`.
    Flag(bool), flag;
}

/// A value that is only compared with another value of the same field, if the field occurs twice. A short value
/// needs no allocation.
#[derive(Default, PartialEq)]
pub(crate) enum Compared {
    #[default]
    Absent,
    Short(usize, [u8; Self::SHORT]),
    Long(Box<str>),
}

impl Compared {
    const SHORT: usize = 32;

    fn of(json: &str) -> Self {
        let mut bytes = [0; Self::SHORT];
        match bytes.get_mut(..json.len()) {
            Some(start) => {
                start.copy_from_slice(json.as_bytes());
                Self::Short(json.len(), bytes)
            }
            None => Self::Long(json.into()),
        }
    }
}

impl<'de> Fill<'de> for Compared {
    fn fill<D: Deserializer<'de>>(&mut self, value: D) -> Result<(), D::Error> {
        let json = <&RawValue>::deserialize(value)?.get();
        // The same string can be written in several ways.
        *self = match memchr(b'\\', json.as_bytes()).and_then(|_| string(json)) {
            Some(text) => Self::of(&serde_json::Value::from(text).to_string()),
            None => Self::of(json),
        };
        Ok(())
    }
}

fn count(json: &str) -> Option<u64> {
    match digits(json) {
        Some(digits) => digits.parse().ok(),
        None => number(json).and_then(|number| number.try_into().ok()),
    }
}

fn number(json: &str) -> Option<i64> {
    let text = unquoted(json);
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => (-1, magnitude),
        None => (1, text),
    };
    match digits(magnitude) {
        Some(_) => text.parse().ok(),
        None => whole_float(magnitude).map(|number| sign * number),
    }
}

fn payload_time(json: &str) -> Option<OffsetDateTime> {
    match json.as_bytes().first()? {
        b'"' => parse_payload_time(&string(json)?),
        _ => unix_time(json.parse::<i64>().ok()?.into()),
    }
}

fn flag(json: &str) -> Option<bool> {
    json.parse().ok()
}

/// A number, or the number in a string that has nothing but digits.
fn digits(json: &str) -> Option<&str> {
    let text = unquoted(json);
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

fn unquoted(json: &str) -> &str {
    json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or(json)
}

/// A float without a fraction, up to 2^53. Larger floats may represent several integers.
fn whole_float(text: &str) -> Option<i64> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let float = text.parse::<f64>().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "an integer of at most 2^53")]
    (float.fract() == 0.0 && float <= LARGEST).then_some(float as i64)
}

/// Decodes a JSON string.
fn string(json: &str) -> Option<Cow<'_, str>> {
    let text = unquoted(json);
    match memchr(b'\\', text.as_bytes()) {
        None => Some(text.into()),
        Some(_) => surrogates::parse::<String>(json.as_bytes()).ok().map(Cow::Owned),
    }
}
