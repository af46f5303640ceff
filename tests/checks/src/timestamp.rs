//! Checks timestamps, all of them signed. The input is the value of Scrapest's header, a line feed, and the
//! time in the body. An empty part is left out.

use std::fmt;

use bytes::Bytes;
use chrono::DateTime;
use http::{HeaderValue, Request};
use http_body_util::Full;
use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use crate::oracle::{Sender, signature};
use crate::receiver::{NOW, Receiver};
use crate::run;

/// In seconds. Each is one more than its limit, because libraries disagree about leap seconds.
const FUTURE: i64 = 300 + 1;
const EVENT: i64 = 3_600 + 1;
const ATTEMPT: i64 = 300 + 1;

pub fn check(input: &[u8]) -> usize {
    let line = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (header, field) = (&input[..line], input.get(line + 1..).unwrap_or_default());
    let header = (!header.is_empty()).then_some(header);
    run(async {
        let body_signed = scrapest(header, field, false).await;
        let both_signed = scrapest(header, field, true).await;
        body_signed + both_signed + scrapebadger(field).await
    })
}

fn body(start: &str, name: &str, field: &[u8]) -> Vec<u8> {
    let mut body = start.as_bytes().to_vec();
    if !field.is_empty() {
        body.extend_from_slice(format!(r#","{name}":"#).as_bytes());
        body.extend_from_slice(field);
    }
    body.push(b'}');
    body
}

async fn scrapest(header: Option<&[u8]>, field: &[u8], header_signed: bool) -> usize {
    let body = body(r#"{"event":"mention.created""#, "timestamp", field);
    let Ok(header_value) = header.map(HeaderValue::from_bytes).transpose() else { return 0 };
    let signature = match header {
        Some(header) if header_signed => signature(&[header, b".", &body]),
        _ => signature(&[&body]),
    };
    let mut request = Request::post("/").header("x-scrapest-signature", signature);
    if let Some(value) = header_value {
        request = request.header("x-scrapest-timestamp", value);
    }
    let past = if header_signed { ATTEMPT } else { EVENT };
    let of_header =
        header.map(|header| is_fresh(std::str::from_utf8(header).ok().and_then(written), past));
    let is_fresh = |of_body: Option<bool>| {
        let signed = (header_signed && header.is_some()) || of_body.is_some();
        signed && of_header != Some(false) && of_body != Some(false)
    };
    // A body that is not JSON may also count as having no time.
    let is_json = serde_json::from_slice::<Value>(&body).is_ok();
    let fresh = is_fresh(of_field(&body, "timestamp")) || (!is_json && is_fresh(None));
    expect(Sender::Scrapest, request, body, fresh).await
}

async fn scrapebadger(field: &[u8]) -> usize {
    let body = body(r#"{"type":"other""#, "detected_at", field);
    let request = Request::post("/").header("x-scrapebadger-signature", signature(&[&body]));
    let of_body = of_field(&body, "detected_at");
    expect(Sender::ScrapeBadger, request, body, of_body == Some(true)).await
}

async fn expect(
    sender: Sender,
    request: http::request::Builder,
    body: Vec<u8>,
    fresh: bool,
) -> usize {
    let receiver = Receiver::new(sender);
    let answer = receiver.answer(request.body(Full::new(Bytes::from(body))).unwrap()).await;
    let status = answer.status().as_u16();
    assert!(fresh || status == 401, "{status} to what is not fresh");
    for run in receiver.runs() {
        // A field that was inserted beside the time may turn it into a test event.
        assert!(fresh || run.kind.as_deref() == Some("test"), "not fresh, and yet it ran");
    }
    receiver.runs().len()
}

/// `None` if there is no time, otherwise whether it is fresh.
fn of_field(body: &[u8], name: &str) -> Option<bool> {
    let at = match first_field(body, name)? {
        Value::String(text) => written(&text),
        Value::Number(number) => number.to_string().parse().ok().map(seconds),
        _ => None,
    };
    Some(is_fresh(at, EVENT))
}

/// The first field of this name that is not `null`, in the part of the body that is JSON; the rest need not be.
fn first_field(body: &[u8], name: &str) -> Option<Value> {
    struct First<'a>(&'a str, &'a mut Option<Value>);

    impl<'de> Visitor<'de> for First<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some((name, value)) = map.next_entry::<String, Value>()? {
                if name == self.0 && !value.is_null() {
                    *self.1 = Some(value);
                    break;
                }
            }
            Ok(())
        }
    }

    let mut first = None;
    _ = serde_json::Deserializer::from_slice(body).deserialize_map(First(name, &mut first));
    first
}

/// Parses digits, or RFC 3339 with or without the colon in the offset.
fn written(text: &str) -> Option<i64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(seconds);
    }
    let parse = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp());
    parse(text).or_else(|| {
        let (before, minutes) = text.split_at_checked(text.len().checked_sub(2)?)?;
        parse(&format!("{before}:{minutes}"))
    })
}

/// Converts smaller units to seconds: their values are far from 1970.
fn seconds(mut number: i128) -> i64 {
    for _ in 0..3 {
        if number.unsigned_abs() >= 100_000_000_000 {
            number = number.div_euclid(1_000);
        }
    }
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn is_fresh(at: Option<i64>, past: i64) -> bool {
    let now = NOW.cast_signed();
    at.is_some_and(|at| (now - past..=now + FUTURE).contains(&at))
}
