use time::macros::datetime;

use super::*;

const NOON: OffsetDateTime = datetime!(2026-03-04 12:00:00 UTC);

#[test]
fn rfc_3339_needs_an_offset_and_becomes_utc() {
    for (text, expected) in [
        ("2026-03-04T12:00:00Z", NOON),
        ("2026-03-04t12:00:00z", NOON),
        ("2026-03-04T12:00:00-00:00", NOON),
        ("2026-03-04T14:30:00+02:30", NOON),
        ("2026-03-04T12:00:00+0000", NOON),
        ("2026-03-04T09:30:00.000-0230", NOON),
        ("1772625600", NOON),
        ("2026-03-04T12:00:00.850Z", datetime!(2026-03-04 12:00:00.850 UTC)),
        ("2026-03-04T12:00:00.456000+00:00", datetime!(2026-03-04 12:00:00.456 UTC)),
        // More digits than nanoseconds have.
        ("2026-03-04T12:00:00.123456789987Z", datetime!(2026-03-04 12:00:00.123456789 UTC)),
        ("0000-01-01T00:00:00Z", datetime!(0000-01-01 0:00 UTC)),
        ("9999-12-31T23:59:59Z", datetime!(9999-12-31 23:59:59 UTC)),
        // A leap second becomes the end of the second before it.
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
fn text_that_is_not_rfc_3339_is_not_a_time() {
    for text in [
        "",
        "Z",
        "2026-03-04",
        "2026-03-04T12:00Z",
        "2026-03-04T12:00:00",
        "2026-03-04T12:00:00.Z",
        "2026-03-04T12:00:00+000",
        "2026-03-04T12:00:00+00000",
        "2026-03-04T12:00:00+2400",
        "2026-03-04T12:00:00.0",
        "1772625600.5",
        "-1772625600",
        "+1772625600",
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
        // In UTC these are outside the years with four digits.
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "Wed Mar 04 12:00:00 +0000 2026",
    ] {
        assert_eq!(parse_time(text), None, "{text}");
    }
}

#[test]
fn the_magnitude_of_a_unix_time_tells_its_unit() {
    for (number, expected) in [
        (0, Some(OffsetDateTime::UNIX_EPOCH)),
        (-1, Some(datetime!(1969-12-31 23:59:59 UTC))),
        (1_772_625_600, Some(NOON)),
        (1_772_625_600_850, Some(datetime!(2026-03-04 12:00:00.850 UTC))),
        (99_999_999_999, Some(datetime!(5138-11-16 9:46:39 UTC))),
        (100_000_000_000, Some(datetime!(1973-03-03 9:46:40 UTC))),
        (-100_000_000_000, Some(datetime!(1966-10-31 14:13:20 UTC))),
        (99_999_999_999_999, Some(datetime!(5138-11-16 9:46:39.999 UTC))),
        (1_772_625_600_850_123, Some(datetime!(2026-03-04 12:00:00.850_123 UTC))),
        (100_000_000_000_000, Some(datetime!(1973-03-03 9:46:40 UTC))),
        (99_999_999_999_999_999, Some(datetime!(5138-11-16 9:46:39.999_999 UTC))),
        (1_772_625_600_850_123_456, Some(datetime!(2026-03-04 12:00:00.850_123_456 UTC))),
        (100_000_000_000_000_000, Some(datetime!(1973-03-03 9:46:40 UTC))),
        (253_402_300_799_999_999_999, Some(datetime!(9999-12-31 23:59:59.999_999_999 UTC))),
        (253_402_300_800_000_000_000, None),
        (-62_167_219_200, Some(datetime!(0000-01-01 0:00 UTC))),
        (-62_167_219_201, None),
        (i64::MIN.into(), Some(datetime!(1677-09-21 0:12:43.145_224_192 UTC))),
        (i64::MAX.into(), Some(datetime!(2262-04-11 23:47:16.854_775_807 UTC))),
        (u64::MAX.into(), Some(datetime!(2554-07-21 23:34:33.709_551_615 UTC))),
        (i128::MIN, None),
        (i128::MAX, None),
    ] {
        assert_eq!(unix_time(number), expected, "{number}");
    }
}

#[test]
fn a_timestamp_header_is_digits_or_rfc_3339() {
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
        ("1772625600850123456", Some(datetime!(2026-03-04 12:00:00.850_123_456 UTC))),
        ("999999999999999999999999", None),
        (&long, None),
        ("1772625600,1772625600", None),
        ("Wed Mar 04 12:00:00 +0000 2026", None),
    ] {
        assert_eq!(parse_time_header(header.as_bytes()), expected, "{header:.40}");
    }
    assert_eq!(parse_time_header(b"177262560\xff"), None);
    assert_eq!(parse_time_header(b"1772625600\0"), None);
}

#[test]
fn the_twitter_form_is_read_strictly_for_every_month() {
    const TWITTER: time::format_description::StaticFormatDescription = time::macros::format_description!(
        "[weekday repr:short] [month repr:short] [day] [hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute] [year]"
    );
    for month in
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    {
        for day in 0..=32 {
            for (year, offset) in [("2026", "+0000"), ("2028", "-0530"), ("0000", "+1200")] {
                let text = format!("Mon {month} {day:02} 23:59:59 {offset} {year}");
                let by_library = OffsetDateTime::parse(&text, TWITTER).ok().and_then(in_utc);
                assert_eq!(parse_payload_time(&text), by_library, "{text}");
            }
        }
    }
    // Every byte is checked. Only the weekday may be any of the seven.
    let right = b"Wed Mar 04 12:00:00 +0000 2026";
    for at in 0..right.len() {
        for byte in [b' ', b'0', b'x', b':', b'-'] {
            let mut text = *right;
            text[at] = byte;
            let text = std::str::from_utf8(&text).unwrap();
            let by_library = OffsetDateTime::parse(text, TWITTER).ok().and_then(in_utc);
            assert_eq!(parse_payload_time(text), by_library, "{text}");
        }
    }
}
