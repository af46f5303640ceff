//! The members of a JSON object, for types that know some of the fields and keep the rest.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::{Count, Flag, Id, RawJson, Time, surrogates};
use crate::event::EventError;

/// The members that have not been taken yet, each with its raw value, and the path of the object.
///
/// `null` counts as absent.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    members: BTreeMap<Cow<'a, str>, &'a RawValue>,
    path: String,
}

impl<'a> Members<'a> {
    /// The members of a whole body.
    pub(crate) fn of_body(body: &'a [u8]) -> Result<Self, EventError> {
        serde_json::from_slice(body)
            .map(|Unlocated(members)| Self { members, path: String::new() })
            .map_err(|error| EventError::payload(format!("body: {error}")))
    }

    /// The members of the object at `path`.
    fn of_value(json: &'a RawValue, path: String) -> Result<Self, EventError> {
        match serde_json::from_str(json.get()) {
            Ok(Unlocated(members)) => Ok(Self { members, path }),
            Err(error) => Err(EventError::payload(format!("{path}: {error}"))),
        }
    }

    /// The path of the member `name`, like `payload.author.id`.
    pub(crate) fn path_of(&self, name: &str) -> String {
        match self.path.is_empty() {
            true => name.to_owned(),
            false => format!("{}.{name}", self.path),
        }
    }

    /// The value as it is written.
    pub(crate) fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        self.members.remove(name).filter(|value| value.get() != "null")
    }

    fn parsed<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, EventError> {
        let Some(json) = self.raw(name) else { return Ok(None) };
        surrogates::parse(json.get().as_bytes())
            .map(Some)
            .map_err(|error| EventError::payload(format!("{}: {error}", self.path_of(name))))
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, EventError> {
        self.parsed(name)
    }

    pub(crate) fn id(&mut self, name: &str) -> Result<Option<String>, EventError> {
        Ok(self.parsed::<Id>(name)?.map(Into::into))
    }

    pub(crate) fn count(&mut self, name: &str) -> Option<u64> {
        Count::of(self.raw(name)?.get()).0
    }

    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        Flag::of(self.raw(name)?.get()).0
    }

    pub(crate) fn time(&mut self, name: &str) -> Option<OffsetDateTime> {
        Time::of(self.raw(name)?.get()).0
    }

    /// Takes any value. A value that does not fit into a [`Value`] (a number beyond its range) stays in the rest.
    pub(crate) fn value(&mut self, name: &str) -> Option<Value> {
        let value = surrogates::parse(self.members.get(name)?.get().as_bytes()).ok()?;
        self.raw(name)?;
        Some(value)
    }

    /// Takes an object, as its members.
    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Self>, EventError> {
        let path = self.path_of(name);
        self.raw(name).map(|json| Self::of_value(json, path)).transpose()
    }

    /// Takes an object, as the result of `read`. If the value is not an object, or `read` fails, it stays in the
    /// rest.
    pub(crate) fn object_or_rest<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Self) -> Result<T, EventError>,
    ) -> Option<T> {
        let json = self.raw(name)?;
        let value = Self::of_value(json, self.path_of(name)).and_then(read);
        if value.is_err() {
            self.members.insert(name.into(), json);
        }
        value.ok()
    }

    /// All members that have not been taken. `body` is the body that contains them.
    pub(crate) fn rest(self, body: &Bytes) -> BTreeMap<String, RawJson> {
        let members = self.members.into_iter();
        members.map(|(name, json)| (name.into_owned(), RawJson::of(body, json.get()))).collect()
    }
}

struct Unlocated<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Unlocated<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Unlocated)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = BTreeMap<Cow<'de, str>, &'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        let mut members = BTreeMap::new();
        while let Some((Name(name), value)) = object.next_entry::<_, &RawValue>()? {
            if let Some(other) = members.insert(name.clone(), value)
                && !is_same(other, value)
            {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
        }
        Ok(members)
    }
}

/// Whether both values are equal, apart from how they are written.
fn is_same(one: &RawValue, other: &RawValue) -> bool {
    let value = |json: &RawValue| serde_json::from_str::<Value>(json.get()).ok();
    one.get() == other.get() || value(one).is_some_and(|one| Some(one) == value(other))
}
