//! The requests that are sent, and the answers that are promised.

use std::error::Error;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use scrapest_webhook::testing::{self, SignedRequest};

use crate::Sending;
use crate::handler::{FAILS_FIRST, SLOW};

/// `{"event":"tweet.created"}`, compressed.
const GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x4a, 0x2d, 0x4b, 0xcd,
    0x2b, 0x51, 0xb2, 0x52, 0x2a, 0x29, 0x4f, 0x4d, 0x2d, 0xd1, 0x4b, 0x2e, 0x4a, 0x4d, 0x2c, 0x49,
    0x4d, 0x51, 0xaa, 0x05, 0x00, 0xf1, 0x2e, 0x8b, 0xe3, 0x19, 0x00, 0x00, 0x00,
];

#[derive(Clone, Copy)]
pub(crate) enum Sender {
    Scrapest,
    ScrapeBadger,
}

impl Sender {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Scrapest => "/webhooks/scrapest",
            Self::ScrapeBadger => "/webhooks/scrapebadger",
        }
    }
}

/// One row of the table.
pub(crate) struct Case {
    pub(crate) what: String,
    sender: Sender,
    requests: Vec<SignedRequest>,
    at_once: bool,
    pub(crate) promised: Promise,
}

/// The answers in order, the number of runs, and the last body.
pub(crate) struct Promise {
    pub(crate) answers: Vec<u16>,
    pub(crate) runs: usize,
    pub(crate) body: Option<&'static str>,
}

impl Case {
    fn new(what: impl Into<String>, sender: Sender, request: SignedRequest) -> Self {
        Self {
            what: what.into(),
            sender,
            requests: vec![request],
            at_once: false,
            promised: Promise { answers: vec![204], runs: 1, body: None },
        }
    }

    fn then(mut self, request: SignedRequest) -> Self {
        self.requests.push(request);
        self
    }

    fn at_once(self) -> Self {
        Self { at_once: true, ..self }
    }

    fn promised<const N: usize>(self, answers: [u16; N], runs: usize) -> Self {
        Self { promised: Promise { answers: answers.into(), runs, body: None }, ..self }
    }

    fn saying(mut self, body: &'static str) -> Self {
        self.promised.body = Some(body);
        self
    }

    pub(crate) fn is_at_once(&self) -> bool {
        self.at_once
    }

    pub(crate) async fn send(&self, client: &Sending) -> Result<Vec<(u16, Bytes)>, Box<dyn Error>> {
        let requests =
            self.requests.iter().cloned().map(|request| client.post(self.sender, request));
        let answers = if self.at_once {
            futures_util::future::try_join_all(requests).await?
        } else {
            let mut answers = Vec::new();
            for request in requests {
                answers.push(request.await?);
            }
            answers
        };
        Ok(answers.into_iter().map(|(status, body)| (status.as_u16(), body)).collect())
    }
}

/// Returns every row, in the order of the table.
pub(crate) fn all(secret: &str) -> Vec<Case> {
    let mut cases = documented(secret);
    cases.extend(refused(secret));
    cases.extend(repeated(secret));
    cases
}

/// Each documented kind of both senders.
fn documented(secret: &str) -> Vec<Case> {
    let scrapest = |kind: &str| {
        let request = testing::scrapest(secret).with_kind(kind).sign();
        Case::new(format!("Scrapest {kind}"), Sender::Scrapest, request)
    };
    let badger = |what: &str, request| {
        Case::new(format!("ScrapeBadger {what}"), Sender::ScrapeBadger, request)
    };
    vec![
        scrapest("tweet.created"),
        scrapest("tweet.updated"),
        scrapest("user.updated"),
        scrapest("webhook.delivery_failed"),
        scrapest("webhook.verified"),
        scrapest("mention.created"),
        scrapest("x"),
        scrapest("fast-x"),
        scrapest("telegram"),
        badger("tweet (contract 1)", testing::scrapebadger(secret).sign()),
        badger("tweet.detected (contract 2)", testing::scrapebadger_contract_2(secret).sign()),
        badger("test", testing::scrapebadger(secret).with_kind("test").sign()),
        scrapest("webhook.verification")
            .promised([200], 0)
            .saying(r#"{"challenge":"challenge-0001"}"#),
    ]
}

/// Requests that must not reach the handler.
fn refused(secret: &str) -> Vec<Case> {
    let forged = testing::scrapest("whsec_somebody_else_d41d8cd9").sign();
    let tampered = testing::scrapest(secret).sign();
    let other_body = String::from_utf8_lossy(tampered.body()).replace("electric", "mine");
    let two_hours_ago = SystemTime::now() - Duration::from_secs(7_200);
    let stale = testing::scrapebadger(secret).with_time(two_hours_ago).sign();
    let oversized = testing::scrapest(secret).with_body(vec![b' '; 1_048_577]).sign();
    let gzip = testing::scrapest(secret).with_body(GZIP).sign();
    vec![
        Case::new("forged: another secret", Sender::Scrapest, forged).promised([401], 0),
        Case::new("forged: another body", Sender::Scrapest, tampered.with_body(other_body))
            .promised([401], 0),
        Case::new("stale: two hours old", Sender::ScrapeBadger, stale).promised([401], 0),
        Case::new("oversized: 1 MiB and a byte", Sender::Scrapest, oversized).promised([413], 0),
        Case::new("gzip", Sender::Scrapest, gzip.with_header("content-encoding", "gzip"))
            .promised([415], 0),
    ]
}

/// Deliveries that arrive more than once.
fn repeated(secret: &str) -> Vec<Case> {
    let request = || testing::scrapest(secret).sign();
    let (duplicate, replay) = (request(), request());
    let slow = testing::scrapest(secret).with_delivery_id(SLOW).sign();
    let fails_first = testing::scrapest(secret).with_delivery_id(FAILS_FIRST).sign();
    let under_a_new_id = replay.clone().with_header("x-scrapest-delivery-id", "dlv-made-up");
    vec![
        Case::new("duplicate: the same again", Sender::Scrapest, duplicate.clone())
            .then(duplicate)
            .promised([204, 200], 1),
        Case::new("concurrent duplicate", Sender::Scrapest, slow.clone())
            .then(slow)
            .at_once()
            .promised([200, 204], 1),
        Case::new("replay under a new id", Sender::Scrapest, replay)
            .then(under_a_new_id)
            .promised([204, 200], 1),
        Case::new("handler fails, sender retries", Sender::Scrapest, fails_first.clone())
            .then(fails_first)
            .promised([500, 204], 2),
    ]
}
