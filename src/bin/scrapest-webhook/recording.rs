//! A request as it was received, stored in a file as an HTTP/1.1 message (RFC 9112). It can be opened in an
//! editor, passed to `verify` and `send --file`, and used as a fixture in a test.
//!
//! ```text
//! POST /webhooks HTTP/1.1
//! content-type: application/json
//! x-scrapest-signature: sha256=…
//! scrapest-webhook-received: 2026-11-21T23:39:05.123Z
//! content-length: 2
//!
//! {}
//! ```
//!
//! The headers of the time, the answer and the length are added here. The body is everything after the blank line,
//! to the last byte, however it was framed on the wire.

use anyhow::{Context, Result, bail, ensure};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// When the request was received, by the clock of the machine that recorded it.
const RECEIVED: &str = "scrapest-webhook-received";

/// The status of the response and, if the layer refused the request, the reason.
const ANSWER: &str = "scrapest-webhook-answer";

/// Marks a body that was not read to its end.
const CUT: &str = "scrapest-webhook-cut";

/// Headers that describe the connection and not the request (RFC 9112 section 6.1, RFC 9110 section 7.6.1), and
/// headers that are replaced.
const NOT_KEPT: &[&str] =
    &["connection", "transfer-encoding", "content-length", RECEIVED, ANSWER, CUT];

/// Many more than either sender sends.
const MAX_HEADERS: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recording {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case, in the order received.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) received: Option<OffsetDateTime>,
    /// For example `503 too_many_runs`.
    pub(crate) answer: Option<String>,
    /// Whether the body was read to its end.
    pub(crate) is_whole: bool,
    pub(crate) body: Vec<u8>,
}

impl Recording {
    /// Whether these bytes are a recording and not a bare body. No JSON starts like a recording.
    pub(crate) fn is_one(bytes: &[u8]) -> bool {
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        line.strip_suffix(b"\r").unwrap_or(line).ends_with(b" HTTP/1.1")
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let head = match request.parse(bytes).context("is not a recorded request")? {
            httparse::Status::Complete(head) => head,
            httparse::Status::Partial => {
                bail!("is a recorded request that breaks off in its headers")
            }
        };
        let received =
            request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(RECEIVED));
        let received = received
            .map(|header| {
                OffsetDateTime::parse(std::str::from_utf8(header.value)?, &Rfc3339)
                    .map_err(anyhow::Error::from)
            })
            .transpose()
            .with_context(|| format!("its header {RECEIVED} is not an RFC 3339 time"))?;
        let length = request
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let body = bytes[head..].to_vec();
        if let Some(length) = length {
            let said = std::str::from_utf8(length.value).unwrap_or_default();
            ensure!(
                said == body.len().to_string(),
                "its body has {} bytes, but its content-length says {said}: the file was changed or cut after it \
                 was recorded",
                body.len()
            );
        }
        let headers = request
            .headers
            .iter()
            .map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec()));
        Ok(Self {
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            headers: headers.filter(|(name, _)| !NOT_KEPT.contains(&name.as_str())).collect(),
            received,
            answer: request
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(ANSWER))
                .map(|header| String::from_utf8_lossy(header.value).into_owned()),
            is_whole: !request.headers.iter().any(|header| header.name.eq_ignore_ascii_case(CUT)),
            body,
        })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut line = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        for (name, value) in &self.headers {
            if !NOT_KEPT.contains(&name.as_str()) {
                line(name, value);
            }
        }
        if let Some(received) = self.received.and_then(|time| time.format(&Rfc3339).ok()) {
            line(RECEIVED, received.as_bytes());
        }
        if let Some(answer) = &self.answer {
            line(ANSWER, answer.as_bytes());
        }
        if !self.is_whole {
            line(CUT, b"what follows is not all of it");
        }
        line("content-length", self.body.len().to_string().as_bytes());
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use time::UtcDateTime;

    use super::*;

    fn recording() -> impl Strategy<Value = Recording> {
        // Without whitespace around the value, as hyper returns it.
        let value = vec(prop_oneof![0x21..0x7f_u8, 0x80..=0xff_u8], 0..40);
        let headers = vec(("x-[a-z0-9-]{1,20}", value), 0..8);
        let received = proptest::option::of(0_i64..253_402_300_799_000_000);
        let body = (any::<bool>(), vec(any::<u8>(), 0..2_000));
        ("[A-Z]{1,7}", "/[!-~]{0,40}", headers, received, body).prop_map(
            |(method, target, headers, received, (is_whole, body))| Recording {
                method,
                target,
                headers,
                received: received.map(|micros| {
                    let nanos = i128::from(micros) * 1_000;
                    UtcDateTime::from_unix_timestamp_nanos(nanos).unwrap().into()
                }),
                answer: None,
                is_whole,
                body,
            },
        )
    }

    proptest! {
        #[test]
        fn a_written_recording_can_be_read_back(recording in recording()) {
            let bytes = recording.to_bytes();
            prop_assert!(Recording::is_one(&bytes));
            prop_assert_eq!(Recording::parse(&bytes).unwrap(), recording);
        }

        #[test]
        fn arbitrary_bytes_never_cause_a_panic(bytes in vec(any::<u8>(), 0..300), recording in recording(), at in any::<prop::sample::Index>()) {
            _ = Recording::parse(&bytes);
            let whole = recording.to_bytes();
            let cut = &whole[..at.index(whole.len())];
            // A truncated recording is an error and never a shorter request.
            prop_assert!(Recording::parse(cut).is_err());
        }
    }

    /// A recording with some changed bytes: an attacker's request, or an editor's mistake.
    fn changed() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\r\n: \t\0\x7f".to_vec())];
        let changes = vec((any::<prop::sample::Index>(), byte, 0..3_u8), 0..6);
        (recording(), changes).prop_map(|(recording, changes)| {
            let mut bytes = recording.to_bytes();
            for (at, byte, how) in changes {
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            bytes
        })
    }

    proptest! {
        /// Data that was read never becomes another header or another request when it is written again.
        #[test]
        fn a_recording_read_from_any_bytes_round_trips(bytes in changed()) {
            if let Ok(recording) = Recording::parse(&bytes) {
                prop_assert_eq!(Recording::parse(&recording.to_bytes()).unwrap(), recording);
            }
        }
    }

    #[test]
    fn a_bare_body_is_not_a_recording() {
        for body in ["", "{}", "[1]\n", "{\n  \"a\": \" HTTP/1.1\"\n}", "HTTP/1.1"] {
            assert!(!Recording::is_one(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn connection_headers_are_not_kept() {
        let text = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nX-Own: 1\r\n\r\n{}";
        let recording = Recording::parse(text.as_bytes()).unwrap();
        assert_eq!(recording.headers, [("x-own".to_owned(), b"1".to_vec())]);
    }
}
