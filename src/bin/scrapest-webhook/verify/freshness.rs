//! Finds which timestamp is not fresh, by how much, and when it was or will be.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use scrapest_webhook::RejectionKind;
use time::OffsetDateTime;

use super::trial::{Trial, Verdict};
use super::units;
use crate::moment;

/// The maximum that the crate allows.
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// Explains why a correctly signed request is not fresh. It tries at which times, and without which header, the
/// request would have been accepted.
pub(super) async fn explain(trial: &Trial) -> Result<(String, Vec<String>)> {
    for name in trial.received.headers.keys() {
        let mut without = trial.clone();
        without.received.headers.remove(name);
        if without.run().await?.is_valid() {
            let value = trial
                .received
                .headers
                .get(name)
                .map(|value| value.as_bytes().escape_ascii().to_string());
            return Ok((
                format!(
                    "the signature is right and the time in the body is fresh, but the header {name} says {}",
                    value.unwrap_or_default()
                ),
                vec![units::of_header(trial, name).await?.unwrap_or_else(|| format!(
                    "{name} is not signed: a proxy or a replay has changed it, or it is in an unknown format"
                ))],
            ));
        }
    }
    let mut lenient = trial.clone();
    lenient.checks.past_tolerance = Some(TEN_YEARS);
    lenient.checks.future_tolerance = Some(TEN_YEARS);
    let timestamp = match lenient.run().await? {
        Verdict::Valid(delivery) => delivery.timestamp().map(SystemTime::from),
        _ => None,
    };
    let Some(timestamp) = timestamp else {
        return Ok((
            "the signature is right, but a timestamp cannot be read, or is more than ten years off"
                .to_owned(),
            vec![units::of_body(trial).await?.unwrap_or_else(|| {
                "the sender writes its timestamps in another form than this crate expects"
                    .to_owned()
            })],
        ));
    };
    let ahead = timestamp > trial.at;
    let off =
        if ahead { timestamp.duration_since(trial.at) } else { trial.at.duration_since(timestamp) };
    let off = humantime::format_duration(Duration::from_secs(off.unwrap_or_default().as_secs()));
    let (at, written) = (moment::show(trial.at), moment::show(timestamp));
    let (mut why, flag, until) = match ahead {
        false => (
            format!("the signature is right, but its timestamp {written} was {off} old at {at}"),
            "--past-tolerance",
            "until",
        ),
        true => (
            format!("the signature is right, but its timestamp {written} was {off} ahead of {at}"),
            "--future-tolerance",
            "from",
        ),
    };
    let whole = whole_second(timestamp, ahead);
    if let Some(edge) = edge(trial, whole).await? {
        let tolerance = if ahead { whole.duration_since(edge) } else { edge.duration_since(whole) };
        let tolerance = humantime::format_duration(tolerance.unwrap_or_default());
        why +=
            &format!("; it would have passed {until} {} ({flag} {tolerance})", moment::show(edge));
    }
    let cause = match ahead {
        true => format!("this machine's clock is behind, or the sender's ahead, by about {off}"),
        false => format!(
            "an old request, sent or checked late (check it as of another time with --at); if it had just been sent, \
             this machine's clock is ahead, or the sender's behind, by about {off}"
        ),
    };
    Ok((why, vec![cause]))
}

/// The time nearest to the time of the check at which the request passes, to the second.
async fn edge(trial: &Trial, timestamp: SystemTime) -> Result<Option<SystemTime>> {
    let passes = async |at: SystemTime| -> Result<bool> {
        let verdict = Trial { at, ..trial.clone() }.run().await?;
        Ok(!matches!(verdict, Verdict::Refused(RejectionKind::Stale)))
    };
    if !passes(timestamp).await? {
        return Ok(None);
    }
    let ahead = timestamp > trial.at;
    let away = |seconds| match ahead {
        true => timestamp - Duration::from_secs(seconds),
        false => timestamp + Duration::from_secs(seconds),
    };
    let off =
        if ahead { timestamp.duration_since(trial.at) } else { trial.at.duration_since(timestamp) };
    // It passes at a distance of `inside` seconds from its timestamp, but not at `outside`.
    let (mut inside, mut outside) = (0, off.unwrap_or_default().as_secs() + 1);
    while outside - inside > 1 {
        let middle = inside + (outside - inside) / 2;
        match passes(away(middle)).await? {
            true => inside = middle,
            false => outside = middle,
        }
    }
    Ok(Some(away(inside)))
}

/// Rounds towards the time of the check, because the request may have a second timestamp in the same second,
/// without a fraction.
fn whole_second(time: SystemTime, up: bool) -> SystemTime {
    let time = OffsetDateTime::from(time);
    let part = Duration::from_nanos(time.nanosecond().into());
    let whole = time - part;
    match up && !part.is_zero() {
        // The last second that can be represented has no successor.
        true => whole.checked_add(time::Duration::SECOND).unwrap_or(whole).into(),
        false => whole.into(),
    }
}
