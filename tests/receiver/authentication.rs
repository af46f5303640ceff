//! Requests that are refused, and the identical answer to all of them.

use std::time::{Duration, SystemTime};

use scrapest_webhook::scrapest::Scrapest;
use scrapest_webhook::testing;
use scrapest_webhook::{MemoryStore, Provider, WebhookLayer};
use support::{
    Answer, Framework, Handler, Raw, SECRET, Server, badger_layer, genuine, layer, nonce,
    seconds_ago, signature,
};

/// A server whose store can be inspected.
struct Guarded {
    server: Server,
    handler: Handler,
    store: MemoryStore,
}

impl Guarded {
    async fn serve<F: Framework, P: Provider>(layer: WebhookLayer<P>) -> Self {
        let (handler, store) = (Handler::ok(), MemoryStore::new());
        let server = F::serve(layer.with_store(store.clone()), handler.clone()).await;
        Self { server, handler, store }
    }

    /// Checks that the request is refused without a call to the handler or the store.
    async fn refused(&self, what: &str, request: &Raw) -> Answer {
        let answer = self.server.raw(request).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert_eq!(self.handler.runs(), 0, "{what}");
        assert!(self.store.is_empty(), "{what}");
        answer.without_date()
    }
}

/// All malformed variants of the correct signature.
fn malformed(right: &str) -> Vec<(&'static str, Vec<u8>)> {
    let hex = right.strip_prefix("sha256=").unwrap();
    let full_width: String =
        hex.chars().map(|digit| char::from_u32(u32::from(digit) + 0xfee0).unwrap()).collect();
    let prefixed = |text: &[u8]| [b"sha256=", text].concat();
    let hex = hex.as_bytes();
    let mut cases = vec![
        ("empty", vec![]),
        ("no prefix", hex.to_vec()),
        ("prefix alone", prefixed(b"")),
        ("blank after the prefix", prefixed(&[b" ", hex].concat())),
        ("tab after the prefix", prefixed(&[b"\t", hex].concat())),
        ("blank before the equals sign", [b"sha256 =", hex].concat()),
        ("SHA-1", [b"sha1=", hex].concat()),
        ("SHA-1 in its own length", [b"sha1=", &hex[..40]].concat()),
        ("SHA-512", [b"sha512=", hex].concat()),
        ("prefix in capitals", [b"SHA256=", hex].concat()),
        ("prefix in mixed case", [b"Sha256=", hex].concat()),
        ("prefix with a dash", [b"sha-256=", hex].concat()),
        ("prefix with a colon", [b"sha256:", hex].concat()),
        ("prefix twice", prefixed(right.as_bytes())),
        ("two equals signs", prefixed(&[b"=", hex].concat())),
        ("a version", [b"v1=", hex].concat()),
        ("quoted", [b"\"", right.as_bytes(), b"\""].concat()),
        ("0x", prefixed(&[b"0x", hex].concat())),
        ("0x in its length", prefixed(&[b"0x", &hex[2..]].concat())),
        ("a sign in a pair", prefixed(&[b"+", &hex[1..]].concat())),
        ("not a hex digit", prefixed(&[&hex[..63], b"g"].concat())),
        ("NUL written out", prefixed(&[&hex[..62], b"%00"].concat())),
        ("trailing letter", prefixed(&[hex, b"x"].concat())),
        ("trailing word", prefixed(&[hex, b" x"].concat())),
        ("trailing semicolon", prefixed(&[hex, b";"].concat())),
        ("trailing comma", prefixed(&[hex, b","].concat())),
        ("a list of itself", [right, ",", right].concat().into()),
        ("a list with a blank", [right, ", ", right].concat().into()),
        ("a list with a wrong one first", ["sha256=", &"0".repeat(64), ",", right].concat().into()),
        ("bytes from 0x80", prefixed(&[0x80; 64])),
        ("one byte of 0xff", prefixed(&[&hex[..63], b"\xff"].concat())),
        ("a no-break space", prefixed(&[hex, b"\xc2\xa0"].concat())),
        ("full-width digits", prefixed(full_width.as_bytes())),
        ("10 kB of digits", prefixed(&b"a".repeat(10_240))),
        ("10 kB of 0xff", vec![0xff; 10_240]),
        ("10 kB after the tag", prefixed(&[hex, &b"0".repeat(10_240)].concat())),
    ];
    for length in [1, 2, 31, 32, 62, 63] {
        cases.push(("the beginning of the tag", prefixed(&hex[..length])));
    }
    cases.push(("65 digits", prefixed(&[hex, b"0"].concat())));
    cases.push(("128 digits", prefixed(&[hex, hex].concat())));
    cases
}

/// Signatures of the right shape with a wrong tag.
fn wrong(body: &[u8], right: &str) -> Vec<(&'static str, String)> {
    let flipped = |place: usize| {
        let mut text = right.as_bytes().to_vec();
        text[place] = if text[place] == b'0' { b'1' } else { b'0' };
        String::from_utf8(text).unwrap()
    };
    vec![
        ("first digit", flipped(7)),
        ("last digit", flipped(70)),
        ("all zeros", format!("sha256={}", "0".repeat(64))),
        ("of another secret", signature("whsec_another_7b1d5f0c93aa4e21", body)),
        ("of the secret in capitals", signature(SECRET.to_uppercase(), body)),
        ("of the secret and a newline", signature(format!("{SECRET}\n"), body)),
        ("of no secret", signature("", body)),
        ("of no body", signature(SECRET, b"")),
        ("of the body without its last byte", signature(SECRET, &body[..body.len() - 1])),
    ]
}

/// The refusals of the genuine `request` with each wrong or malformed signature.
async fn refusals(guarded: &Guarded, name: &str, request: &Raw) -> Vec<Answer> {
    let right = request.header(name);
    let bare = request.clone().without(name);
    let mut answers = vec![guarded.refused("missing", &bare).await];
    for (what, value) in malformed(&right) {
        answers.push(guarded.refused(what, &bare.clone().with(name, value)).await);
    }
    let wrong = wrong(request.body(), &right);
    for (what, value) in &wrong {
        answers.push(guarded.refused(what, &bare.clone().with(name, value)).await);
    }
    for (first, second) in [(&right, &right), (&right, &wrong[0].1), (&wrong[0].1, &right)] {
        let several = bare.clone().with(name, first).with(name, second);
        answers.push(guarded.refused("several", &several).await);
    }
    answers
}

async fn every_authentication_failure_is_answered_with_the_same_bytes<F: Framework>() {
    let scrapest = Guarded::serve::<F, _>(layer()).await;
    let name = "x-scrapest-signature";
    let mut answers = refusals(&scrapest, name, &genuine().sign().into()).await;
    let body = r#"{"id":"a","event":"x"}"#;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    for (what, request) in [
        ("stale", Raw::from(genuine().with_time(seconds_ago(86_400)).sign())),
        ("ahead", genuine().with_time(seconds_ago(-86_400)).sign().into()),
        (
            "signed and stale",
            genuine().with_time(seconds_ago(600)).with_signed_timestamp().sign().into(),
        ),
        ("unreadable", Raw::scrapest(r#"{"event":"x","timestamp":"soon"}"#)),
        ("undated", Raw::scrapest(body)),
        (
            "only an unsigned date",
            Raw::scrapest(body).with("x-scrapest-timestamp", now.to_string()),
        ),
        ("not even JSON", Raw::scrapest("")),
        ("the other sender's", testing::scrapebadger(SECRET).sign().into()),
    ] {
        answers.push(scrapest.refused(what, &request).await);
    }

    let badger = Guarded::serve::<F, _>(badger_layer()).await;
    let (name_1, name_2) = ("x-scrapebadger-signature", "x-signature-256");
    let request: Raw = testing::scrapebadger(SECRET).sign().into();
    answers.extend(refusals(&badger, name_1, &request).await);
    let request: Raw = testing::scrapebadger_contract_2(SECRET).sign().into();
    answers.extend(refusals(&badger, name_2, &request).await);
    let (bare, right) = (request.clone().without(name_2), request.header(name_2));
    let other = format!("sha256={}", "0".repeat(64));
    let twice = |first: (&str, &str), second: (&str, &str)| {
        bare.clone().with(first.0, first.1).with(second.0, second.1)
    };
    for (what, request) in [
        ("both contracts", twice((name_1, &right), (name_2, &right))),
        ("both contracts, turned round", twice((name_2, &right), (name_1, &right))),
        ("a wrong one of contract 1", twice((name_1, &other), (name_2, &right))),
        ("a wrong one of contract 2", twice((name_2, &other), (name_1, &right))),
        ("an empty one of contract 1", twice((name_1, ""), (name_2, &right))),
        ("stale", testing::scrapebadger(SECRET).with_time(seconds_ago(86_400)).sign().into()),
        ("undated", Raw::badger(r#"{"type":"tweet","tweet":{"id":"1"}}"#)),
        ("undated, by contract 2", Raw::badger_2(r#"{"event":"tweet.detected"}"#)),
        ("the other sender's", genuine().sign().into()),
    ] {
        answers.push(badger.refused(what, &request).await);
    }

    assert_eq!(answers[0].text(), "unauthorized");
    let different: Vec<_> = answers.iter().filter(|answer| **answer != answers[0]).collect();
    assert!(different.is_empty(), "{:?} against {different:?}", answers[0]);
    // The receiver itself worked during the test.
    assert_eq!(scrapest.server.send(&genuine().sign()).await.status, 200);
    assert_eq!(badger.server.send(&testing::scrapebadger(SECRET).sign()).await.status, 200);
}

async fn unsigned_requests_fail_alike_if_unsigned_challenges_are_allowed<F: Framework>() {
    let provider = Scrapest::default().with_insecure_unsigned_challenge(true);
    let open = Guarded::serve::<F, _>(layer().with_provider(provider)).await;
    let closed = Guarded::serve::<F, _>(layer()).await;
    let reference = closed.refused("missing", &Raw::new("{}")).await;
    let request: Raw = genuine().sign().into();
    for answer in refusals(&open, "x-scrapest-signature", &request).await {
        assert_eq!(answer, reference);
    }
}

async fn a_body_is_not_awaited_if_the_headers_are_refused<F: Framework>() {
    const ANNOUNCED: usize = 1_000_000;
    let deadline = Duration::from_millis(300);
    let scrapest = Guarded::serve::<F, _>(layer().with_body_deadline(deadline)).await;
    let badger = Guarded::serve::<F, _>(badger_layer().with_body_deadline(deadline)).await;
    let right = signature(SECRET, b"");
    let mut answers = Vec::new();
    for (guarded, name) in [
        (&scrapest, "x-scrapest-signature"),
        (&badger, "x-scrapebadger-signature"),
        (&badger, "x-signature-256"),
    ] {
        let bare = Raw::new("");
        let mut requests = vec![bare.clone(), bare.clone().with(name, &right).with(name, &right)];
        requests.extend(malformed(&right).iter().map(|(_, value)| bare.clone().with(name, value)));
        for request in requests {
            let answer = guarded.server.send_raw(&request.text_without_body(ANNOUNCED)).await;
            // A receiver that waited for the missing body would answer 408.
            assert_eq!(answer.status, 401);
            answers.push(answer.without_date());
        }
        // The layer waits for the body only if the signature may be correct.
        let request = bare.with(name, &right).text_without_body(ANNOUNCED);
        assert_eq!(guarded.server.send_raw(&request).await.status, 408);
        assert!(guarded.handler.runs() == 0 && guarded.store.is_empty());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

async fn hex_is_case_insensitive<F: Framework>() {
    let mixed = |text: &str| -> String {
        let turned = text.chars().enumerate();
        turned.map(|(place, c)| if place % 2 == 0 { c.to_ascii_uppercase() } else { c }).collect()
    };
    let spell = |request: &Raw, spell: &dyn Fn(&str) -> String| {
        let right = request.header("x-scrapest-signature");
        let hex = spell(right.strip_prefix("sha256=").unwrap());
        request.clone().replacing("x-scrapest-signature", format!("sha256={hex}"))
    };
    let guarded = Guarded::serve::<F, _>(layer()).await;
    for (run, first) in [(1, 0), (2, 1), (3, 2)] {
        let request: Raw = genuine().sign().into();
        let mut spellings =
            [request.clone(), spell(&request, &|hex| hex.to_uppercase()), spell(&request, &mixed)];
        spellings.rotate_left(first);
        for spelling in spellings {
            // Each with a new id, so that only the tag can identify them.
            let request = spelling.replacing("x-scrapest-delivery-id", format!("id-{}", nonce()));
            assert_eq!(guarded.server.raw(&request).await.status, 200);
            assert_eq!(guarded.handler.runs(), run);
        }
    }
}

support::for_each_framework! {
    every_authentication_failure_is_answered_with_the_same_bytes,
    unsigned_requests_fail_alike_if_unsigned_challenges_are_allowed,
    a_body_is_not_awaited_if_the_headers_are_refused,
    hex_is_case_insensitive,
}
