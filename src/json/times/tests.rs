use proptest::prelude::*;
use proptest::sample::{Index, select};
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

/// A text like those that are usual, and nearly as often one that is not quite.
fn like_a_time() -> impl Strategy<Value = String> {
    let part = |usual: std::ops::RangeInclusive<u32>| {
        prop_oneof![9 => usual, 1 => 0..=99_u32].prop_map(|number| format!("{number:02}"))
    };
    let date = (0..=9999_u32, 1..=12_usize, part(1..=31));
    let time = (part(0..=23), part(0..=59), part(0..=59));
    let fraction = prop_oneof![Just(String::new()), r"\.[0-9]{0,12}"];
    let offset =
        select(&["Z", "z", "+00:00", "-00:00", "+01:00", "-23:59", "+24:00", "Z ", ""][..]);
    let twitter_offset =
        prop_oneof![9 => Just("+0000"), 1 => select(&["-0000", "+0100", "+00:00", "Z"][..])];
    let weekday = select(&["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "mon", "Tues"][..]);
    let forms = (any::<bool>(), date, time, (fraction, offset, weekday, twitter_offset)).prop_map(
        |(is_twitter, (year, month, day), (hour, minute, second), rest)| {
            let (fraction, offset, weekday, twitter_offset) = rest;
            let time = format!("{hour}:{minute}:{second}");
            if is_twitter {
                let month = MONTHS[month - 1];
                format!("{weekday} {month} {day} {time} {twitter_offset} {year:04}")
            } else {
                format!("{year:04}-{month:02}-{day}T{time}{fraction}{offset}")
            }
        },
    );
    let change = prop::option::weighted(0.5, (any::<Index>(), 0..=1_usize, "[ -~]{0,2}"));
    (forms, change).prop_map(|(mut text, change)| {
        if let Some((at, removed, inserted)) = change {
            let at = at.index(text.len());
            text.replace_range(at..(at + removed), &inserted);
        }
        text
    })
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_is_read_by_hand_the_library_reads_as_well(text in like_a_time()) {
        let by_library = any_rfc3339(&text).or_else(|| any_twitter(&text));
        if let Some(time) = usual_rfc3339(text.as_bytes()) {
            prop_assert_eq!(any_rfc3339(&text), Some(time));
        }
        if let Some(time) = usual_twitter(text.as_bytes()) {
            prop_assert_eq!(any_twitter(&text), Some(time));
        }
        prop_assert_eq!(parse_payload_time(&text), by_library);
    }
}

#[test]
fn every_day_that_there_is_is_read_by_hand() {
    for year in ["0000", "1900", "2000", "2026", "2028", "9999"] {
        for (month, name) in MONTHS.iter().enumerate() {
            for day in 0..=32 {
                let text = format!("{year}-{:02}-{day:02}T23:59:59Z", month + 1);
                let time = any_rfc3339(&text);
                assert_eq!(usual_rfc3339(text.as_bytes()), time, "{text}");
                let text = format!("Mon {name} {day:02} 23:59:59 +0000 {year}");
                assert_eq!(usual_twitter(text.as_bytes()), time, "{text}");
                assert_eq!(any_twitter(&text), time, "{text}");
            }
        }
    }
}

#[test]
fn what_both_senders_write_is_read_by_hand() {
    for text in [
        "2026-03-04T12:00:00Z",
        "2026-03-04T12:00:00.850Z",
        "2026-03-04T12:00:00.456000+00:00",
        "2026-03-04T12:00:00.123456789Z",
    ] {
        assert!(usual_rfc3339(text.as_bytes()).is_some(), "{text}");
    }
    for weekday in ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] {
        let text = format!("{weekday} Mar 04 12:00:00 +0000 2026");
        assert_eq!(usual_twitter(text.as_bytes()), Some(NOON), "{text}");
    }
}
