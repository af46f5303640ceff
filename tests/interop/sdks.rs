//! ScrapeBadger's own SDKs as oracles: they accept our signatures, and we accept theirs.
//!
//! The SDKs are searched in `$SENDER_SDKS`, or in `target/sdks`, where `.ci/sdks` installs them. A test whose
//! SDK is missing prints that and passes; with `REQUIRE_SDKS=1` it fails.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::{Router, routing::post};
use scrapest_webhook::testing::{self, SignedRequest, WebhookRequest};
use scrapest_webhook::{ScrapeBadgerWebhookLayer, scrapebadger};
use serde_json::{Value, json};
use tower::ServiceExt;

const SECRETS: [&str; 2] = [
    "whsec_canary_7b1d5f0c93aa4e21",
    "Schlüssel, der länger als 64 Bytes ist, \
    und in dem nicht nur lateinische Buchstaben stehen: 秘密 🦡",
];
const TWEET: &str = include_str!("../fixtures/scrapebadger-tweet.json");
const DETECTED: &str = include_str!("../fixtures/scrapebadger-tweet-detected.json");

#[test]
fn the_senders_sdk_for_python_accepts_what_we_sign_and_refuses_a_tampered_body() {
    let Some(sdk) = installed("python", "scrapebadger", "ScrapeBadger's SDK for Python") else {
        return;
    };
    agrees(Command::new("python3").arg(script("verify.py")).env("PYTHONPATH", sdk));
}

#[test]
fn the_senders_sdk_for_node_accepts_what_we_sign_and_refuses_a_tampered_body() {
    let sdk = installed("node", "node_modules/scrapebadger", "ScrapeBadger's SDK for Node");
    let Some(sdk) = sdk else { return };
    agrees(Command::new("node").arg(script("verify.mjs")).arg(sdk));
}

#[tokio::test]
async fn a_signature_by_plain_python_after_the_documentation_is_accepted() {
    let python = Command::new("python3").arg("--version").output();
    if python.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return skip("python3", "apt-get install python3");
    }
    for secret in SECRETS {
        let mut python = Command::new("python3");
        let answer = ask(python.arg(script("sign.py")).arg(secret), TWEET);
        let signature = answer[0].as_str().unwrap();
        let body = bytes(answer[1].as_str().unwrap());
        let layer = ScrapeBadgerWebhookLayer::new(secret);
        assert_eq!(status(&layer, signature, &body).await, StatusCode::ACCEPTED, "{secret}");
        for at in [0, body.len() / 2, body.len() - 1] {
            let mut tampered = body.clone();
            tampered[at] ^= 1;
            let status = status(&layer, signature, &tampered).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{secret}, byte {at}");
        }
    }
}

/// Asks an SDK about signatures of both contracts, unchanged and tampered with.
fn agrees(sdk: &mut Command) {
    let mut questions = vec![];
    let mut promised = vec![];
    for secret in SECRETS {
        let contracts = [
            (
                testing::scrapebadger as fn(&'static str) -> WebhookRequest,
                "x-scrapebadger-signature",
            ),
            (testing::scrapebadger_contract_2, "x-signature-256"),
        ];
        for (request, header) in contracts {
            let mut signed = vec![request(secret).sign(), request(secret).with_kind("test").sign()];
            for body in [TWEET, DETECTED, "", "Die Zukunft fährt elektrisch… 🚗"] {
                signed.push(request(secret).with_body(body).sign());
            }
            signed.push(request(secret).with_body(vec![0xff, 0x00, 0x0d, 0x0a]).sign());
            for signed in signed {
                let body = signed.body().to_vec();
                let tampered = [&body[..], b" "].concat();
                questions.push(json!([secret, hex(&body), signature(&signed, header)]));
                promised.push(true);
                questions.push(json!([secret, hex(&tampered), signature(&signed, header)]));
                promised.push(false);
                if let Some((_, cut)) = body.split_last() {
                    questions.push(json!([secret, hex(cut), signature(&signed, header)]));
                    promised.push(false);
                }
                let another = format!("{secret} of another webhook");
                questions.push(json!([another, hex(&body), signature(&signed, header)]));
                promised.push(false);
            }
        }
    }
    let answers = ask(sdk, &Value::from(questions.clone()).to_string());
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), questions.len());
    for ((question, answer), promised) in questions.iter().zip(answers).zip(promised) {
        assert_eq!(answer, promised, "{question}");
    }
}

/// Returns the status of a request with the documented signature header.
async fn status(layer: &ScrapeBadgerWebhookLayer, signature: &str, body: &[u8]) -> StatusCode {
    let handler = async |event: scrapebadger::Event| {
        assert!(event.tweet().is_some(), "{event:?}");
        StatusCode::ACCEPTED
    };
    let app = Router::new().route("/", post(handler).route_layer(layer.clone()));
    let request = Request::post("/")
        .header("content-type", "application/json")
        .header("x-scrapebadger-signature", signature)
        .body(Body::from(body.to_vec()));
    app.oneshot(request.unwrap()).await.unwrap().status()
}

fn signature<'a>(request: &'a SignedRequest, header: &str) -> &'a str {
    request.headers().find(|(name, _)| *name == header).unwrap().1
}

/// The folder of the SDK, if it is installed.
fn installed(language: &str, package: &str, what: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SENDER_SDKS").filter(|root| !root.is_empty());
    let root = root.map_or_else(|| PathBuf::from("target/sdks"), PathBuf::from);
    let sdk = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(root).join(language);
    if sdk.join(package).is_dir() {
        return Some(sdk);
    }
    skip(what, ".ci/sdks");
    None
}

fn skip(what: &str, command: &str) {
    let required = std::env::var_os("REQUIRE_SDKS").is_some_and(|value| value == "1");
    assert!(!required, "{what} is missing; to have it: {command}");
    // Past the capture of a test's output, which would hide it.
    let line = format!("skipped for want of {what}; to have it: {command}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name)
}

/// Runs a script on `input` and parses its JSON output.
fn ask(script: &mut Command, input: &str) -> Value {
    let script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = script.spawn().unwrap_or_else(|error| panic!("{script:?}: {error}"));
    // If the script has died before reading everything, its error output says why.
    let _ = running.stdin.take().unwrap().write_all(input.as_bytes());
    let output = running.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script:?}: {}\n{error}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}
