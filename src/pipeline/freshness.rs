//! Step 4: checks that the sender signed the bytes recently.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

use super::signature::Signed;
use crate::escaped::Escaped;
use crate::json::EXPECTED_TIME;
use crate::provider::{Envelope, Provider, Timestamp};
use crate::receiver::Receiver;
use crate::rejection::{RejectionKind, Reply};

/// Checks that every timestamp of the request is fresh, and that at least one of them is signed, unless the sender's
/// settings or the kind of the request allow otherwise. Returns the latest signed one.
pub(super) fn check<P: Provider>(
    receiver: &Receiver<P>,
    envelope: &Envelope<'_>,
    signed: &Signed,
) -> Result<Option<OffsetDateTime>, Reply> {
    if !signed.authentic {
        return Ok(None);
    }
    let now = nanoseconds((receiver.clock)());
    let (mut latest, mut any_signed, mut any) = (None, false, false);
    for timestamp in envelope.timestamps.iter().flatten() {
        let past = receiver.past_tolerance(timestamp.signed && timestamp.of_attempt);
        let Some(at) = timestamp.at else {
            return Err(unreadable(receiver, timestamp));
        };
        // The difference of two times never overflows an i128.
        let age = now - at.unix_timestamp_nanos();
        if age > limit(past) || -age > limit(receiver.future_tolerance()) {
            return Err(stale(receiver, timestamp, at, age));
        }
        any = true;
        if timestamp.signed {
            any_signed = true;
            latest = latest.max(Some(at));
        }
    }
    match any_signed
        || (any && envelope.unsigned_timestamp_will_do)
        || (!any && envelope.missing_timestamp_will_do)
        || (envelope.challenge.is_some() && envelope.missing_timestamp_will_do)
    {
        true => Ok(latest),
        false => Err(RejectionKind::NoSignedTimestamp.into()),
    }
}

fn unreadable<P>(receiver: &Receiver<P>, timestamp: &Timestamp) -> Reply {
    if let Some(lines_left_out) = receiver.notices.stale() {
        tracing::warn!(
            reason = RejectionKind::Stale.as_str(),
            field = %Escaped(timestamp.source.as_str()),
            value = %Escaped(timestamp.unreadable.as_deref().unwrap_or("?")),
            lines_left_out,
            "authentic request refused because its timestamp is unreadable: expected {EXPECTED_TIME}"
        );
    }
    RejectionKind::Stale.into()
}

fn stale<P>(receiver: &Receiver<P>, timestamp: &Timestamp, at: OffsetDateTime, age: i128) -> Reply {
    if let Some(lines_left_out) = receiver.notices.stale() {
        let hint = match age > 0 {
            true => {
                "; to accept deliveries that the sender retries this late, increase `with_past_tolerance`"
            }
            false => "",
        };
        tracing::warn!(
            reason = RejectionKind::Stale.as_str(),
            field = %Escaped(timestamp.source.as_str()),
            value = %at,
            age_seconds = %(age / 1_000_000_000),
            lines_left_out,
            "authentic request refused because its timestamp is outside the tolerance: check this machine's \
             clock{hint}"
        );
    }
    RejectionKind::Stale.into()
}

fn limit(tolerance: Duration) -> i128 {
    i128::try_from(tolerance.as_nanos()).unwrap_or(i128::MAX)
}

/// Returns the nanoseconds since 1970, negative before it.
fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => limit(since),
        Err(before) => -limit(before.duration()),
    }
}
