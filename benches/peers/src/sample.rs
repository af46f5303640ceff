//! The deliveries: the sender's own sample without whitespace, each with a new id, tweet and time.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::Request;
use scrapest_webhook::testing::{self, SignedRequest};
use time::OffsetDateTime;
use time::macros::format_description;

pub const SECRET: &str = "whsec_0123456789abcdef01234567";
/// The length of the sample.
pub const SHORTEST: usize = 476;

const SAMPLE: &str = include_str!("../../../tests/fixtures/scrapebadger-tweet.json");
const TEXT: &str = "The future is electric...";

/// A body of `bytes` bytes: the sample with a longer text.
pub fn body(bytes: usize) -> Bytes {
    static NUMBER: AtomicU64 = AtomicU64::new(1_000_000_000_000_000_000);
    let tweet = NUMBER.fetch_add(1, Ordering::Relaxed).to_string();
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let now = OffsetDateTime::now_utc().format(format).unwrap();
    let text = format!("{TEXT}{}", "x".repeat(bytes - SHORTEST));
    let body = SAMPLE.lines().map(str::trim_start).collect::<String>().replace("\": ", "\":");
    let body = body
        .replace("1234567890123456789", &tweet)
        .replace("2026-03-04T12:00:00", &now)
        .replace(TEXT, &text);
    assert_eq!(body.len(), bytes);
    body.into()
}

/// Signed by the sender's scheme.
pub fn signed(bytes: usize) -> SignedRequest {
    testing::scrapebadger(SECRET).with_body(body(bytes)).sign()
}

/// The request with the signature under another header name, and with additional headers of the sender.
pub fn request<B: From<Bytes>>(
    signed: SignedRequest,
    signature: &str,
    more: &[(&str, String)],
) -> Request<B> {
    let mut request = Request::post("/");
    for (name, value) in signed.headers() {
        let name = if name == "x-scrapebadger-signature" { signature } else { name };
        request = request.header(name, value);
    }
    for (name, value) in more {
        request = request.header(*name, value);
    }
    request.body(signed.body().clone().into()).unwrap()
}

/// A fresh key of a record. Its last 8 bytes identify the webhook. With random ones each key would belong to
/// another webhook, and a full store would have to weigh it against all others.
pub fn key_of_one_webhook() -> [u8; 32] {
    let mut key = [0; 32];
    key[..24].copy_from_slice(&rand::random::<[u8; 24]>());
    key
}
