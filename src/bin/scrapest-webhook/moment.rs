//! Times, as the command line parses and prints them.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// Parses RFC 3339, or whole seconds since 1970.
pub(crate) fn parse(text: &str) -> Result<SystemTime, String> {
    let time = match text.parse::<i64>() {
        Ok(seconds) => OffsetDateTime::from_unix_timestamp(seconds).ok(),
        Err(_) => OffsetDateTime::parse(text, &Rfc3339).ok(),
    };
    // A time that RFC 3339 cannot represent cannot be sent.
    let time = time.filter(|time| time.format(&Rfc3339).is_ok());
    time.map(SystemTime::from).ok_or_else(|| {
        "expected a time like 2026-11-21T23:39:05Z, or seconds since 1970".to_owned()
    })
}

/// Formats the time as RFC 3339, in UTC.
pub(crate) fn show(time: SystemTime) -> String {
    let since = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => time::Duration::try_from(after).ok(),
        Err(before) => time::Duration::try_from(before.duration()).ok().map(|before| -before),
    };
    let time = since.and_then(|since| OffsetDateTime::UNIX_EPOCH.checked_add(since));
    let written = time.and_then(|time| time.format(&Rfc3339).ok());
    written.unwrap_or_else(|| "a time beyond the calendar".to_owned())
}

/// Parses a duration like `5s`. At most ten years, because a longer one overflows the clock.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).ok().filter(|span| *span <= LONGEST);
    span.ok_or_else(|| "expected a time span like 500ms, 5s or 2h, of ten years at most".to_owned())
}
