//! Which secrets are accepted, how several coexist, and that only their bytes matter.

use std::panic::catch_unwind;

use scrapest_webhook::{
    ConfigError, MemoryStore, ScrapeBadgerWebhookLayer, ScrapestWebhookLayer, Secret, Secrets,
    testing,
};
use support::{Framework, Handler, Raw, SECRET, badger_layer, layer, nonce, signature};

const OLD: &str = "whsec_old_0d8c61f2a9b7c35e";
const NEW: &str = "whsec_new_95be20aa41f7d36c";

fn with_secrets<const N: usize>(secrets: [&str; N]) -> ScrapestWebhookLayer {
    ScrapestWebhookLayer::from_secrets(Secrets::new(secrets).unwrap())
}

/// A handler that fails in its first `before` runs, and then succeeds.
fn failing_until(before: usize) -> Handler {
    Handler::new(move |_, runs| async move { if runs < before { 500 } else { 200 } })
}

async fn every_active_secret_works_and_no_answer_reveals_which<F: Framework>() {
    let layer = with_secrets([NEW, OLD, SECRET]);
    let handler = Handler::ok();
    let server = F::serve(layer, handler.clone()).await;
    let mut answers = Vec::new();
    for secret in [OLD, NEW, SECRET, NEW, OLD] {
        answers.push(server.send(&testing::scrapest(secret).sign()).await.without_date());
    }
    assert_eq!(answers[0].status, 200);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(handler.runs(), 5);
    let forged = server.send(&testing::scrapest("whsec_none_of_the_three").sign()).await;
    assert_eq!((forged.status, handler.runs()), (401, 5));
}

async fn a_changed_secret_between_retries_neither_loses_nor_duplicates<F: Framework>() {
    for (before, after) in [(OLD, NEW), (NEW, OLD)] {
        let (handler, store) = (failing_until(2), MemoryStore::new());
        let one = ScrapestWebhookLayer::new(before).with_store(store.clone());
        let both = with_secrets([after, before]);
        let both = both.with_store(store);
        let (one, both) =
            (F::serve(one, handler.clone()).await, F::serve(both, handler.clone()).await);

        let body = testing::scrapest(before).sign().body().clone();
        let signed = |secret: &str| {
            testing::scrapest(secret).with_body(body.clone()).with_delivery_id("del_1").sign()
        };
        assert_eq!(one.send(&signed(before)).await.status, 500);
        assert_eq!(both.send(&signed(before)).await.status, 500, "the receiver has the new one");
        assert_eq!(both.send(&signed(after)).await.status, 200, "and then the sender");
        assert_eq!(handler.deliveries().last().unwrap().attempt(), 3, "one delivery all the time");
        for secret in [before, after] {
            assert_eq!(both.send(&signed(secret)).await.status, 200);
        }
        assert_eq!(handler.runs(), 3, "duplicates, whichever secret signed them");
    }
}

async fn a_capture_from_before_a_rotation_is_a_duplicate_after_it<F: Framework>() {
    let (handler, store) = (Handler::ok(), MemoryStore::new());
    let serve =
        |layer: ScrapestWebhookLayer| F::serve(layer.with_store(store.clone()), handler.clone());
    let before = serve(ScrapestWebhookLayer::new(OLD)).await;
    let captured: Raw = testing::scrapest(OLD).sign().into();
    assert_eq!(before.raw(&captured).await.status, 200);

    let new_first = with_secrets([NEW, OLD]);
    let old_first = with_secrets([OLD, NEW]);
    for layer in [new_first, old_first] {
        let after = serve(layer).await;
        for replay in [
            captured.clone(),
            captured.clone().replacing("x-scrapest-delivery-id", "another"),
            captured.clone().without("x-scrapest-delivery-id"),
        ] {
            let answer = after.raw(&replay).await;
            assert_eq!((answer.status, answer.text()), (200, String::new()));
        }
    }
    let rotated = serve(ScrapestWebhookLayer::new(NEW)).await;
    assert_eq!(rotated.raw(&captured).await.status, 401, "the old secret is gone");
    assert_eq!(handler.runs(), 1);
}

async fn the_signature_covers_the_bytes_and_not_their_meaning<F: Framework>() {
    let time = testing::scrapest(SECRET).sign();
    let time: serde_json::Value = serde_json::from_slice(time.body()).unwrap();
    let time = time["timestamp"].as_str().unwrap();
    let (handler, bodies) = (
        Handler::ok(),
        [
            format!(
                r#"{{"id":"1","type":"a","detected_at":"{time}","timestamp":"{time}","text":"café","x":1.0}}"#
            ),
            format!(
                "{{\n  \"id\": \"2\",\n  \"type\": \"a\",\n  \"detected_at\": \"{time}\",\n  \"timestamp\": \"{time}\",\n  \"text\": \"caf\\u00e9\",\n  \"x\": 1\n}}\n"
            ),
        ],
    );
    let scrapest = F::serve(layer(), handler.clone()).await;
    let badger = F::serve(badger_layer(), handler.clone()).await;
    for signed in &bodies {
        for (what, sent) in [
            ("an escape", signed.replace('é', "\\u00e9")),
            ("an escape in capitals", signed.replace("\\u00e9", "\\u00E9")),
            ("an escape undone", signed.replace("\\u00e9", "é")),
            ("decomposed", signed.replace('é', "e\u{301}")),
            ("a whole number", signed.replace("1.0", "1")),
            ("a number with more digits", signed.replace("1.0", "1.00")),
            ("an exponent", signed.replace("1.0", "1e0")),
            (
                "key order",
                signed
                    .replace("\"id\"", "\"id_\"")
                    .replace("\"type\"", "\"id\"")
                    .replace("\"id_\"", "\"type\""),
            ),
            ("CRLF", signed.replace('\n', "\r\n")),
            ("a newline at the end", format!("{signed}\n")),
            ("no newline at the end", signed.trim_end().to_owned()),
            ("a blank in front", format!(" {signed}")),
            ("a byte order mark", format!("\u{feff}{signed}")),
            ("NUL at the end", format!("{signed}\0")),
            ("minified", signed.replace([' ', '\n'], "")),
            ("an escaped slash", signed.replace("\"a\"", "\"\\u0061\"")),
            ("nothing", String::new()),
        ] {
            if sent == *signed {
                continue;
            }
            let status =
                scrapest.raw(&Raw::scrapest(signed.as_str()).over(sent.as_str())).await.status;
            assert_eq!(status, 401, "{what}: {sent}");
            for raw in [Raw::badger(signed.as_str()), Raw::badger_2(signed.as_str())] {
                assert_eq!(
                    badger.raw(&raw.over(sent.as_str())).await.status,
                    401,
                    "{what}: {sent}"
                );
            }
        }
    }
    assert_eq!(handler.runs(), 0);
    for signed in &bodies {
        assert_eq!(scrapest.raw(&Raw::scrapest(signed.as_str())).await.status, 200);
        assert_eq!(badger.raw(&Raw::badger(signed.as_str())).await.status, 200);
        let delivery = handler.deliveries().pop().unwrap();
        assert_eq!(delivery.body(), signed.as_bytes(), "and it is the bytes that are handed on");
    }
}

async fn a_secret_from_the_environment_or_a_file_is_used_as_raw_bytes<F: Framework>() {
    // A variable that every process has, so that the test need not set one.
    let path = std::env::var("PATH").unwrap();
    let mut cases = vec![(Secret::from_env("PATH").unwrap(), path)];
    for (content, secret) in [
        ("a secret in a file", "a secret in a file"),
        ("a secret in a file\n", "a secret in a file"),
        ("a secret in a file\r\n", "a secret in a file"),
        ("a secret in a file\n\n", "a secret in a file\n"),
        ("a secret in a file\r\n\r\n", "a secret in a file\r\n"),
        ("a secret in a file\r", "a secret in a file\r"),
        ("  a secret in a file ", "  a secret in a file "),
        ("\na secret in a file", "\na secret in a file"),
    ] {
        cases.push((from_file(content).unwrap(), secret.to_owned()));
    }
    for (secret, bytes) in cases {
        let server = F::serve(ScrapestWebhookLayer::new(secret), Handler::ok()).await;
        assert_eq!(server.send(&testing::scrapest(&bytes).sign()).await.status, 200, "{bytes:?}");
        let without = bytes.trim();
        let status = server.send(&testing::scrapest(without).sign()).await.status;
        assert_eq!(status, if without == bytes { 200 } else { 401 }, "{bytes:?}");
    }
}

fn from_file(content: impl AsRef<[u8]>) -> Result<Secret, ConfigError> {
    let path = std::env::temp_dir().join(format!("secret-{}-{}", std::process::id(), nonce()));
    std::fs::write(&path, content).unwrap();
    let secret = Secret::from_file(&path);
    std::fs::remove_file(&path).unwrap();
    secret
}

#[test]
fn a_secret_that_verifies_nothing_is_always_a_configuration_error() {
    for (secret, text) in [
        ("", "secret: secret is empty, expected the one the webhook was created with"),
        (" ", "secret: secret is blank, expected the one the webhook was created with"),
        (
            "                                ",
            "secret: secret is blank, expected the one the webhook was created with",
        ),
        (
            " \t\r\n \t\r\n",
            "secret: secret is blank, expected the one the webhook was created with",
        ),
        ("1", "secret: secret has 1 bytes, expected at least 8"),
        ("1234567", "secret: secret has 7 bytes, expected at least 8"),
    ] {
        let panicked = |new: fn(&str)| {
            let panic = catch_unwind(|| new(secret)).unwrap_err();
            panic.downcast_ref::<String>().unwrap().clone()
        };
        for said in [
            ScrapestWebhookLayer::try_new(secret).unwrap_err().to_string(),
            ScrapeBadgerWebhookLayer::try_new(secret).unwrap_err().to_string(),
            ScrapestWebhookLayer::try_new(secret.as_bytes()).unwrap_err().to_string(),
            ScrapestWebhookLayer::try_new(from_file(secret).unwrap()).unwrap_err().to_string(),
            ScrapestWebhookLayer::try_new(from_file(format!("{secret}\r\n")).unwrap())
                .unwrap_err()
                .to_string(),
            Secrets::new([SECRET, secret]).unwrap_err().to_string(),
            panicked(|secret| drop(ScrapestWebhookLayer::new(secret))),
            panicked(|secret| drop(ScrapeBadgerWebhookLayer::new(secret))),
        ] {
            assert_eq!(said, text);
        }
        assert_eq!(ScrapestWebhookLayer::try_new(secret).unwrap_err().setting(), "secret");
    }
    assert!(
        ScrapestWebhookLayer::try_new("12345678").is_ok(),
        "the shortest that both senders allow"
    );
}

#[test]
fn a_missing_secret_is_named() {
    let error = Secret::from_env("NO_SUCH_VARIABLE_HERE").unwrap_err().to_string();
    assert!(error.contains("\"NO_SUCH_VARIABLE_HERE\" is not set"), "{error}");
    let error = Secret::from_file("/no/such/file").unwrap_err().to_string();
    assert!(error.contains("\"/no/such/file\" cannot be read"), "{error}");
}

#[test]
fn a_secret_equal_to_an_empty_hmac_key_is_a_configuration_error() {
    // HMAC pads a key with zero bytes, so these sign like the key without them.
    for secret in ["\0\0\0\0\0\0\0\0", "a\0\0\0\0\0\0\0\0\0\0\0\0\0\0"] {
        let shorter = secret.trim_end_matches('\0');
        assert_eq!(signature(secret, b"any"), signature(shorter, b"any"), "nothing protected");
        assert!(ScrapestWebhookLayer::try_new(secret).is_err(), "{secret:?}");
        assert!(Secrets::new([SECRET, secret]).is_err(), "{secret:?}");
    }
    // Blank to a reader, in any script.
    for secret in
        ["\u{a0}\u{a0}\u{a0}\u{a0}", "\u{3000}\u{3000}\u{3000}", "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"]
    {
        let error = ScrapestWebhookLayer::try_new(secret).unwrap_err();
        assert!(error.to_string().contains("blank"), "{secret:?}: {error}");
    }
}

support::for_each_framework! {
    every_active_secret_works_and_no_answer_reveals_which,
    a_changed_secret_between_retries_neither_loses_nor_duplicates,
    a_capture_from_before_a_rotation_is_a_duplicate_after_it,
    the_signature_covers_the_bytes_and_not_their_meaning,
    a_secret_from_the_environment_or_a_file_is_used_as_raw_bytes,
}
