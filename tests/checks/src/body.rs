//! Checks authentic bodies.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::oracle::{Sender, signature};
use crate::receiver::Receiver;
use crate::run;

pub fn scrapest(input: &[u8]) -> usize {
    run(one(Sender::Scrapest, input))
}

pub fn scrapebadger(input: &[u8]) -> usize {
    run(one(Sender::ScrapeBadger, input))
}

async fn one(sender: Sender, input: &[u8]) -> usize {
    let receiver = Receiver::new(sender);
    let body = Bytes::copy_from_slice(input);
    let ask = async |body: &Bytes, signature: &str, id: &str| {
        let [name, ..] = sender.signature_headers() else { unreachable!() };
        let request = Request::post("/")
            .header(*name, signature)
            .header("x-scrapest-delivery-id", id)
            .header("x-delivery-id", id);
        receiver.answer(request.body(Full::new(body.clone())).unwrap()).await
    };
    let signature = signature(&[input]);
    let other = Bytes::from([input, b" "].concat());
    assert_eq!(ask(&other, &signature, "0").await.status(), 401, "not what was signed");
    assert_eq!(receiver.runs().len(), 0);

    let first = ask(&body, &signature, "1").await;
    let retried = ask(&body, &signature, "1").await;
    let replayed = ask(&body, &signature, "2").await;
    let is_test = receiver.runs().iter().any(|run| run.kind.as_deref() == Some("test"));
    let expected = match (first.status().as_u16(), receiver.runs().len(), is_test) {
        // A challenge gets the same answer each time.
        (200, 0, _) => [200, 200],
        // A test event without a time has the same bytes each time, and is deduplicated by its id.
        (204, 2, true) => [200, 204],
        (204, 1, _) => [200, 200],
        // Refused each time, by the layer or by its handler.
        (status @ 401, 0, _) | (status @ 422, 3, _) => [status, status],
        unexpected => panic!("{unexpected:?}"),
    };
    assert_eq!([retried, replayed].map(|answer| answer.status().as_u16()), expected);
    receiver.runs().len()
}
