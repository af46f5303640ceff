//! Seed inputs: the fixtures, and requests that the crate signs as a sender would.

use scrapest_webhook::testing::{self, SignedRequest};

use crate::oracle::{SECRET, Sender, signature};
use crate::receiver::now;

macro_rules! fixtures {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../fixtures/", $name, ".json")))),*]
    };
}

const FIXTURES: [(&str, &str); 15] = fixtures![
    "scrapebadger-filter-rule-tweet",
    "scrapebadger-test",
    "scrapebadger-tweet-detected",
    "scrapebadger-tweet",
    "scrapest-challenge",
    "scrapest-mention-created",
    "scrapest-source-event-discord",
    "scrapest-source-event-fast-x",
    "scrapest-source-event-telegram",
    "scrapest-source-event-x",
    "scrapest-tweet-created",
    "scrapest-tweet-updated",
    "scrapest-user-updated",
    "scrapest-webhook-delivery-failed",
    "scrapest-webhook-verified",
];

/// A genuine event with the current time.
pub fn event(sender: Sender) -> Vec<u8> {
    match sender {
        Sender::Scrapest => br#"{"event":"mention.created","timestamp":1772625601}"#.to_vec(),
        Sender::ScrapeBadger => br#"{"type":"other","detected_at":1772625601}"#.to_vec(),
    }
}

pub fn signatures() -> Vec<Vec<u8>> {
    let mut seeds =
        vec![b"x-scrapest-signature: ".to_vec(), b"x-signature-256: sha256=00".to_vec()];
    for sender in Sender::ALL {
        for name in sender.signature_headers() {
            let line = format!("{name}: {}", signature(&[&event(sender)]));
            seeds.push(format!("{line}\n{line}").into());
            seeds.push(line.replace("sha256", "sha1").into());
            let (name, digits) = line.split_once('=').unwrap();
            seeds.push(format!("{name}={}", digits.to_uppercase()).into());
            seeds.push(line.into());
        }
    }
    seeds
}

pub fn timestamps() -> Vec<Vec<u8>> {
    let seeds = [
        "1772625601\n1772625601",
        "1772625601500\n\"2026-03-04T12:00:01.500Z\"",
        "2026-03-04T12:00:01Z\n1772625601500",
        "\n\"2026-03-04T13:00:01+01:00\"",
        "1772625302\n",
        "1772625301\n\"2026-03-04T11:00:02Z\"",
        "1772625902\n\"2026-03-04T12:05:02.000000000001Z\"",
        "\n\"2026-03-04t12:00:01z\"",
        "-1\n-9223372036854775808",
        "18446744073709551615\n18446744073709551615",
        "+5\n1e9",
        "9999-12-31T23:59:60Z\n\"0000-01-01T00:00:00+23:59\"",
        "\nnull",
        "\n\"2026-03-04\\u005412:00:01Z\"",
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).into()
}

pub fn scrapest() -> Vec<Vec<u8>> {
    bodies(Sender::Scrapest)
}

pub fn scrapebadger() -> Vec<Vec<u8>> {
    bodies(Sender::ScrapeBadger)
}

fn bodies(sender: Sender) -> Vec<Vec<u8>> {
    let name = match sender {
        Sender::Scrapest => "scrapest-",
        Sender::ScrapeBadger => "scrapebadger-",
    };
    let fixtures = FIXTURES.iter().filter(|(fixture, _)| fixture.starts_with(name));
    // Some fixtures were published at other times.
    let of_now = |body: &str| {
        let body = body.replace("2026-03-13T", "2026-03-04T");
        body.replace("1712072400000", "1772625601000").replace("1712072399800", "1772625601000")
    };
    let mut seeds: Vec<Vec<u8>> = fixtures.map(|(_, body)| of_now(body).into()).collect();
    seeds.push(event(sender));
    seeds
}

pub fn streams() -> Vec<Vec<u8>> {
    let time = |request: testing::WebhookRequest| request.with_time(now()).with_delivery_id("1");
    let requests = [
        ("/scrapest", time(testing::scrapest(SECRET)).sign()),
        ("/scrapest", time(testing::scrapest(SECRET)).with_signed_timestamp().sign()),
        ("/scrapest", time(testing::scrapest(SECRET)).with_kind("webhook.verification").sign()),
        ("/scrapebadger", time(testing::scrapebadger(SECRET)).sign()),
        ("/scrapebadger", time(testing::scrapebadger(SECRET)).with_kind("test").sign()),
        ("/scrapebadger", time(testing::scrapebadger_contract_2(SECRET)).sign()),
    ];
    let mut seeds = Vec::new();
    for (path, request) in &requests {
        let (head, body) = (head(path, request), request.body());
        let whole =
            [format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
        let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len());
        seeds.push([chunked.as_bytes(), body, b"\r\n0\r\n\r\n"].concat());
        seeds.push([&whole[..], &whole].concat());
        seeds.push(whole);
    }
    seeds
}

fn head(path: &str, request: &SignedRequest) -> String {
    let lines = request.headers().map(|(name, value)| format!("{name}: {value}\r\n"));
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{}", lines.collect::<String>())
}
