//! Step 4: that the sender wrote them lately.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

use super::signature::Signed;
use crate::provider::{Envelope, Provider};
use crate::receiver::Receiver;
use crate::rejection::{RejectionKind, Reply};

/// Every timestamp that the request names is fresh, and at least one of them is signed, unless the
/// sender's settings or the kind of the request say otherwise. Gives the latest signed one.
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
            tracing::warn!(
                reason = RejectionKind::Stale.as_str(),
                "authentic request refused, its timestamp is unreadable"
            );
            return Err(RejectionKind::Stale.into());
        };
        // In i128 no difference of two times overflows.
        let age = now - at.unix_timestamp_nanos();
        if age > limit(past) || -age > limit(receiver.future_tolerance()) {
            let seconds = age / 1_000_000_000;
            tracing::warn!(
                reason = RejectionKind::Stale.as_str(),
                age_seconds = %seconds,
                "authentic request refused, its timestamp is outside the tolerance: is this clock right?"
            );
            return Err(RejectionKind::Stale.into());
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

fn limit(tolerance: Duration) -> i128 {
    i128::try_from(tolerance.as_nanos()).unwrap_or(i128::MAX)
}

/// Since 1970; also of a clock that stands before it.
fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => limit(since),
        Err(before) => -limit(before.duration()),
    }
}
