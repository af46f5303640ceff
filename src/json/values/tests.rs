use serde_json::from_str;
use time::macros::datetime;

use super::*;

const NOON: OffsetDateTime = datetime!(2026-03-04 12:00:00 UTC);

fn id(json: &str) -> Option<String> {
    from_str::<Id>(json).ok().map(Into::into)
}

fn payload_time(json: &str) -> Option<OffsetDateTime> {
    let mut time = Time::default();
    time.fill(&mut serde_json::Deserializer::from_str(json)).unwrap_or_else(|_| panic!("{json}"));
    time.0
}

#[test]
fn an_id_is_an_exact_string_or_integer() {
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
fn a_time_in_a_payload_has_three_forms_and_is_absent_in_any_other() {
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
        (r#""1772625600""#, Some(NOON)),
        (r#""2026-03-04T12:00:00+0000""#, Some(NOON)),
        ("1772625600000000", Some(NOON)),
        (r#""\ud800""#, None),
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
        ("9223372036854775807", Some(datetime!(2262-04-11 23:47:16.854_775_807 UTC))),
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
fn a_count_is_a_whole_number_in_any_form_and_absent_otherwise() {
    for (json, expected) in [
        ("12", Some(12)),
        ("0", Some(0)),
        ("-0", Some(0)),
        ("12.0", Some(12)),
        ("1.2e1", Some(12)),
        (r#""12""#, Some(12)),
        (r#""12.0""#, Some(12)),
        ("18446744073709551615", Some(u64::MAX)),
        (r#""18446744073709551615""#, Some(u64::MAX)),
        ("9007199254740992.0", Some(1 << 53)),
        ("9007199254740994.0", None),
        ("18446744073709551616", None),
        ("12.5", None),
        ("-1", None),
        (r#""-1""#, None),
        (r#""""#, None),
        (r#"" 12""#, None),
        (r#""+12""#, None),
        (r#""1,200""#, None),
        (r#""1.2K""#, None),
        (r#""inf""#, None),
        (r#""NaN""#, None),
        ("1e400", None),
        ("null", None),
        ("true", None),
        ("[12]", None),
        ("{}", None),
    ] {
        let mut count = Count::default();
        count.fill(&mut serde_json::Deserializer::from_str(json)).unwrap();
        assert_eq!(count.0, expected, "{json}");
    }
    for (json, expected) in
        [("-5", Some(-5)), (r#""-5""#, Some(-5)), ("-5.0", Some(-5)), ("--5", None), ("-", None)]
    {
        assert_eq!(Number::of(json).0, expected, "{json}");
    }
}

#[test]
fn a_flag_is_true_or_false_and_absent_otherwise() {
    for (json, expected) in [
        ("true", Some(true)),
        ("false", Some(false)),
        ("1", None),
        (r#""true""#, None),
        ("null", None),
    ] {
        assert_eq!(Flag::of(json).0, expected, "{json}");
    }
}
