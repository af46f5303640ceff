//! How both senders write ids, times and objects in JSON, read without ever guessing.
//!
//! The types here stand in the private structs that a body is decoded into. All go with `Option<_>`,
//! which takes care of a missing field and of `null`.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};
use time::format_description::StaticFormatDescription;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

#[cfg(test)]
mod tests;

/// A Unix time of at least this magnitude is in milliseconds, a smaller one in seconds: as seconds the
/// number would lie after the year 5138, as milliseconds it lies after March 1973.
const FIRST_IN_MILLISECONDS: u128 = 100_000_000_000;

/// `Mon Mar 04 12:00:00 +0000 2026`. The weekday has to be one, but not the right one: the sender's own
/// sample has a wrong one.
const TWITTER: StaticFormatDescription = format_description!(
    "[weekday repr:short] [month repr:short] [day] [hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute] [year]"
);

/// RFC 3339, its offset included, as UTC. Digits beyond the nanosecond are dropped.
pub(crate) fn parse_time(text: &str) -> Option<OffsetDateTime> {
    // The library takes any character between date and time.
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
        return None;
    }
    OffsetDateTime::parse(text, &Rfc3339).ok().and_then(in_utc)
}

/// Seconds or milliseconds since 1970, told apart by their magnitude.
pub(crate) fn unix_time(number: i128) -> Option<OffsetDateTime> {
    let nanoseconds_per_unit =
        if number.unsigned_abs() < FIRST_IN_MILLISECONDS { 1_000_000_000 } else { 1_000_000 };
    let nanoseconds = number.checked_mul(nanoseconds_per_unit)?;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok().and_then(in_utc)
}

/// The value of a timestamp header: nothing but ASCII digits (seconds or milliseconds), or RFC 3339.
pub(crate) fn parse_unix_header(bytes: &[u8]) -> Option<OffsetDateTime> {
    let text = std::str::from_utf8(bytes).ok()?;
    // Not left to `parse` alone, which takes a sign.
    if bytes.iter().all(u8::is_ascii_digit) {
        return text.parse().ok().and_then(unix_time);
    }
    parse_time(text)
}

/// A time in a payload, written out: RFC 3339, or Twitter's form.
fn parse_payload_time(text: &str) -> Option<OffsetDateTime> {
    if text.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return parse_time(text);
    }
    OffsetDateTime::parse(text, TWITTER).ok().and_then(in_utc)
}

/// Whoever calculates with an offset that leads out of the calendar panics, and a year that has not four
/// digits cannot be written as RFC 3339: neither is let in.
fn in_utc(time: OffsetDateTime) -> Option<OffsetDateTime> {
    let time = time.checked_to_offset(UtcOffset::UTC)?;
    (0..=9999).contains(&time.year()).then_some(time)
}

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

/// A `T` that is written as a JSON object. A derived `Deserialize` also takes an array and fills the
/// fields by position, so that a list of anything could pass for an event.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}
