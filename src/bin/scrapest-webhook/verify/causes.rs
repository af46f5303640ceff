//! Finds the likely cause of a refusal, by trying variants of the request that would be accepted.

use anyhow::Result;
use data_encoding::{BASE64, HEXLOWER};
use http::HeaderName;
use scrapest_webhook::{RejectionKind, Secret};

use super::secrets::{self, RawSecret};
use super::trial::Trial;
use super::{Refusal, body, freshness};

pub(super) async fn find(
    trial: &Trial,
    check: RejectionKind,
    raw: &[RawSecret],
) -> Result<Refusal> {
    let (why, causes) = match check {
        RejectionKind::MissingSignature => missing_signature(trial).await?,
        RejectionKind::RepeatedSignature => repeated_signature(trial),
        RejectionKind::MalformedSignature => malformed_signature(trial).await?,
        RejectionKind::WrongSignature if trial.received.is_cut => (
            format!(
                "its body is incomplete in the recording ({} bytes), so its signature cannot be checked",
                trial.received.body.len()
            ),
            vec!["the receiver refused it before it had read the body: the answer in the name of \
                  the recording says why"
                .to_owned()],
        ),
        RejectionKind::WrongSignature => wrong_signature(trial, raw).await?,
        RejectionKind::Stale => freshness::explain(trial).await?,
        RejectionKind::NoSignedTimestamp => (
            "the signature is right, but no timestamp is signed: the body has none".to_owned(),
            vec!["the body is not an event of this sender, or the sender writes its timestamp elsewhere"
                .to_owned()],
        ),
        RejectionKind::MethodNotAllowed => {
            ("the method is not POST".to_owned(), vec!["this is not a delivery".to_owned()])
        }
        RejectionKind::ContentEncoding => (
            "the request has a content-encoding, and neither sender encodes its bodies".to_owned(),
            vec!["a proxy on the way compresses the body: switch that off".to_owned()],
        ),
        RejectionKind::BodyTooLarge => (
            format!(
                "the body or its content-length exceeds --max-body; the body has {} bytes",
                trial.received.body.len()
            ),
            vec!["neither sender sends more than 1 MiB".to_owned()],
        ),
        other => (format!("the receiver would have answered {}", other.status()), Vec::new()),
    };
    Ok(Refusal { check, why, causes })
}

async fn missing_signature(trial: &Trial) -> Result<(String, Vec<String>)> {
    let found: Vec<_> = trial.received.headers.keys().map(HeaderName::as_str).collect();
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    let why =
        format!("expected the header {}; found: {found}", trial.signature_headers().join(" or "));
    let other = Trial { sender: trial.sender.other(), ..trial.clone() };
    let cause = match other.run().await?.is_signed() {
        true => format!("it is a request of the other sender: --sender {}", other.sender.name()),
        false
            if other
                .signature_headers()
                .iter()
                .any(|name| trial.received.headers.contains_key(name)) =>
        {
            format!(
                "it carries the signature header of the other sender: --sender {}",
                other.sender.name()
            )
        }
        false => {
            "the header was not given (--header), a proxy removed it, or the recording was made \
                  without signatures"
                .to_owned()
        }
    };
    Ok((why, vec![cause]))
}

fn repeated_signature(trial: &Trial) -> (String, Vec<String>) {
    let names = trial.signature_headers();
    let count: usize =
        names.iter().map(|name| trial.received.headers.get_all(name).iter().count()).sum();
    (
        format!("expected one header {}; found {count}", names.join(" or ")),
        vec!["a proxy adds a header of its own, or the same one was given twice".to_owned()],
    )
}

async fn malformed_signature(trial: &Trial) -> Result<(String, Vec<String>)> {
    let names = trial.signature_headers();
    let header = names.iter().find_map(|name| Some((name, trial.received.headers.get(name)?)));
    let Some((name, value)) = header else {
        return missing_signature(trial).await;
    };
    let why = format!(
        "expected `sha256=` and 64 hexadecimal digits (71 bytes) in {name}; found {} bytes of another shape",
        value.len()
    );
    let text = String::from_utf8_lossy(value.as_bytes());
    let bare = text.trim_matches(|char: char| char.is_whitespace() || char == '"' || char == '\'');
    let digits =
        bare.get(..7).filter(|name| name.eq_ignore_ascii_case("sha256=")).map(|_| &bare[7..]);
    let tag = BASE64.decode(digits.unwrap_or(bare).as_bytes()).unwrap_or_default();
    let candidates = [
        (format!("sha256={bare}"), "`sha256=` is missing before the digits"),
        (bare.to_owned(), "there are quotes or spaces around the value"),
        (
            format!("sha256={}", digits.unwrap_or_default()),
            "the name of the algorithm is written in another case: expected `sha256=`",
        ),
        (
            format!("sha256={}", HEXLOWER.encode(&tag)),
            "the signature is in base64: expected hexadecimal digits",
        ),
    ];
    for (candidate, cause) in candidates {
        let mut other = trial.clone();
        let header = (name.parse::<HeaderName>(), candidate.parse());
        if let (Ok(name), Ok(value)) = header {
            other.received.headers.insert(name, value);
            if other.run().await?.is_signed() {
                return Ok((why, vec![cause.to_owned()]));
            }
        }
    }
    Ok((why, vec!["the value was cut, or is the signature of another scheme".to_owned()]))
}

/// The length that the request declares for its body.
fn announced(trial: &Trial) -> Option<usize> {
    trial.received.headers.get("content-length")?.to_str().ok()?.parse().ok()
}

/// Reports a missing or incomplete body, which can be seen without the signature.
fn length(trial: &Trial) -> Option<String> {
    let length = trial.received.body.len();
    match announced(trial) {
        Some(announced) if announced > length => Some(format!(
            "the body was cut: content-length says {announced} bytes, and {length} are here"
        )),
        _ if length == 0 => Some(
            "the body is empty: it was read before it arrived here, but its bytes were signed"
                .to_owned(),
        ),
        _ => None,
    }
}

async fn wrong_signature(trial: &Trial, raw: &[RawSecret]) -> Result<(String, Vec<String>)> {
    let why =
        "the signature was made for other bytes than this body, or with another secret".to_owned();
    let added = announced(trial).and_then(|length| trial.received.body.get(..length));
    let added =
        added.map(|body| ("bytes were added after the end of the body".to_owned(), body.to_vec()));
    for (cause, body) in added.into_iter().chain(body::variants(&trial.received.body)) {
        let mut other = trial.clone();
        other.received.body = body.into();
        if other.run().await?.is_signed() {
            return Ok((why, vec![cause]));
        }
    }
    for (cause, secret) in raw.iter().flat_map(|secret| secrets::meant(secret)) {
        let other = Trial { secrets: vec![Secret::from(&**secret)], ..trial.clone() };
        // A value that is too short for a secret is an error, not a cause.
        if other.run().await.is_ok_and(|verdict| verdict.is_signed()) {
            return Ok((why, vec![cause]));
        }
    }
    if let Some(cause) = length(trial) {
        return Ok((why, vec![cause]));
    }
    Ok((
        why,
        vec![
            "most likely the secret: it is not the secret of this webhook, or it was replaced since then"
                .to_owned(),
            "otherwise the body: these are not the raw bytes as received".to_owned(),
        ],
    ))
}
