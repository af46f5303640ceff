//! Checks the header in which a proxy names its client. The input is the client's own header value, after one
//! byte that selects the header and whether the proxy appends to the client's line or adds another line.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use scrapest_webhook::service::VerifiedBody;
use scrapest_webhook::{PeerAddr, ScrapestWebhookLayer, testing};
use tower::{Layer, ServiceExt};

use crate::oracle::SECRET;
use crate::receiver::now;
use crate::run;

const ALLOWED: &str = "203.0.113.9";
const OTHERS: [&str; 2] = ["198.51.100.1", "[2001:db8::1]"];

pub fn check(input: &[u8]) -> usize {
    let Some((mode, client)) = input.split_first() else { return 0 };
    run(async {
        // Only the last element, which the proxy wrote, decides: another client stays blocked, whatever it
        // writes.
        for other in OTHERS {
            let status = status(*mode, client, other).await;
            assert!(status.is_none_or(|status| status == 403), "{status:?} to {client:?}");
        }
        // A client at the allowed address is admitted, unless its own header is malformed.
        match status(*mode, client, ALLOWED).await {
            Some(200) => 1,
            status => {
                assert!(status.is_none_or(|status| status == 403), "{status:?} to {client:?}");
                0
            }
        }
    })
}

/// `None` if no client can send this value.
async fn status(mode: u8, client: &[u8], address: &str) -> Option<u16> {
    let (standard, own_line, host) = (mode & 1 == 0, mode & 2 == 0, mode & 4 == 0);
    let (name, said) = match standard {
        true if host => {
            ("forwarded", format!("for=\"{address}\";host=\"example.com\";proto=https"))
        }
        true => ("forwarded", format!("for=\"{address}\"")),
        false => ("x-forwarded-for", address.trim_matches(['[', ']']).to_owned()),
    };
    let lines = match own_line {
        true => vec![client.to_vec(), said.into_bytes()],
        false if client.is_empty() => vec![said.into_bytes()],
        false => vec![[client, b", ", said.as_bytes()].concat()],
    };
    let mut request: Request<Full<Bytes>> =
        testing::scrapest(SECRET).with_time(now()).sign().into_http("/");
    for line in lines {
        request.headers_mut().append(name, HeaderValue::from_bytes(&line).ok()?);
    }
    request.extensions_mut().insert(PeerAddr([127, 0, 0, 1].into()));
    let layer = ScrapestWebhookLayer::new(SECRET).with_clock(now).with_allowed_ips([ALLOWED]);
    let layer = layer.and_then(|layer| layer.with_trusted_proxies(["127.0.0.1"]));
    let handler = tower::service_fn(|_: Request<VerifiedBody>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let answer = layer.expect("networks").layer(handler).oneshot(request).await;
    Some(answer.unwrap_or_else(|never| match never {}).status().as_u16())
}

pub fn seeds() -> Vec<Vec<u8>> {
    let written = [
        "",
        "203.0.113.9",
        "198.51.100.1, 127.0.0.1",
        "for=203.0.113.9",
        "for=203.0.113.9;host=\"a, b\"",
        "for=\"203.0.113.9",
        "for=203.0.113.9;x=\"",
        "for=\"[2001:db8::9]:4711\";by=10.0.0.1",
        "for=unknown, for=_hidden",
        "x\\\", for=203.0.113.9;y=\"",
    ];
    let modes = 0..8_u8;
    modes.flat_map(|mode| written.map(|text| [&[mode][..], text.as_bytes()].concat())).collect()
}
