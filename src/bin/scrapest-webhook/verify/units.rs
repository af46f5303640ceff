//! Finds a unit or format in which a timestamp would be right but which the crate does not accept.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use http::HeaderName;

use super::trial::{Trial, Verdict};

/// Units with their length in seconds.
const UNITS: [(&str, f64); 6] = [
    ("seconds with a fraction", 1.0),
    ("milliseconds with a fraction", 0.001),
    ("tenths of a second", 0.1),
    ("hundredths of a second", 0.01),
    ("minutes", 60.0),
    ("days", 86_400.0),
];

const EXPECTED: &str = "expected RFC 3339 with an offset, or a whole number of seconds, milliseconds, \
                        microseconds or nanoseconds since 1970";

/// For a header that is not fresh: the unit or format in which the request would have passed.
pub(super) async fn of_header(trial: &Trial, name: &HeaderName) -> Result<Option<String>> {
    let value = trial.received.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(value) = value else { return Ok(None) };
    let mut candidates = vec![("a local time without an offset", format!("{value}Z"))];
    if let Ok(number) = value.parse::<f64>() {
        candidates.extend(UNITS.map(|(unit, length)| (unit, format!("{:.0}", number * length))));
    }
    for (form, written) in candidates {
        let mut other = trial.clone();
        let Ok(written) = written.parse() else { continue };
        other.received.headers.insert(name.clone(), written);
        if other.run().await?.is_valid() {
            return Ok(Some(format!("{name} is in {form}: {EXPECTED}")));
        }
    }
    Ok(None)
}

/// For a number in the body, which is signed and cannot be changed: the unit in which it is within an hour of the
/// time of the check. To confirm that this number caused the refusal, the request is tried at the time that the
/// number was read as.
pub(super) async fn of_body(trial: &Trial) -> Result<Option<String>> {
    let body: serde_json::Value = serde_json::from_slice(&trial.received.body).unwrap_or_default();
    let now = trial.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    for field in ["timestamp", "detected_at"] {
        let Some(number) = body[field].as_f64().filter(|number| (0.0..1e11).contains(number))
        else {
            continue;
        };
        let unit = UNITS.iter().find(|(_, length)| (number * length - now).abs() < 3_600.0);
        let Some((unit, _)) = unit else { continue };
        let read_as = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(number);
        let then = Trial { at: read_as, ..trial.clone() }.run().await?;
        if number.fract() != 0.0 || matches!(then, Verdict::Valid(_)) {
            return Ok(Some(format!("{field} in the body is in {unit}: {EXPECTED}")));
        }
    }
    Ok(None)
}
