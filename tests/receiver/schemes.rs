//! Senders with other schemes: several signatures in one header, base64, a signed header, a challenge by GET.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use data_encoding::BASE64;
use scrapest_webhook::provider::{
    Challenge, Envelope, Headers, Message, Query, Signatures, Timestamp,
};
use scrapest_webhook::{DedupBy, Provider, Secrets, Webhook, WebhookLayer};
use support::{Answer, Framework, Handler, PATH, Plain, Raw, Server};

/// Standard Webhooks, as in the example `standard_webhooks`.
#[derive(Clone, Debug, Default)]
struct Standard;

impl Provider for Standard {
    fn name(&self) -> &'static str {
        "standard"
    }

    fn signature_headers(&self) -> impl Iterator<Item = &str> {
        ["webhook-signature"].into_iter()
    }

    fn signatures(&self, value: &[u8]) -> Option<Signatures> {
        let items = value.split(|byte| *byte == b' ');
        Signatures::list(items, |item| Signatures::base64(item.strip_prefix(b"v1,")?))
    }

    fn signed_prefixes<'a>(&self, headers: Headers<'a>) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let signed = headers.get("webhook-id").zip(headers.get("webhook-timestamp"));
        signed.map(|(id, time)| [id, b".", time, b"."].concat().into()).into_iter()
    }

    fn envelope<'a>(&self, message: &Message<'a>) -> Envelope<'a> {
        let time = message.header("webhook-timestamp").map(Timestamp::parse);
        Envelope::new()
            .with_id(message.header("webhook-id"))
            .with_timestamp(time.map(|at| Timestamp::signed(at).of_attempt()))
    }

    fn dedup_by(&self) -> DedupBy {
        DedupBy::DeliveryId
    }
}

/// X, as in the example `x_crc`.
#[derive(Clone, Debug, Default)]
struct X;

impl Provider for X {
    fn name(&self) -> &'static str {
        "x"
    }

    fn signature_headers(&self) -> impl Iterator<Item = &str> {
        ["x-twitter-webhooks-signature"].into_iter()
    }

    fn signatures(&self, value: &[u8]) -> Option<Signatures> {
        Signatures::base64(value.strip_prefix(b"sha256=")?)
    }

    fn get_challenge<'a>(&self, query: Query<'a>) -> Option<Cow<'a, [u8]>> {
        query.get("crc_token")
    }

    fn answer_get_challenge(&self, tag: &[u8; 32]) -> Option<Challenge> {
        Challenge::json("response_token", &format!("sha256={}", BASE64.encode(tag)))
    }

    fn envelope<'a>(&self, _: &Message<'a>) -> Envelope<'a> {
        Envelope::new().with_insecure_missing_timestamp(true)
    }

    fn dedup_by(&self) -> DedupBy {
        DedupBy::Tag
    }
}

// The test vector of the reference libraries.
const SECRET: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl";
const ID: &str = "msg_loFOjxBNrRLzqYUf";
const TIME: u64 = 1_731_705_121;
const BODY: &str = r#"{"event_type":"ping","data":{"success":true}}"#;
const RIGHT: &str = "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=";

fn key() -> Vec<u8> {
    BASE64.decode(SECRET.trim_start_matches("whsec_").as_bytes()).unwrap()
}

fn standard() -> WebhookLayer<Standard> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(TIME);
    WebhookLayer::new(key()).with_clock(move || now)
}

fn request(id: &str, time: u64, signatures: &str, body: &str) -> Raw {
    Raw::new(body)
        .with("webhook-id", id)
        .with("webhook-timestamp", time.to_string())
        .with("webhook-signature", signatures)
}

/// Signed by the reference library for Rust.
fn signed(id: &str, time: u64, body: &str) -> String {
    let reference = standardwebhooks::Webhook::new(SECRET).unwrap();
    reference.sign(id, i64::try_from(time).unwrap(), body.as_bytes()).unwrap()
}

async fn standard_webhooks_are_accepted_as_the_reference_signs_them<F: Framework>() {
    assert_eq!(signed(ID, TIME, BODY), RIGHT);
    let handler = Handler::ok();
    let server = F::serve(standard(), handler.clone()).await;
    assert_eq!(server.raw(&request(ID, TIME, RIGHT, BODY)).await.status, 200);
    let delivery = handler.deliveries().pop().unwrap();
    assert_eq!(delivery.id(), Some(ID));
    assert_eq!(delivery.timestamp().unwrap().unix_timestamp().unsigned_abs(), TIME);
    for (age, status) in [(300, 200), (301, 401)] {
        let (id, time) = (&*format!("msg_{age}"), TIME - age);
        let answer = server.raw(&request(id, time, &signed(id, time, BODY), BODY)).await;
        assert_eq!(answer.status, status, "{age} s old");
    }
    // The id and the time are signed.
    for changed in [
        request("msg_2", TIME, RIGHT, BODY),
        request(ID, TIME + 1, RIGHT, BODY),
        request(ID, TIME, RIGHT, "{}"),
        request(ID, TIME, RIGHT, BODY).without("webhook-id"),
        request(ID, TIME, RIGHT, BODY).without("webhook-timestamp"),
    ] {
        assert_eq!(server.raw(&changed).await.status, 401);
    }
    // A retry with a new time has the same id.
    let retry = request(ID, TIME + 5, &signed(ID, TIME + 5, BODY), BODY);
    assert_eq!(server.raw(&retry).await.status, 200);
    assert_eq!(handler.runs(), 2);
}

async fn one_valid_signature_of_up_to_four_is_enough_and_others_are_refused_alike<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(standard(), handler.clone()).await;
    let wrong = format!("v1,{}", BASE64.encode(&[7; 32]));
    let list = |items: &[&str]| items.join(" ");
    let (w, r) = (&*wrong, RIGHT);
    let refused = server.raw(&request(ID, TIME, w, BODY)).await.without_date();
    assert_eq!((refused.status, refused.text().as_str()), (401, "unauthorized"));
    let mut runs = 0;
    for (items, right) in [
        (vec![r, w], true),
        (vec![w, r], true),
        (vec![w, w, w, r], true),
        (vec![r, r, r, r], true),
        (vec![w, w, w, w], false),
        (vec![w, w, w, w, r], false),
        (vec![r, w, w, w, w], false),
        (vec![r, "v1a,AAAA"], false),
        (vec![r, &r[3..]], false),
        (vec![r, "sha256=00"], false),
        (vec![r, "", r], false),
    ] {
        let id = format!("msg_{runs}");
        let of_id = signed(&id, TIME, BODY);
        let items: Vec<_> = items.iter().map(|item| item.replace(&r[3..], &of_id[3..])).collect();
        let items: Vec<_> = items.iter().map(String::as_str).collect();
        let answer = server.raw(&request(&id, TIME, &list(&items), BODY)).await.without_date();
        assert_eq!(answer == refused, !right, "{items:?}");
        runs += usize::from(right);
        assert_eq!(handler.runs(), runs, "{items:?}");
    }
    for twice in [
        request(ID, TIME, r, BODY).with("webhook-signature", r),
        request(ID, TIME, r, BODY).with("webhook-signature", w),
        request(ID, TIME, &r.replace('=', ""), BODY),
        request(ID, TIME, &r.replace('/', "_"), BODY),
        request(ID, TIME, &format!("{r} "), BODY)
            .replacing("webhook-signature", format!("{r},{r}")),
    ] {
        assert_eq!(server.raw(&twice).await.without_date(), refused);
    }
}

async fn each_signature_is_compared_with_each_secret<F: Framework>() {
    let secrets =
        ["first-of-the-secrets-0001", "second-of-the-secrets-02", "third-of-the-secrets-003"];
    let [a, b, c] = secrets;
    let layer = WebhookLayer::<Standard>::from_secrets(Secrets::new([a, b, c]).unwrap());
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(TIME);
    let handler = Handler::ok();
    let server = F::serve(layer.with_clock(move || now), handler.clone()).await;
    let sign = |secret: &str, id: &str| {
        let reference = standardwebhooks::Webhook::from_bytes(secret.into()).unwrap();
        reference.sign(id, i64::try_from(TIME).unwrap(), BODY.as_bytes()).unwrap()
    };
    for (place, secret) in secrets.iter().enumerate() {
        for before in 0..4 {
            let id = format!("msg_{place}_{before}");
            let mut items = vec![sign("another-secret-altogether", &id); before];
            items.push(sign(secret, &id));
            let answer = server.raw(&request(&id, TIME, &items.join(" "), BODY)).await;
            assert_eq!(answer.status, 200, "{secret}, after {before}");
        }
    }
    assert_eq!(handler.runs(), 12);
}

async fn get(server: &Server, query: &str) -> Answer {
    let text =
        format!("GET {PATH}{query} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    server.send_raw(text.as_bytes()).await.without_date()
}

/// The values are from Python's `hmac`.
async fn a_challenge_by_get_is_answered_with_a_signature<F: Framework>() {
    let handler = Plain::new(|_| async { 200 });
    let secrets = Secrets::new(["consumer-secret-0123456789", "consumer-secret-of-before"]);
    let layer = WebhookLayer::<X>::from_secrets(secrets.unwrap());
    let server = F::serve_plain(layer, handler.clone()).await;
    let expected = r#"{"response_token":"sha256=Cmu9dz79AMomOiSNGleNFjdWMtY+qPLz5GHJiYLoCxk="}"#;
    for query in ["?crc_token=MDEzZTI5OWY&nonce=1", "?a=b&crc_token=MDEzZTI5OW%59"] {
        let answer = get(&server, query).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, expected), "{query}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    // The layer never signs a query that could be the body of an event.
    let long = format!("?crc_token={}", "a".repeat(1_025));
    for query in [
        "",
        "?",
        "?crc_token",
        "?crc_token=",
        "?crc_token=a&crc_token=a",
        "?crc_token=%7B%22for_user_id%22:1%7D",
        "?crc_token={}",
        "?crc_token=[1]",
        "?crc_token=%221%22",
        "?crc_token=a.b",
        "?crc_token=a%00",
        "?crc_token=%20a",
        "?token=MDEzZTI5OWY",
        &long,
    ] {
        let answer = get(&server, query).await;
        assert_eq!((answer.status, answer.text().as_str()), (405, "expected POST"), "{query:.50}");
    }
}

async fn a_get_is_refused_if_the_sender_has_no_get_challenge<F: Framework>() {
    let server = F::serve_plain(standard(), Plain::new(|_| async { 200 })).await;
    assert_eq!(get(&server, "?crc_token=a").await.status, 405);
    // An unknown webhook has no secret to answer with.
    let known = Webhook::new("/known", Secrets::new(["a secret of one webhook"]).unwrap());
    let layer = WebhookLayer::<X>::for_webhooks(move |webhook| {
        (webhook.path() == "/known").then(|| known.clone())
    });
    let server = F::serve_plain(layer, Plain::new(|_| async { 200 })).await;
    assert_eq!(get(&server, "?crc_token=a").await.status, 401);
}

async fn a_signature_in_base64_is_accepted<F: Framework>() {
    let handler = Handler::ok();
    let layer = WebhookLayer::<X>::new("consumer-secret-0123456789");
    let server = F::serve(layer, handler.clone()).await;
    let body = r#"{"for_user_id":"1"}"#;
    let right = "sha256=HvngnI9kQCzfNCg47Q0kOoZqxxlkVNdcIB5m8MCaJvs=";
    let header = "x-twitter-webhooks-signature";
    for (signature, body, status) in [
        (right, body, 200),
        (right, "{}", 401),
        (&right[7..], body, 401),
        (&right[..right.len() - 1], body, 401),
        ("sha256=HvngnI9kQCzfNCg47Q0kOoZqxxlkVNdcIB5m8MCaJvt=", body, 401),
    ] {
        let answer = server.raw(&Raw::new(body).with(header, signature)).await;
        assert_eq!(answer.status, status, "{signature} {body}");
    }
    assert_eq!(handler.runs(), 1);
}

support::for_each_framework! {
    standard_webhooks_are_accepted_as_the_reference_signs_them,
    one_valid_signature_of_up_to_four_is_enough_and_others_are_refused_alike,
    each_signature_is_compared_with_each_secret,
    a_challenge_by_get_is_answered_with_a_signature,
    a_get_is_refused_if_the_sender_has_no_get_challenge,
    a_signature_in_base64_is_accepted,
}
