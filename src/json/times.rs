//! The forms in which both senders write a time.
//!
//! What they nearly always write is read here by hand, Twitter's form with a sixth of the instructions that
//! the library takes. Whether anything else is a time, the library decides.

use time::format_description::StaticFormatDescription;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

#[cfg(test)]
mod tests;

/// A Unix time of at least this magnitude is in milliseconds, a smaller one in seconds: as seconds the
/// number would lie after the year 5138, as milliseconds it lies after March 1973.
const FIRST_IN_MILLISECONDS: u128 = 100_000_000_000;

/// `Mon Mar 04 12:00:00 +0000 2026`. The weekday has to be one, but not the right one: the sender's own
/// sample has a wrong one.
const TWITTER: StaticFormatDescription = format_description!(
    "[weekday repr:short] [month repr:short] [day] [hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute] [year]"
);

/// RFC 3339, its offset included, as UTC. Digits beyond the nanosecond are dropped.
pub(crate) fn parse_time(text: &str) -> Option<OffsetDateTime> {
    usual_rfc3339(text.as_bytes()).or_else(|| any_rfc3339(text))
}

/// Seconds or milliseconds since 1970, told apart by their magnitude.
pub(crate) fn unix_time(number: i128) -> Option<OffsetDateTime> {
    let nanoseconds_per_unit =
        if number.unsigned_abs() < FIRST_IN_MILLISECONDS { 1_000_000_000 } else { 1_000_000 };
    let nanoseconds = number.checked_mul(nanoseconds_per_unit)?;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok().and_then(in_utc)
}

/// The value of a timestamp header: nothing but ASCII digits (seconds or milliseconds), or RFC 3339.
pub(crate) fn parse_unix_header(bytes: &[u8]) -> Option<OffsetDateTime> {
    let text = std::str::from_utf8(bytes).ok()?;
    // Not left to `parse` alone, which takes a sign.
    if bytes.iter().all(u8::is_ascii_digit) {
        return text.parse().ok().and_then(unix_time);
    }
    parse_time(text)
}

/// A time in a payload, written out: RFC 3339, or Twitter's form.
pub(super) fn parse_payload_time(text: &str) -> Option<OffsetDateTime> {
    if text.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return parse_time(text);
    }
    usual_twitter(text.as_bytes()).or_else(|| any_twitter(text))
}

fn any_rfc3339(text: &str) -> Option<OffsetDateTime> {
    // The library takes any character between date and time.
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
        return None;
    }
    OffsetDateTime::parse(text, &Rfc3339).ok().and_then(in_utc)
}

fn any_twitter(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, TWITTER).ok().and_then(in_utc)
}

/// Whoever calculates with an offset that leads out of the calendar panics, and a year that has not four
/// digits cannot be written as RFC 3339: neither is let in.
fn in_utc(time: OffsetDateTime) -> Option<OffsetDateTime> {
    let time = time.checked_to_offset(UtcOffset::UTC)?;
    (0..=9999).contains(&time.year()).then_some(time)
}

/// `2026-03-04T12:00:00Z`, with a fraction or without, in UTC. `None` says nothing about the text.
fn usual_rfc3339(text: &[u8]) -> Option<OffsetDateTime> {
    let (
        &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2],
        rest,
    ) = text.split_first_chunk()?
    else {
        return None;
    };
    let fraction = rest.strip_suffix(b"Z").or_else(|| rest.strip_suffix(b"+00:00"))?;
    let nanosecond = match fraction {
        [] => 0,
        [b'.', digits @ ..] => nanoseconds(digits)?,
        _ => return None,
    };
    let month = Month::try_from(two([m1, m2])?).ok()?;
    let time = [[h1, h2], [i1, i2], [s1, s2]];
    utc([y1, y2, y3, y4], month, [d1, d2], time, nanosecond)
}

/// `Wed Mar 04 12:00:00 +0000 2026`, in UTC. `None` says nothing about the text.
fn usual_twitter(text: &[u8]) -> Option<OffsetDateTime> {
    let (
        &[w1, w2, w3, b' ', m1, m2, m3, b' ', d1, d2, b' ', h1, h2, b':', i1, i2, b':', s1, s2],
        rest,
    ) = text.split_first_chunk()?
    else {
        return None;
    };
    let year = *rest.strip_prefix(b" +0000 ")?.as_array()?;
    if !matches!(&[w1, w2, w3], b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun") {
        return None;
    }
    let month = match &[m1, m2, m3] {
        b"Jan" => Month::January,
        b"Feb" => Month::February,
        b"Mar" => Month::March,
        b"Apr" => Month::April,
        b"May" => Month::May,
        b"Jun" => Month::June,
        b"Jul" => Month::July,
        b"Aug" => Month::August,
        b"Sep" => Month::September,
        b"Oct" => Month::October,
        b"Nov" => Month::November,
        b"Dec" => Month::December,
        _ => return None,
    };
    utc(year, month, [d1, d2], [[h1, h2], [i1, i2], [s1, s2]], 0)
}

/// Of what stands there in decimal, if there is such a time.
fn utc(
    [millennium, century, decade, year]: [u8; 4],
    month: Month,
    day: [u8; 2],
    [hour, minute, second]: [[u8; 2]; 3],
    nanosecond: u32,
) -> Option<OffsetDateTime> {
    let year = 100 * i32::from(two([millennium, century])?) + i32::from(two([decade, year])?);
    let date = Date::from_calendar_date(year, month, two(day)?).ok()?;
    let time = Time::from_hms_nano(two(hour)?, two(minute)?, two(second)?, nanosecond).ok()?;
    Some(OffsetDateTime::new_utc(date, time))
}

fn two([tens, ones]: [u8; 2]) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| 10 * tens + ones)
}

/// One to nine digits behind the point.
fn nanoseconds(digits: &[u8]) -> Option<u32> {
    if !matches!(digits.len(), 1..=9) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |place| digits.get(place).map_or(0, |digit| u32::from(digit - b'0'));
    Some((0..9).fold(0, |number, place| 10 * number + digit(place)))
}
