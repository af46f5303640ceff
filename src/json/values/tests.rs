use serde_json::from_str;
use time::macros::datetime;

use super::*;

const NOON: OffsetDateTime = datetime!(2026-03-04 12:00:00 UTC);

fn id(json: &str) -> Option<String> {
    from_str::<Id>(json).ok().map(Into::into)
}

fn payload_time(json: &str) -> Option<OffsetDateTime> {
    from_str::<Time>(json).ok().map(Into::into)
}

#[test]
fn an_id_is_a_string_or_an_integer_exactly() {
    for (json, expected) in [
        (r#""wh_abc123""#, "wh_abc123"),
        (r#""""#, ""),
        (r#""\u0031\n😀""#, "1\n😀"),
        (r#""9007199254740993""#, "9007199254740993"),
        ("9007199254740993", "9007199254740993"),
        ("0", "0"),
        ("-5", "-5"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("18446744073709551615", "18446744073709551615"),
    ] {
        assert_eq!(id(json).as_deref(), Some(expected), "{json}");
    }
}

#[test]
fn an_id_that_would_be_rounded_is_an_error() {
    let long = "1".repeat(100_000);
    for json in [
        "18446744073709551616",
        "-9223372036854775809",
        "1.0",
        "1e3",
        "1e400",
        "-0",
        &long,
        "null",
        "true",
        "[1]",
        r#"{"id":1}"#,
        r#""\ud800""#,
    ] {
        assert_eq!(id(json), None, "{json:.40}");
    }
}

#[test]
fn a_time_in_a_payload_has_three_forms() {
    for (json, expected) in [
        (r#""2026-03-04T12:00:00.000Z""#, Some(NOON)),
        (r#""2026-03-04\u005412:00:00Z""#, Some(NOON)),
        // The 4th of March 2026 is a Wednesday; the sender's sample says Monday.
        (r#""Mon Mar 04 12:00:00 +0000 2026""#, Some(NOON)),
        (r#""Wed Mar 04 12:00:00 +0000 2026""#, Some(NOON)),
        (r#""Wed Mar 04 07:00:00 -0500 2026""#, Some(NOON)),
        ("1772625600", Some(NOON)),
        ("1772625600000", Some(NOON)),
        ("-1", Some(datetime!(1969-12-31 23:59:59 UTC))),
        (r#""""#, None),
        (r#""1772625600""#, None),
        (r#""yesterday""#, None),
        (r#""2026-03-04T12:00:00""#, None),
        (r#""Foo Mar 04 12:00:00 +0000 2026""#, None),
        (r#""Wed Mar 04 12:00:60 +0000 2026""#, None),
        (r#""Wed Mar 04 12:00:00 2026""#, None),
        (r#""Wed Mar 04 12:00:00 +0000 +10000""#, None),
        (r#""Wed Mar 04 12:00:00 +0000 -0001""#, None),
        (r#""Wed Mar 04 12:00:00 +9900 2026""#, None),
        (r#""Fri Dec 31 23:59:59 -0100 9999""#, None),
        ("1e9", None),
        ("1772625600.0", None),
        ("9223372036854775807", None),
        ("-9223372036854775808", None),
        ("18446744073709551615", None),
        ("18446744073709551616", None),
        ("1e400", None),
        ("null", None),
        ("true", None),
        ("{}", None),
    ] {
        assert_eq!(payload_time(json), expected, "{json}");
    }
}
