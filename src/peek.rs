//! A look at a few top-level fields of a JSON object, without building it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use time::OffsetDateTime;

use crate::wire;

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
            Self::Text(text) => Some(wire::parse_time(text)),
            Self::Integer(number) => Some(wire::unix_time(*number)),
            Self::Unusable => Some(None),
        }
    }
}

/// The fields of these names. All absent if `json` is anything but one whole object.
pub(crate) fn fields<'a, const N: usize>(json: &'a [u8], names: [&str; N]) -> Fields<'a, N> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    deserializer
        .deserialize_map(Object(names))
        .and_then(|fields| deserializer.end().map(|()| fields))
        .unwrap_or_else(|_| std::array::from_fn(|_| Field::Absent))
}

struct Object<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Object<'_, N> {
    type Value = Fields<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields: Fields<'de, N> = std::array::from_fn(|_| Field::Absent);
        while let Some(Text(name)) = map.next_key()? {
            match self.0.iter().position(|wanted| *wanted == name) {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some(place) => {
                    let value = map.next_value()?;
                    let field = &mut fields[place];
                    *field = if *field == Field::Absent { value } else { Field::Unusable };
                }
            }
        }
        Ok(fields)
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
        while map.next_entry::<Text<'_>, Field<'_>>()?.is_some() {}
        Ok(Legible)
    }
}

/// Borrowed unless it has escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Field::deserialize(deserializer)? {
            Field::Text(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("expected a string")),
        }
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

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-03-04 12:00:00 UTC);

    fn time(value: &str) -> Option<Option<OffsetDateTime>> {
        let json = format!(r#"{{"other": [1, {{"t": 2}}], "t": {value}, "last": null}}"#);
        let [field] = fields(json.as_bytes(), ["t"]);
        field.time()
    }

    #[test]
    fn a_time_is_rfc_3339_or_an_integer_and_anything_else_is_none() {
        let digits = "9".repeat(100_000);
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        for (value, expected) in [
            (r#""2026-03-04T12:00:00Z""#, Some(Some(NOON))),
            (r#""2026-03-04\u005412:00:00Z""#, Some(Some(NOON))),
            ("1772625600", Some(Some(NOON))),
            (" 1772625600850 ", Some(Some(datetime!(2026-03-04 12:00:00.850 UTC)))),
            (r#""1772625600""#, Some(None)),
            ("true", Some(None)),
            ("1e9", Some(None)),
            ("1772625600.0", Some(None)),
            ("18446744073709551615", Some(None)),
            ("18446744073709551616", Some(None)),
            ("-9223372036854775808", Some(None)),
            ("{}", Some(None)),
            (r#"{"a":[1,{"b":null}]}"#, Some(None)),
            ("[1772625600]", Some(None)),
            (&deep, Some(None)),
            ("null", None),
            // No JSON to our parser, and then the whole object is none.
            ("1e400", None),
            (&digits, None),
            (r#""\ud800""#, None),
        ] {
            assert_eq!(time(value), expected, "{value:.40}");
        }
    }

    #[test]
    fn a_name_that_stands_there_twice_is_unusable() {
        let twice = br#"{"id": "a", "id": "a", "kind": "k"}"#;
        assert_eq!(fields(twice, ["id", "kind"]), [Field::Unusable, Field::Text("k".into())]);
        // Escaped or not, it is the same name.
        let [field] = fields(br#"{"id": "a", "\u0069d": "b"}"#, ["id"]);
        assert_eq!(field, Field::Unusable);
    }

    #[test]
    fn an_id_is_a_string_or_an_integer() {
        let [string, integer, float] =
            fields(br#"{"a": "del_1", "b": 9007199254740993, "c": 1.5}"#, ["a", "b", "c"]);
        assert_eq!(string.id().as_deref(), Some("del_1"));
        assert_eq!(integer.id().as_deref(), Some("9007199254740993"));
        assert_eq!(float.id(), None);
    }

    #[test]
    fn what_is_not_one_whole_object_has_no_fields() {
        let deep = "[".repeat(500_000);
        let nested = format!(r#"{{"id": "a", "x": {deep}"#);
        let zeros = format!(r#"{{"id": "a", "x": [{}"#, "0,".repeat(500_000));
        for json in [
            &b""[..],
            b"null",
            b"[\"id\"]",
            b"{\"id\": \"a\"",
            b"{\"id\": \"a\"} {}",
            b"\xef\xbb\xbf{\"id\": \"a\"}",
            b"{\"id\": \"\xff\"}",
            deep.as_bytes(),
            nested.as_bytes(),
            zeros.as_bytes(),
        ] {
            let [field] = fields(json, ["id"]);
            assert_eq!(field, Field::Absent, "{:.40}", String::from_utf8_lossy(json));
        }
        // Deep nesting under a name that nobody asked for is passed over, not followed.
        let passed = format!(r#"{{"x": {deep}{}, "id": "a"}}"#, "]".repeat(500_000));
        assert_eq!(fields(passed.as_bytes(), ["id"]), [Field::Text("a".into())]);
    }
}
