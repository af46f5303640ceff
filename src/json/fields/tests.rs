use time::macros::datetime;

use super::*;

fn fields<'a, const N: usize>(json: &'a [u8], names: [&str; N]) -> Fields<'a, N> {
    super::fields(json, names, |_| false)
}

const NOON: OffsetDateTime = datetime!(2026-03-04 12:00:00 UTC);

fn time(value: &str) -> Option<Option<OffsetDateTime>> {
    let json = format!(r#"{{"other": [1, {{"t": 2}}], "t": {value}, "last": null}}"#);
    let [field] = fields(json.as_bytes(), ["t"]);
    field.time()
}

#[test]
fn a_time_is_rfc_3339_or_a_whole_number_and_any_other_value_is_not_a_time() {
    let digits = "9".repeat(100_000);
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    for (value, expected) in [
        (r#""2026-03-04T12:00:00Z""#, Some(Some(NOON))),
        (r#""2026-03-04\u005412:00:00Z""#, Some(Some(NOON))),
        ("1772625600", Some(Some(NOON))),
        (" 1772625600850 ", Some(Some(datetime!(2026-03-04 12:00:00.850 UTC)))),
        (r#""1772625600""#, Some(Some(NOON))),
        (r#""2026-03-04T12:00:00+0000""#, Some(Some(NOON))),
        (r#""1772625600.0""#, Some(None)),
        (r#""2026-03-04T12:00:00""#, Some(None)),
        ("true", Some(None)),
        ("1e9", Some(None)),
        ("1772625600.0", Some(None)),
        ("1772625600000000000", Some(Some(NOON))),
        ("999999999999999999999", Some(None)),
        ("{}", Some(None)),
        (r#"{"a":[1,{"b":null}]}"#, Some(None)),
        ("[1772625600]", Some(None)),
        (&deep, Some(None)),
        ("null", None),
        ("1e400", Some(None)),
        (&digits, Some(None)),
        (r#""\ud800""#, Some(None)),
        // The value is not JSON, so the whole object is not.
        ("1e", None),
        ("tru", None),
        ("01", None),
    ] {
        assert_eq!(time(value), expected, "{value:.40}");
    }
}

#[test]
fn a_repeated_field_is_usable_if_both_values_are_equal() {
    let same = br#"{"id": "a", "kind": "k", "id": "\u0061", "n": 5, "n": 5}"#;
    assert_eq!(
        fields(same, ["id", "kind", "n"]),
        [Field::Text("a".into()), Field::Text("k".into()), Field::Integer(5)]
    );
    for other in [r#""b""#, "5", "true", "[]", r#""b", "id": "a""#] {
        // Escaped or not, the name is the same.
        let json = format!(r#"{{"id": "a", "\u0069d": {other}}}"#);
        assert_eq!(fields(json.as_bytes(), ["id"]), [Field::Unusable], "{other}");
    }
}

#[test]
fn a_lone_surrogate_is_read_as_the_replacement_character() {
    let json = br#"{"\ude00": 1, "kind": "a\ud83d"}"#;
    assert_eq!(
        fields(json, ["kind", "\u{fffd}"]),
        [Field::Text("a\u{fffd}".into()), Field::Integer(1)]
    );
}

#[test]
fn the_raw_value_of_a_field_is_found() {
    let json = br#"{"a": [1, "b"], "b" : 1.50 , "b": 2, "c": "x"#;
    assert_eq!(raw_field(json, "b"), Some(&b"1.50"[..]));
    assert_eq!(raw_field(json, "c"), None);
}

#[test]
fn reading_stops_once_all_wanted_fields_were_found() {
    let json = br#"{"kind": "a", "t": 1, "kind": "b", [ no JSON "#;
    let found = |enough: fn(&Fields<'_, 2>) -> bool| super::fields(json, ["kind", "t"], enough);
    let all = |[kind, time]: &Fields<'_, 2>| *kind != Field::Absent && *time != Field::Absent;
    assert_eq!(found(all), [Field::Text("a".into()), Field::Integer(1)]);
    assert_eq!(found(|_| false), [Field::Absent, Field::Absent]);
    // A value that is not JSON does not count as found.
    let broken = br#"{"kind": "\x41", "t": 1}"#;
    assert_eq!(super::fields(broken, ["kind"], |_| true), [Field::Absent]);
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
fn json_that_is_not_one_whole_object_has_no_fields() {
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
    // Deep nesting under another name is skipped.
    let passed = format!(r#"{{"x": {deep}{}, "id": "a"}}"#, "]".repeat(500_000));
    assert_eq!(fields(passed.as_bytes(), ["id"]), [Field::Text("a".into())]);
}

/// Every object that `serde_json` accepts is read with the same result.
#[test]
fn json_is_read_as_serde_json_reads_it() {
    let values = [
        "null",
        "true",
        "-0.5e+7",
        "\"\"",
        r#""a\"b\\""#,
        r#""\u0022,}""#,
        "[]",
        "{}",
        r#"[1,"]",{"a":"}"}]"#,
        r#"{"a":[{"b":"\\"}],"kind":"inner"}"#,
        r#""é\u00e9""#,
        "18446744073709551616",
    ];
    let blanks = ["", " ", "\r\n\t "];
    for (number, value) in values.iter().enumerate() {
        for blank in blanks {
            let other = values[(number + 5) % values.len()];
            let json = format!(
                "{blank}{{{blank}\"x\"{blank}:{blank}{value}{blank},{blank}\"kind\":{blank}\"k\"{blank},\
                 \"y\":{other}{blank}}}{blank}"
            );
            let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
            let [kind, y] = fields(json.as_bytes(), ["kind", "y"]);
            assert_eq!(kind.text().as_deref(), parsed["kind"].as_str(), "{json}");
            assert_eq!(y.text().as_deref(), parsed["y"].as_str(), "{json}");
        }
    }
}

/// No prefix of an object is accepted as an object, and no changed byte causes a panic.
#[test]
fn a_truncated_or_changed_object_never_causes_a_panic() {
    let json = br#"{"kind":"a\"b","x":[{"y":"}"},2],"t":1772625600 ,"z":{"kind":null}}"#;
    for cut in 0..json.len() {
        assert_eq!(fields(&json[..cut], ["kind"]), [Field::Absent], "{cut}");
    }
    for at in 0..json.len() {
        for byte in 0..=u8::MAX {
            let mut changed = json.to_vec();
            changed[at] = byte;
            let [kind, time] = fields(&changed, ["kind", "t"]);
            if let Ok(parsed) = serde_json::from_slice::<serde_json::Map<_, _>>(&changed) {
                let strict: Option<&serde_json::Value> = parsed.get("t");
                assert_eq!(time.time().is_some(), strict.is_some(), "{at} {byte}");
                assert_eq!(kind.text().is_some(), parsed.contains_key("kind"), "{at} {byte}");
            }
        }
    }
}
