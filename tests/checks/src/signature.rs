//! Checks the signature header. The input is lines of `name: value`; other headers are ignored.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::Full;

use crate::oracle::Sender;
use crate::receiver::Receiver;
use crate::{run, seeds};

pub fn check(input: &[u8]) -> usize {
    run(async {
        let mut runs = 0;
        for sender in Sender::ALL {
            runs += one(sender, input).await;
        }
        runs
    })
}

/// A request that is otherwise genuine runs if and only if its signature is correct.
async fn one(sender: Sender, input: &[u8]) -> usize {
    let mut request =
        Request::post("/").body(Full::new(Bytes::from(seeds::event(sender)))).unwrap();
    for (name, value) in input.split(|byte| *byte == b'\n').filter_map(header) {
        if Sender::ALL.iter().any(|any| any.signature_headers().contains(&name.as_str())) {
            request.headers_mut().append(name, value);
        }
    }
    let signed = sender.true_signature(request.headers(), &seeds::event(sender)).is_some();
    let receiver = Receiver::new(sender);
    let status = receiver.answer(request).await.status().as_u16();
    assert_eq!(status, if signed { 204 } else { 401 });
    assert_eq!(receiver.runs().len(), usize::from(signed));
    receiver.runs().len()
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let value = line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..]);
    Some((HeaderName::from_bytes(&line[..colon]).ok()?, HeaderValue::from_bytes(value).ok()?))
}
