//! A request as JSON for the page. Signatures and other credentials are truncated.

use std::fmt::Debug;

use scrapest_webhook::{Delivery, EventError, scrapebadger, scrapest};
use serde_json::{Value, json};

use super::exchanges::Entry;
use crate::listen::record::CONFIDENTIAL;
use crate::sender::Sender;

/// Longer text would be useless and slow.
const SHOWN: usize = 256 * 1024;

/// A line of the list.
pub(super) fn summary(entry: &Entry) -> Value {
    let exchange = &entry.exchange;
    let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let received = exchange.recording.received;
    json!({
        "n": entry.number,
        "time": received.map(|time| time.unix_timestamp_nanos() / 1_000_000),
        "status": exchange.status,
        "reason": exchange.rejection.map(|kind| kind.as_str()),
        "kind": exchange.kind(),
        "id": exchange.id(),
        "age_ms": exchange.age().map(millis),
        "run_ms": exchange.run.as_ref().and_then(|run| run.took).map(millis),
        "took_ms": millis(exchange.took),
        "path": exchange.recording.target.split('?').next(),
        "why": entry.cause.as_ref().map(|cause| &cause.why),
    })
}

/// The details of a request.
pub(super) fn detail(
    entry: &Entry,
    attempts: &[u64],
    sender: Sender,
    signatures: &[String],
) -> Value {
    let recording = &entry.exchange.recording;
    let headers: Vec<_> = recording
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value);
            match is_confidential(name, signatures) {
                true => (name, cut(&value)),
                false => (name, value.into_owned()),
            }
        })
        .collect();
    let run = entry.exchange.run.as_ref();
    let body = &recording.body;
    let shown = body.get(..SHOWN).unwrap_or(body);
    json!({
        "summary": summary(entry),
        "method": recording.method,
        "likely": entry.cause.as_ref().map(|cause| &cause.likely),
        "headers": headers,
        "body": String::from_utf8_lossy(shown),
        "pretty": if shown.len() == body.len() { pretty(body) } else { None },
        "bytes": body.len(),
        "is_whole": recording.is_whole,
        "is_shown_whole": shown.len() == body.len(),
        "event": run.map(|run| decoded(&run.delivery, sender)),
        "attempt": run.map(|run| run.delivery.attempt()),
        "fence": run.map(|run| run.delivery.fence().to_string()),
        "key": run.map(|run| run.delivery.key().to_string()),
        "timestamp": run.and_then(|run| run.delivery.timestamp()).map(|time| time.to_string()),
        "attempts": attempts,
        "file": entry.exchange.file,
    })
}

fn is_confidential(name: &str, signatures: &[String]) -> bool {
    CONFIDENTIAL.contains(&name)
        || signatures.iter().any(|header| header.eq_ignore_ascii_case(name))
}

/// Keeps enough to recognize the value.
fn cut(value: &str) -> String {
    let start: String = value.chars().take(12).collect();
    match value.chars().count() > 12 {
        true => format!("{start}… ({} bytes, cut)", value.len()),
        false => format!("({} bytes, cut)", value.len()),
    }
}

/// Indents the JSON on the server, because a browser would round long numbers.
fn pretty(body: &[u8]) -> Option<String> {
    let mut written = Vec::with_capacity(body.len() * 2);
    let mut reader = serde_json::Deserializer::from_slice(body);
    serde_transcode::transcode(&mut reader, &mut serde_json::Serializer::pretty(&mut written))
        .ok()?;
    reader.end().ok()?;
    String::from_utf8(written).ok()
}

/// The typed event as printed by `{:#?}`, or the error.
fn decoded(delivery: &Delivery, sender: Sender) -> String {
    fn shown<T: Debug>(event: Result<T, EventError>) -> String {
        event.map_or_else(|error| format!("not decoded: {error}"), |event| format!("{event:#?}"))
    }
    match sender {
        Sender::Scrapest => shown(scrapest::Event::try_from(delivery)),
        Sender::ScrapeBadger => shown(scrapebadger::Event::try_from(delivery)),
    }
}
