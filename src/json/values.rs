//! How both senders write ids, times and objects in JSON, read without ever guessing.
//!
//! The types here stand in the private structs that a body is decoded into, which [`object`] makes. All go
//! with `Option<_>`, which takes care of a missing field and of `null`.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use time::OffsetDateTime;

#[cfg(test)]
mod tests;

use super::times::{parse_payload_time, unix_time};

/// An id: a string as it is, or an integer of up to 64 bits, exactly. A number that JSON parsers would
/// round (a float, a longer integer) is an error.
#[derive(Debug)]
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

/// A time in a payload, as UTC: RFC 3339, Twitter's form, or an integer of seconds or milliseconds.
#[derive(Debug)]
pub(crate) struct Time(OffsetDateTime);

impl From<Time> for OffsetDateTime {
    fn from(Time(time): Time) -> Self {
        time
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;

        impl Visitor<'_> for TimeVisitor {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a time: RFC 3339 with an offset, or whole seconds or milliseconds since 1970",
                )
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                parse_payload_time(text)
                    .map(Time)
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Time, E> {
                unix_time(number.into())
                    .map(Time)
                    .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Time, E> {
                unix_time(number.into())
                    .map(Time)
                    .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
            }
        }

        deserializer.deserialize_any(TimeVisitor)
    }
}
