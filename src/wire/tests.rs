use serde_json::{Value, from_str};
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
fn rfc_3339_needs_an_offset_and_becomes_utc() {
    for (text, expected) in [
        ("2026-03-04T12:00:00Z", NOON),
        ("2026-03-04t12:00:00z", NOON),
        ("2026-03-04T12:00:00-00:00", NOON),
        ("2026-03-04T14:30:00+02:30", NOON),
        ("2026-03-04T12:00:00.850Z", datetime!(2026-03-04 12:00:00.850 UTC)),
        ("2026-03-04T12:00:00.456000+00:00", datetime!(2026-03-04 12:00:00.456 UTC)),
        // More digits than there are nanoseconds.
        ("2026-03-04T12:00:00.123456789987Z", datetime!(2026-03-04 12:00:00.123456789 UTC)),
        ("0000-01-01T00:00:00Z", datetime!(0000-01-01 0:00 UTC)),
        ("9999-12-31T23:59:59Z", datetime!(9999-12-31 23:59:59 UTC)),
        // A leap second, which is the end of the second before it.
        ("2016-12-31T23:59:60Z", datetime!(2016-12-31 23:59:59.999_999_999 UTC)),
    ] {
        let time = parse_time(text);
        assert_eq!(time, Some(expected), "{text}");
        assert_eq!(time.map(OffsetDateTime::offset), Some(UtcOffset::UTC), "{text}");
    }
    let long_fraction = format!("2026-03-04T12:00:00.{}Z", "9".repeat(100_000));
    assert_eq!(parse_time(&long_fraction), Some(datetime!(2026-03-04 12:00:00.999_999_999 UTC)));
}

#[test]
fn what_is_not_rfc_3339_is_no_time() {
    for text in [
        "",
        "Z",
        "2026-03-04",
        "2026-03-04T12:00Z",
        "2026-03-04T12:00:00",
        "2026-03-04T12:00:00.Z",
        "2026-03-04T12:00:00+0000",
        "2026-03-04T12:00:00+24:00",
        "2026-03-04T12:00:00+00:60",
        "2026-03-04 12:00:00Z",
        "2026-03-04x12:00:00Z",
        " 2026-03-04T12:00:00Z",
        "2026-03-04T12:00:00Z ",
        "2026-03-04T12:00:00ZZ",
        "2026-03-04T12:00:60Z",
        "2026-03-04T24:00:00Z",
        "2026-02-29T12:00:00Z",
        "2026-00-04T12:00:00Z",
        "2026-13-04T12:00:00Z",
        "2026-03-00T12:00:00Z",
        "+10000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "-001-01-01T00:00:00Z",
        "２０２６-03-04T12:00:00Z",
        "2026-03-0\u{1f600}T12:00:00Z",
        // In UTC these lie outside the years of four digits.
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "1772625600",
        "Wed Mar 04 12:00:00 +0000 2026",
    ] {
        assert_eq!(parse_time(text), None, "{text}");
    }
}

#[test]
fn unix_time_is_in_seconds_or_milliseconds_by_its_magnitude() {
    for (number, expected) in [
        (0, Some(OffsetDateTime::UNIX_EPOCH)),
        (-1, Some(datetime!(1969-12-31 23:59:59 UTC))),
        (1_772_625_600, Some(NOON)),
        (1_772_625_600_850, Some(datetime!(2026-03-04 12:00:00.850 UTC))),
        (99_999_999_999, Some(datetime!(5138-11-16 9:46:39 UTC))),
        (100_000_000_000, Some(datetime!(1973-03-03 9:46:40 UTC))),
        (-100_000_000_000, Some(datetime!(1966-10-31 14:13:20 UTC))),
        (253_402_300_799_999, Some(datetime!(9999-12-31 23:59:59.999 UTC))),
        (253_402_300_800_000, None),
        (-62_167_219_200, Some(datetime!(0000-01-01 0:00 UTC))),
        (-62_167_219_201, None),
        (i64::MIN.into(), None),
        (i64::MAX.into(), None),
        (u64::MAX.into(), None),
        (i128::MIN, None),
        (i128::MAX, None),
    ] {
        assert_eq!(unix_time(number), expected, "{number}");
    }
}

#[test]
fn a_timestamp_header_is_only_digits_or_rfc_3339() {
    let long = "1".repeat(400);
    for (header, expected) in [
        ("1772625600", Some(NOON)),
        ("1772625600850", Some(datetime!(2026-03-04 12:00:00.850 UTC))),
        ("2026-03-04T12:00:00Z", Some(NOON)),
        ("2026-03-04T13:00:00+01:00", Some(NOON)),
        ("", None),
        (" ", None),
        (" 1772625600", None),
        ("1772625600 ", None),
        ("1772625600\t", None),
        ("+1772625600", None),
        ("+5", None),
        ("-5", None),
        ("-0", None),
        ("1e9", None),
        ("1772625600.5", None),
        ("0x69a81d80", None),
        ("１７７２６２５６００", None),
        ("18446744073709551615", None),
        (&long, None),
        ("1772625600,1772625600", None),
        ("Wed Mar 04 12:00:00 +0000 2026", None),
    ] {
        assert_eq!(parse_unix_header(header.as_bytes()), expected, "{header:.40}");
    }
    assert_eq!(parse_unix_header(b"177262560\xff"), None);
    assert_eq!(parse_unix_header(b"1772625600\0"), None);
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

#[test]
fn an_object_is_no_array() {
    #[derive(Debug, Deserialize)]
    struct Tweet {
        id: Option<Id>,
    }

    assert!(from_str::<Tweet>(r#"["1"]"#).is_ok(), "or the wrapper is no longer needed");
    assert!(from_str::<Object<Tweet>>(r#"["1"]"#).is_err());
    assert!(from_str::<Object<Tweet>>("[]").is_err());
    assert!(from_str::<Object<Tweet>>("null").is_err());
    assert!(from_str::<Option<Object<Tweet>>>("null").unwrap().is_none());
    let Object(tweet) = from_str::<Object<Tweet>>(r#"{"id": 1, "unknown": [1e400]}"#).unwrap();
    assert_eq!(tweet.id.map(String::from).as_deref(), Some("1"));
    assert!(from_str::<Value>("[1e400]").is_err(), "an unknown field is skipped, not read");
}
