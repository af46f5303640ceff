use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{from_str, json};

use super::*;
use crate::event::decode;
use crate::json::Id;

object! {
    struct Tweet {
        id: Option<Id>,
        count: Option<u8>,
        parent: Nested<User<Skipped>>,
        owner: Nested<User<Nested<Number>>>,
    }
}

object! {
    struct User<N> {
        name: Option<String>,
        more: N,
    }
}

object! {
    struct Number {
        number: Option<i64>,
    }
}

/// The same types with serde's derive, which accepts arrays as well, except for those within [`Object`].
mod derived {
    use std::marker::PhantomData;

    use serde::Deserialize;
    use serde::de::MapAccess;
    use serde::de::value::MapAccessDeserializer;

    use super::*;

    #[derive(Deserialize)]
    pub(super) struct Tweet {
        pub(super) id: Option<Id>,
        pub(super) count: Option<u8>,
        pub(super) parent: Option<Object<User<IgnoredAny>>>,
        pub(super) owner: Option<Object<User<Object<Number>>>>,
    }

    #[derive(Deserialize)]
    pub(super) struct User<N> {
        pub(super) name: Option<String>,
        pub(super) more: Option<N>,
    }

    #[derive(Deserialize)]
    pub(super) struct Number {
        pub(super) number: Option<i64>,
    }

    pub(super) struct Object<T>(pub(super) T);

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(ObjectVisitor(PhantomData))
        }
    }

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
}

/// The result of reading, or the text of the error with its path.
fn read(json: &[u8]) -> Result<String, String> {
    let tweet = decode::<Tweet>(json).map_err(|error| error.to_string())?;
    let parent = tweet.parent.0.map(|user| user.name);
    let owner = tweet.owner.0.map(|user| (user.name, user.more.0.map(|more| more.number)));
    Ok(format!("{:?}", (tweet.id, tweet.count, parent, owner)))
}

fn read_by_serde(json: &[u8]) -> Result<String, String> {
    use derived::{Object, Tweet};

    let Object(tweet) = decode::<Object<Tweet>>(json).map_err(|error| error.to_string())?;
    let parent = tweet.parent.map(|Object(user)| user.name);
    let owner =
        tweet.owner.map(|Object(user)| (user.name, user.more.map(|Object(more)| more.number)));
    Ok(format!("{:?}", (tweet.id, tweet.count, parent, owner)))
}

/// Compares with serde. Not for repeated fields, which serde always refuses.
fn is_read_as_by_serde(json: &[u8]) -> bool {
    let by_serde = read_by_serde(json);
    let refuses_twice = matches!(&by_serde, Err(error) if error.contains("duplicate field"));
    refuses_twice || read(json) == by_serde
}

#[test]
fn a_repeated_field_is_read_if_both_values_are_equal() {
    let read = |json: &str| read(json.as_bytes());
    for (json, expected) in [
        (r#"{"id": "1", "id": "1"}"#, r#"{"id": "1"}"#),
        (r#"{"id": "1", "count": 2, "\u0069d": 1}"#, r#"{"id": "1", "count": 2}"#),
        (r#"{"owner": {"name": "a", "name": "a"}}"#, r#"{"owner": {"name": "a"}}"#),
        (
            r#"{"owner": {"more": {"number": 1}}, "owner": {"more": {"number": 1, "x": 2}}}"#,
            r#"{"owner": {"more": {"number": 1}}}"#,
        ),
        (r#"{"id": null, "id": null}"#, "{}"),
        (r#"{"parent": {"more": 1, "more": 2}}"#, r#"{"parent": {}}"#),
    ] {
        assert_eq!(read(json), read(expected), "{json}");
        assert!(read(json).is_ok(), "{json}");
    }
    for json in [
        r#"{"id": "1", "id": "2"}"#,
        r#"{"id": "1", "id": null}"#,
        r#"{"id": "1", "id": "1", "id": "2"}"#,
        r#"{"owner": {"name": "a", "name": "A"}}"#,
        r#"{"owner": {"more": {"number": 1}}, "owner": {"more": {"number": 2}}}"#,
    ] {
        assert!(read(json).unwrap_err().contains("duplicate field"), "{json}");
    }
}

const SEEDS: [&str; 8] = [
    r#"{"id": "1", "count": 2, "parent": {"name": "a"}, "owner": {"name": "b", "more": {"number": -3}}}"#,
    r#"{"id": null, "count": null, "parent": null, "owner": null}"#,
    r#"{"owner": {"more": null, "name": null}, "\u0069d": 7, "ID": [1e400], "unknown": 1}"#,
    r#"{"id": null, "id": "1"}"#,
    r#"{"unknown": 1, "unknown": 2, "parent": {"more": [1, {}], "name": "a"}}"#,
    r#"{"parent": {"more": 1, "more": 1}}"#,
    r#"{"parent": ["a"], "count": 256}"#,
    r#"["1", 2]"#,
];

#[test]
fn an_object_is_read_as_serde_would_read_it() {
    for json in SEEDS {
        assert!(is_read_as_by_serde(json.as_bytes()), "{json}");
    }
    let expected =
        r#"(Some(Id("1")), Some(2), Some(Some("a")), Some((Some("b"), Some(Some(-3)))))"#;
    assert_eq!(read(SEEDS[0].as_bytes()).as_deref(), Ok(expected));
    assert_eq!(read(SEEDS[1].as_bytes()).as_deref(), Ok("(None, None, None, None)"));
    assert_eq!(
        read(SEEDS[2].as_bytes()).as_deref(),
        Ok(r#"(Some(Id("7")), None, None, Some((None, None)))"#)
    );
    let error = read(SEEDS[3].as_bytes()).unwrap_err();
    assert_eq!(error, "body: duplicate field `id` at line 1 column 23");
}

proptest! {
    #[test]
    fn a_changed_object_is_read_as_serde_would_read_it(
        seed in select(SEEDS.to_vec()),
        changes in prop::collection::vec((any::<Index>(), any::<Index>(), select(SEEDS.to_vec())), 1..4),
    ) {
        let mut json = seed.as_bytes().to_vec();
        for (at, from, other) in changes {
            let (at, other) = (at.index(json.len()), other.as_bytes());
            let from = from.index(other.len());
            json.splice(at..(at + 1).min(json.len()), other[from..].iter().copied().take(9));
        }
        prop_assert!(is_read_as_by_serde(&json), "{}", String::from_utf8_lossy(&json));
    }
}

#[test]
fn an_array_is_not_an_object() {
    assert!(from_str::<derived::Tweet>(r#"["1", 2, null, null]"#).is_ok(), "serde has changed");
    for json in [r#"["1"]"#, "[]", "null", r#"{"owner": []}"#, r#"{"owner": {"more": [1]}}"#] {
        assert!(from_str::<Tweet>(json).is_err(), "{json}");
    }
}

#[test]
fn an_object_is_read_from_any_format() {
    let value = json!({"id": 1, "parent": null, "owner": {"more": {"number": 5}}, "unknown": []});
    let tweet = serde_json::from_value::<Tweet>(value).unwrap();
    assert_eq!(tweet.id.map(String::from).as_deref(), Some("1"));
    assert_eq!(tweet.owner.0.unwrap().more.0.unwrap().number, Some(5));
    assert!(tweet.parent.0.is_none());
}
