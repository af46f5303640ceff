//! The content of logs, panics and `Debug`, and the data that must never be in them.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::Request;
use scrapest_webhook::RejectionKind;
use support::in_process::{app, http, send, status};
use support::logged::{self, Logged};
use support::{Handler, SECRET, genuine, layer};
use tower::ServiceExt;
use tracing::Level;

use crate::statuses::provoke;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Without padding; the last two characters of the alphabet differ between the two kinds of Base64.
fn base64(bytes: &[u8], last: [char; 2]) -> String {
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(last).collect();
    let sextets = |chunk: &[u8]| {
        let bits = (0..3).fold(0_usize, |bits, at| {
            bits << 8 | usize::from(chunk.get(at).copied().unwrap_or_default())
        });
        (0..=chunk.len()).map(|at| alphabet[bits >> (18 - 6 * at) & 63]).collect::<String>()
    };
    bytes.chunks(3).map(sextets).collect()
}

/// The secret in the encodings in which it could be written.
fn disguises() -> [String; 7] {
    let bytes = SECRET.as_bytes();
    let list = format!("{bytes:?}");
    [
        SECRET.to_owned(),
        hex(bytes),
        hex(bytes).to_uppercase(),
        base64(bytes, ['+', '/']),
        base64(bytes, ['-', '_']),
        list.trim_matches(['[', ']']).to_owned(),
        // A part that identifies it even if the rest is truncated.
        "canary".to_owned(),
    ]
}

#[test]
fn the_secret_never_appears_in_the_trace_output_of_these_tests() {
    if std::env::var_os(logged::TRACE).is_some() {
        return;
    }
    assert_eq!(base64(b"\xfb\xefd", ['+', '/']), "++9k");
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--nocapture",
            "--test-threads=2",
            "--skip=output::",
            "--skip=200_",
            "--skip=flood",
            "--skip=thousand",
            "--skip=is_no_time",
        ])
        .env(logged::TRACE, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (said, tested) =
        (String::from_utf8_lossy(&child.stderr), String::from_utf8_lossy(&child.stdout));
    // The subscriber recorded all levels, of this crate and of others, and spans, refusals and panics.
    for expected in [
        "TRACE",
        "DEBUG",
        "WARN",
        "h2::",
        "axum::serve",
        "webhook{sender=\"scrapest\"",
        "sender=\"scrapebadger\"",
        "reason=\"wrong_signature\"",
        "reason=\"stale\"",
        "outcome=\"completed\"",
        "as it was told",
    ] {
        assert!(said.contains(expected), "{expected}");
    }
    assert!(tested.matches(" ... ok").count() > 40, "{tested}");
    for disguise in disguises() {
        for output in [&said, &tested] {
            let line = || output.lines().find(|line| line.contains(&disguise));
            assert!(!output.contains(&disguise), "{disguise}: {:?}", line());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_expected_signature_never_appears_in_output() {
    let right = genuine().with_body("{}").sign();
    let (_, tag) = right.headers().find(|(name, _)| *name == "x-scrapest-signature").unwrap();
    let tag = tag.trim_start_matches("sha256=").to_owned();
    let (logged, _guard) = Logged::begin();
    assert_eq!(status(&app(layer(), &Handler::ok()), &genuine().sign().with_body("{}")).await, 401);
    let said = logged.text(Level::TRACE);
    assert!(said.contains("wrong_signature"));
    assert!(!said.contains(&tag) && !said.contains(&tag[..16]), "{said}");
}

#[test]
fn each_refusal_is_one_event_at_debug_before_authentication_and_at_warn_after_it() {
    use RejectionKind as Kind;
    for kind in Kind::ALL {
        let expected = match kind {
            Kind::NoPeerAddress
            | Kind::UnreadableForwarding
            | Kind::AddressNotAllowed
            | Kind::Throttled
            | Kind::MethodNotAllowed
            | Kind::ContentEncoding
            | Kind::BodyTooLarge
            | Kind::MissingSignature
            | Kind::RepeatedSignature
            | Kind::MalformedSignature
            | Kind::BodyTooSlow
            | Kind::BodyIncomplete
            | Kind::BytesInFlight
            | Kind::UnknownWebhook
            | Kind::WrongSignature => Level::DEBUG,
            // These three are not faults.
            Kind::Filtered | Kind::Challenge | Kind::Duplicate => Level::DEBUG,
            // The warning is about the store, once when it goes down, and not per delivery.
            Kind::StoreDown => Level::DEBUG,
            _ => Level::WARN,
        };
        let (logged, _guard) = Logged::begin();
        // A new runtime each, which ends the other requests that provoked this one.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().start_paused(true).build().unwrap().block_on(provoke(*kind));
        let events: Vec<_> = logged.lines().into_iter().filter(|line| line.is_event).collect();
        // An event with another reason belongs to one of those requests.
        let of = |reason: &str| reason == kind.as_str();
        let said: Vec<_> = events
            .iter()
            .filter(|line| {
                // An error in the server's own setup is logged once, and not per request.
                let is_of_server = *kind == Kind::StoreDown || line.level == Level::ERROR;
                let loud = line.level <= Level::INFO && !is_of_server && !line.is_limited();
                loud || line.fields.contains_key("reason")
            })
            .filter(|line| line.fields.get("reason").is_none_or(|reason| of(reason)))
            .collect();
        assert_eq!(said.len(), 1, "{kind:?}: {events:#?}");
        assert_eq!(said[0].level, expected, "{kind:?}");
        assert_eq!(said[0].fields.get("reason").map(String::as_str), Some(kind.as_str()));
        // The span records how the request ended.
        if *kind != Kind::AnswerDeadline {
            assert!(logged.values("outcome").iter().any(|outcome| of(outcome)), "{kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn unauthenticated_requests_are_not_logged_above_debug() {
    let marker = "m4rk3r";
    let app = app(layer(), &Handler::ok());
    let (logged, _guard) = Logged::begin();
    let marked = |signature: &str| {
        let request = genuine().with_delivery_id(marker).with_kind(marker).with_body(marker).sign();
        let mut request =
            request.with_header("x-scrapest-signature", signature).into_http(marker_path());
        for name in ["user-agent", "x-scrapest-timestamp", "content-type", marker] {
            request.headers_mut().insert(
                axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                marker.parse().unwrap(),
            );
        }
        request
    };
    let well_shaped = format!("sha256={}", "0".repeat(64));
    for signature in ["", marker, &format!("sha256={marker}"), &well_shaped] {
        let request: Request<axum::body::Body> = marked(signature);
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), 401);
    }
    let mut encoded = marked(&well_shaped);
    encoded.headers_mut().insert("content-encoding", marker.parse().unwrap());
    assert_eq!(app.clone().oneshot(encoded).await.unwrap().status(), 415);
    let said = logged.text(Level::INFO);
    assert!(said.contains("malformed_signature") && said.contains("wrong_signature"), "{said}");
    assert!(!said.contains(marker), "{said}");
    // An authentic id is logged.
    let authentic = genuine().with_delivery_id(marker).sign();
    send(&app, &authentic).await;
    assert!(logged.text(Level::INFO).contains(marker));
}

fn marker_path() -> &'static str {
    "/m4rk3r?m4rk3r=m4rk3r"
}

#[tokio::test(start_paused = true)]
async fn an_id_or_a_kind_is_written_escaped_and_cut_at_128_bytes() {
    let time = time_of_a_sample();
    let (logged, _guard) = Logged::begin();
    let handler = Handler::ok();
    let app = app(layer(), &handler);
    let evil = r"\u001b[31m\r\nERROR all is lost\u0000\u0007\u009b2J\u202e\u2028\u007f";
    for nasty in
        [evil.to_owned(), evil.repeat(200), "é".repeat(5_000), format!("x{}", "é".repeat(100))]
    {
        let body = format!(r#"{{"id": "{nasty}", "event": "{nasty}", "timestamp": {time}}}"#);
        let request = genuine().with_delivery_id("").with_body(body).sign();
        assert_eq!(send(&app, &request).await.status(), 200);
        let delivery = handler.deliveries().pop().unwrap();
        let in_debug = format!("{delivery:?}");
        let in_span = ["delivery_id", "kind"].map(|field| logged.values(field).pop().unwrap());
        for said in in_span {
            assert_harmless(&said, 128 * 6 + 10);
            assert_eq!(said.contains('…'), delivery.id().unwrap().len() > 128);
        }
        assert_harmless(&in_debug, 2 * (128 * 6 + 10) + 500);
    }
    // Also from a header, which may have bytes beyond ASCII.
    let mut request = http(&genuine().sign());
    let c1 = axum::http::HeaderValue::from_bytes(b"\xc2\x9b2J\xff\t\xe2\x80\xae").unwrap();
    request.headers_mut().insert("x-scrapest-delivery-id", c1);
    assert_eq!(app.oneshot(request).await.unwrap().status(), 200);
    assert_harmless(&logged.values("delivery_id").pop().unwrap(), 200);
}

/// Also when its client has left, and when it is dropped.
#[tokio::test(start_paused = true)]
async fn a_handler_always_runs_in_the_span_of_its_delivery() {
    type Said = Arc<Mutex<Vec<Option<&'static str>>>>;
    struct Dropped(Said);
    let say = |said: &Said| {
        let name = tracing::Span::current().metadata().map(tracing::Metadata::name);
        said.lock().unwrap().push(name);
    };
    impl Drop for Dropped {
        fn drop(&mut self) {
            let name = tracing::Span::current().metadata().map(tracing::Metadata::name);
            self.0.lock().unwrap().push(name);
        }
    }
    let (_logged, _guard) = Logged::begin();
    let said = Said::default();
    let handler = Handler::new({
        let said = Arc::clone(&said);
        move |_, _| {
            let said = Arc::clone(&said);
            async move {
                let _dropped = Dropped(Arc::clone(&said));
                say(&said);
                tokio::time::sleep(Duration::from_secs(1)).await;
                say(&said);
                200
            }
        }
    });
    let app = app(layer(), &handler);
    assert_eq!(send(&app, &genuine().sign()).await.status(), 200);
    assert_eq!(*said.lock().unwrap(), [Some("webhook"); 3]);

    let request = genuine().sign();
    let left = tokio::time::timeout(Duration::from_millis(500), send(&app, &request));
    assert!(left.await.is_err(), "it leaves before the end");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(*said.lock().unwrap(), [Some("webhook"); 6]);
}

/// Checks for one line of limited length, without terminal control characters.
fn assert_harmless(said: &str, longest: usize) {
    assert!(said.len() <= longest, "{} bytes", said.len());
    let obeyed =
        |char: char| char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2028}');
    assert!(!said.contains(obeyed), "{said:?}");
}

/// The time as it is written in the JSON of a body, with its quotes.
fn time_of_a_sample() -> String {
    let body = String::from_utf8(genuine().sign().body().to_vec()).unwrap();
    body.split_once("\"timestamp\":").unwrap().1.split_once(',').unwrap().0.to_owned()
}
