//! The forms in which senders write a time.

use std::borrow::Cow;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

#[cfg(test)]
mod tests;

/// A number of at least this magnitude counts a unit that is 1,000 times smaller, and so on three times:
/// seconds, milliseconds, microseconds, nanoseconds. In each unit the numbers below its limit reach from 1973
/// to 5138 (seconds: from 1970), so a time of these years is never taken for another.
const SECONDS_BELOW: u128 = 100_000_000_000;

/// The forms that [`parse_time`] and [`unix_time`] read, for messages.
pub(crate) const EXPECTED_TIME: &str = "RFC 3339 with an offset, or a whole number of seconds, milliseconds, \
                                        microseconds or nanoseconds since 1970";

/// RFC 3339 with an offset (`+0000` counts as `+00:00`), or the digits of a Unix time. In UTC; digits beyond
/// the nanosecond are dropped.
pub(crate) fn parse_time(text: &str) -> Option<OffsetDateTime> {
    match is_digits(text) {
        true => text.parse().ok().and_then(unix_time),
        false => parse_rfc3339(text),
    }
}

/// A Unix time. Its magnitude tells the unit: see [`SECONDS_BELOW`].
pub(crate) fn unix_time(number: i128) -> Option<OffsetDateTime> {
    let (mut unit, mut below) = (1_000_000_000, SECONDS_BELOW);
    while unit > 1 && number.unsigned_abs() >= below {
        (unit, below) = (unit / 1_000, below * 1_000);
    }
    let nanoseconds = number.checked_mul(unit)?;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok().and_then(in_utc)
}

/// The value of a timestamp header, as [`parse_time`] reads it.
pub(crate) fn parse_time_header(value: &[u8]) -> Option<OffsetDateTime> {
    parse_time(std::str::from_utf8(value).ok()?)
}

/// A time in a payload, written out: as [`parse_time`] reads it, or in Twitter's form.
pub(super) fn parse_payload_time(text: &str) -> Option<OffsetDateTime> {
    match text.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        true => parse_time(text),
        false => parse_rfc3339(std::str::from_utf8(&twitter_as_rfc3339(text.as_bytes())?).ok()?),
    }
}

/// `Mon Mar 04 12:00:00 +0000 2026` as `2026-03-04T12:00:00+00:00`, for which the library needs a fifth of the
/// instructions: 135 ns less for each event. The weekday must be one, but not the right one: ScrapeBadger's own sample
/// has a wrong one.
fn twitter_as_rfc3339(text: &[u8]) -> Option<[u8; 25]> {
    const WEEKDAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    const MONTHS: [&[u8]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
        b"Dec",
    ];
    let text: &[u8; 30] = text.try_into().ok()?;
    let spaces = [3, 7, 10, 19, 25];
    if !WEEKDAYS.contains(&&text[..3]) || !spaces.iter().all(|at| text[*at] == b' ') {
        return None;
    }
    let month = MONTHS.iter().position(|month| **month == text[4..7])? + 1;
    let mut written = *b"yyyy-01-ddThh:mm:ss+hh:mm";
    written[..4].copy_from_slice(&text[26..]);
    written[5] += u8::from(month >= 10);
    written[6] = b"0123456789"[month % 10];
    written[8..10].copy_from_slice(&text[8..10]);
    written[11..19].copy_from_slice(&text[11..19]);
    written[19..22].copy_from_slice(&text[20..23]);
    written[23..].copy_from_slice(&text[23..25]);
    Some(written)
}

/// ASCII digits only. `str::parse` alone would also accept a sign.
fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_rfc3339(text: &str) -> Option<OffsetDateTime> {
    // The library accepts any character between date and time.
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
        return None;
    }
    OffsetDateTime::parse(&with_colon_in_offset(text), &Rfc3339).ok().and_then(in_utc)
}

/// `+0000` as `+00:00`.
fn with_colon_in_offset(text: &str) -> Cow<'_, str> {
    match text.as_bytes() {
        [.., b'+' | b'-', h1, h2, m1, m2]
            if [h1, h2, m1, m2].iter().all(|c| c.is_ascii_digit()) =>
        {
            let (hours, minutes) = text.split_at(text.len() - 2);
            format!("{hours}:{minutes}").into()
        }
        _ => text.into(),
    }
}

/// A time outside the years 0 to 9999 is refused: calculating with it could panic, and RFC 3339 could not
/// write it.
fn in_utc(time: OffsetDateTime) -> Option<OffsetDateTime> {
    let time = time.checked_to_offset(UtcOffset::UTC)?;
    (0..=9999).contains(&time.year()).then_some(time)
}
