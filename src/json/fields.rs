//! A look at a few top-level fields of a JSON object, without building it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use time::OffsetDateTime;

use self::scan::Found;
use super::times::{parse_time, unix_time};

mod scan;
#[cfg(test)]
mod tests;

/// The fields asked for, each in the place of its name.
pub(crate) type Fields<'a, const N: usize> = [Field<'a>; N];

/// What stands under a name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Field<'a> {
    /// Nothing, or `null`.
    #[default]
    Absent,
    Text(Cow<'a, str>),
    Integer(i128),
    /// Something else, or the name stands there twice and there is no telling which one counts.
    Unusable,
}

impl<'a> Field<'a> {
    /// Of a value as it is written; `None` if it is no JSON.
    fn of(json: &'a [u8]) -> Option<Self> {
        // To the end in any case, so that many bytes are looked at at once.
        let is_plain = |text: &[u8]| {
            let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
            text.iter().fold(true, |all, byte| all & plain(*byte))
        };
        if let [b'"', text @ .., b'"'] = json
            && is_plain(text)
        {
            return std::str::from_utf8(text).ok().map(|text| Self::Text(text.into()));
        }
        serde_json::from_slice(json).ok()
    }

    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether something stands there, and it is no string.
    pub(crate) fn is_no_text(&self) -> bool {
        !matches!(self, Self::Absent | Self::Text(_))
    }

    /// As an id: senders write them as strings or as integers. An empty one is none.
    pub(crate) fn id(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Integer(number) => Some(number.to_string().into()),
            other => other.text().filter(|text| !text.is_empty()),
        }
    }

    /// As a time: RFC 3339, or an integer of seconds or milliseconds. `Some(None)`: there is something,
    /// but no time.
    pub(crate) fn time(&self) -> Option<Option<OffsetDateTime>> {
        match self {
            Self::Absent => None,
            Self::Text(text) => Some(parse_time(text)),
            Self::Integer(number) => Some(unix_time(*number)),
            Self::Unusable => Some(None),
        }
    }
}

/// The fields of these names, up to where they are `enough`: senders write them before the event itself, which
/// then is not looked at, nor whether a name is there once more. All absent if `json` is anything but one whole
/// object, as far as it is read.
///
/// Only what is asked for is read; the rest is left to whoever decodes the event. That is most of the body, and
/// reading it twice would cost more than everything else that is done with a request.
pub(crate) fn fields<'a, const N: usize>(
    json: &'a [u8],
    names: [&str; N],
    enough: impl Fn(&Fields<'a, N>) -> bool,
) -> Fields<'a, N> {
    let mut fields = std::array::from_fn(|_| Field::Absent);
    let read = scan::members(json, |name, value| {
        let Some(place) = names.iter().position(|wanted| name == wanted.as_bytes()) else {
            return Found::Other;
        };
        let Some(value) = Field::of(value) else { return Found::Broken };
        let field: &mut Field<'a> = &mut fields[place];
        *field = if *field == Field::Absent { value } else { Field::Unusable };
        if enough(&fields) { Found::Enough } else { Found::Other }
    });
    match read {
        Some(()) => fields,
        None => std::array::from_fn(|_| Field::Absent),
    }
}

/// An object of which every field could be read by [`fields`]; one that cannot hides all the others.
pub(crate) struct Legible;

impl<'de> serde::Deserialize<'de> for Legible {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LegibleVisitor)
    }
}

struct LegibleVisitor;

impl<'de> Visitor<'de> for LegibleVisitor {
    type Value = Legible;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<String, Field<'_>>()?.is_some() {}
        Ok(Legible)
    }
}

impl<'de: 'a, 'a> serde::Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar)
    }
}

struct Scalar;

impl<'de> Visitor<'de> for Scalar {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Field::Integer(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Field::Integer(number.into()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Absent)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Field::Unusable)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Field::Unusable)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Unusable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Unusable)
    }
}
