//! `listen`: its output, its refusals, and its end.

use std::io::BufRead;
use std::time::{Duration, Instant};

use scrapest_webhook::testing;
use tokio::io::AsyncReadExt;

use crate::listening::{
    LONG, Listening, PATH, SECRET, Unread, client, command, eventually, larger_than_a_pipe,
    refused, scrapest,
};
use crate::upstream::{Act, Upstream};

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_event_prints_one_json_line_and_a_duplicate_none() {
    let listening = Listening::start(&[]);
    assert_eq!(listening.url, format!("http://{}{PATH}", listening.address));
    let body = "{\"event\":\"tweet.created\",\n \"timestamp\":\"2026-01-01T00:00:00Z\",\r\n\"n\":12345678901234567890123,\"s\":\"\\u00e9\\n\"}";
    let now = time::OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let now = now.format(&time::format_description::well_known::Rfc3339).unwrap();
    let body = body.replace("2026-01-01T00:00:00Z", &now);
    let request = scrapest().with_body(body.clone()).with_delivery_id("d \"1\"").sign();
    let answer = listening.send(&request).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    // The event is printed with the digits and escapes that were sent. Line breaks between tokens become spaces.
    let event = body.replace(['\r', '\n'], " ");
    let line = format!(
        "{{\"sender\":\"scrapest\",\"delivery_id\":\"d \\\"1\\\"\",\"kind\":\"tweet.created\",\
         \"timestamp\":\"{now}\",\"attempt\":1,\"event\":{event}}}"
    );
    assert_eq!(listening.line(), line);
    assert_eq!(listening.send(&request).await.status, 200);
    listening.says("reason=\"duplicate\"");
    let ended = listening.stop();
    assert_eq!((ended.status.code(), ended.lines), (Some(0), Vec::<String>::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_contracts_of_scrapebadger_are_received_and_a_test_event_has_no_timestamp() {
    let mut command = command();
    command.args(["--sender", "scrapebadger", "--path", "/hooks/badger"]);
    let listening = Listening::of(command);
    assert!(listening.url.ends_with("/hooks/badger"), "{}", listening.url);
    let send = async |request: testing::SignedRequest| {
        let text = String::from_utf8(client::text_to(PATH, &request)).unwrap();
        let text = text.replacen(PATH, "/hooks/badger", 1);
        client::send(listening.address, text.as_bytes()).await.status
    };
    for request in [testing::scrapebadger(SECRET), testing::scrapebadger_contract_2(SECRET)] {
        assert_eq!(send(request.sign()).await, 204);
        let event = listening.event();
        assert_eq!(event["sender"], "scrapebadger");
        assert!(event["timestamp"].is_string(), "{event}");
    }
    let test = testing::scrapebadger(SECRET).with_body(r#"{"type":"test"}"#).sign();
    assert_eq!(send(test).await, 204);
    let event = listening.event();
    assert_eq!(event["kind"], "test");
    assert!(event["timestamp"].is_null(), "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_logged_by_reason_without_content_of_the_request() {
    let listening = Listening::start(&["--max-body", "1KiB", "--past-tolerance", "10m"]);
    let forged = testing::scrapest("a secret that is another").with_delivery_id("canary_id");
    let old = std::time::SystemTime::now() - Duration::from_secs(900);
    for (request, status, reason) in [
        (forged.sign(), 401, "wrong_signature"),
        (
            scrapest().sign().with_header("x-scrapest-signature", "canary_junk"),
            401,
            "malformed_signature",
        ),
        (scrapest().with_time(old).sign(), 401, "stale"),
        (scrapest().sign().with_body(vec![b'a'; 1_025]), 413, "body_too_large"),
        (scrapest().sign().with_header("content-encoding", "gzip"), 415, "content_encoding"),
    ] {
        assert_eq!(listening.send(&request).await.status, status);
        listening.says(&format!("request refused status={status} reason=\"{reason}\""));
    }
    let get = format!("GET {PATH} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let answer = client::send(listening.address, get.as_bytes()).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    listening.says("request refused status=405 reason=\"method_not_allowed\"");
    let elsewhere = get.replacen("GET", "POST", 1).replacen(PATH, "/canary_path?canary_query", 1);
    assert_eq!(client::send(listening.address, elsewhere.as_bytes()).await.status, 404);
    listening.says("a path other than --path");
    // The path is logged because it shows the mistake in the sender's URL. The query may be confidential.
    listening.says("path=\"/canary_path\"");
    let stderr = listening.stderr().replace("/canary_path", "");
    assert!(!stderr.contains("canary_"), "{stderr}");
    assert!(listening.is_silent());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_json_is_422_and_prints_no_line() {
    let listening = Listening::start(&[]);
    let request = scrapest().with_body("no JSON").with_signed_timestamp().sign();
    assert_eq!(listening.send(&request).await.status, 422);
    listening.says("its body is not JSON");
    assert!(listening.is_silent());
}

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_of_a_rotation_are_accepted_and_never_shown() {
    const OLD: &str = "whsec_canary_of_last_month_81";
    let mut command = command();
    command.args(["--sender", "scrapest", "--secret-env", "OLD", "--log-format", "json"]);
    command.env("OLD", OLD).env("RUST_LOG", "trace");
    let listening = Listening::of(command);
    for secret in [SECRET, OLD] {
        let request = testing::scrapest(secret).sign();
        assert_eq!(listening.send(&request).await.status, 204);
        listening.event();
    }
    let ended = listening.stop();
    assert!(ended.stderr.contains("\"TRACE\""), "{}", ended.stderr);
    for line in ended.stderr.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(!line.contains("canary"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_waits_for_the_run_whose_sender_has_left() {
    let upstream = Upstream::start(&[Act::Held]).await;
    let flags = ["--answer-within", "1s", "--forward-timeout", "50s"];
    let listening =
        Listening::start(&[&["--forward", upstream.url().as_str()], &flags[..]].concat());
    assert_eq!(listening.send(&scrapest().sign()).await.status, 503);
    listening.signal("TERM");
    listening.says("waiting for answers");
    // New connections are refused.
    eventually(|| std::net::TcpStream::connect(listening.address).is_err(), || "closed".into());
    assert!(listening.is_silent());
    upstream.let_go();
    let ended = listening.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.lines.len(), 1);
    assert!(ended.stderr.contains("every run has ended"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_waits_until_a_waiting_sender_is_answered() {
    let upstream = Upstream::start(&[Act::Held]).await;
    let url = upstream.url();
    let listening = Listening::start(&["--forward", &url, "--answer-within", "30s"]);
    let request = client::text_to(PATH, &scrapest().sign());
    let address = listening.address;
    let sender = tokio::spawn(async move { client::send(address, &request).await });
    upstream.has_received(1);
    listening.signal("INT");
    listening.says("waiting for answers");
    upstream.let_go();
    assert_eq!(sender.await.unwrap().status, 204);
    assert_eq!(listening.end().status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_process_at_once_with_a_failure() {
    let upstream = Upstream::start(&[Act::Hang]).await;
    let url = upstream.url();
    let flags = ["--forward", &url, "--answer-within", "1s", "--run-limit", "1h"];
    let listening = Listening::start(&[&flags[..], &["--forward-timeout", "1h"]].concat());
    assert_eq!(listening.send(&scrapest().sign()).await.status, 503);
    listening.signal("TERM");
    listening.says("waiting for answers");
    listening.signal("TERM");
    let ended = listening.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("stopped at once"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_does_not_delay_the_shutdown() {
    let listening = Listening::start(&["--answer-within", "30s"]);
    let text = String::from_utf8(client::text_to(PATH, &scrapest().sign())).unwrap();
    let text = text.replacen("connection: close\r\n", "", 1);
    let mut stream = client::begin(listening.address, text.as_bytes()).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
    }
    assert!(answer.starts_with(b"HTTP/1.1 204 "));
    let since = Instant::now();
    assert_eq!(listening.stop().status.code(), Some(0));
    // Without the shutdown, the connection would be closed after ten seconds.
    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_never_end_do_not_hold_a_connection() {
    let listening = Listening::start(&[]);
    let ends = async |begun: &str| {
        let mut stream = client::begin(listening.address, begun.as_bytes()).await;
        let ended = tokio::time::timeout(LONG, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "still open after {LONG:?} and {begun:?}");
    };
    tokio::join!(ends(""), ends("POST /webhooks HTTP/1.1\r\nhost: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_standard_output_it_refuses_deliveries_and_exits_with_an_error() {
    let mut command = command();
    command.args(["--sender", "scrapest"]);
    let (listening, reader) = Unread::start(&mut command);
    drop(reader);
    assert_eq!(listening.send(&scrapest().sign()).await.status, 500);
    assert_eq!(listening.end(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_upstream_it_continues_without_standard_output() {
    let upstream = Upstream::start(&[]).await;
    let mut command = command();
    command.args(["--sender", "scrapest", "--forward", &upstream.url()]);
    let (listening, reader) = Unread::start(&mut command);
    drop(reader);
    for _ in 0..3 {
        assert_eq!(listening.send(&scrapest().sign()).await.status, 204);
    }
    assert_eq!(upstream.received().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_delays_events_but_loses_none() {
    let mut command = command();
    command.args(["--sender", "scrapest", "--answer-within", "1s"]);
    let (listening, reader) = Unread::start(&mut command);
    let request = larger_than_a_pipe(0);
    assert_eq!(listening.send(&request).await.status, 503);
    let line = std::thread::spawn(move || reader.lines().next().unwrap().unwrap()).join().unwrap();
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    let sent: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
    assert!(event["attempt"] == 1 && event["event"] == sent, "{line:.200}");
    let status = listening.send(&request).await.status;
    assert!(status == 200, "the retry gets its outcome, not {status}");
}

#[cfg(target_os = "linux")]
#[test]
fn unwritable_standard_output_is_an_immediate_error() {
    let mut command = command();
    command.args(["--sender", "scrapest"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("error: standard output: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_about_a_port_in_use_names_the_flag() {
    let listening = Listening::start(&[]);
    let address = listening.address.to_string();
    let mut second = command();
    // The arguments of the test's own command, with the address in use.
    second.args(["--sender", "scrapest"]);
    let arguments: Vec<_> = second
        .get_args()
        .map(|argument| argument.to_str().unwrap().replace("127.0.0.1:0", &address))
        .collect();
    let mut second = std::process::Command::new(second.get_program());
    let (code, out, error) = refused(second.args(arguments).env("WEBHOOK_SECRET", SECRET));
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(error.contains(&format!("--listen {address}: ")), "{error}");
    assert!(error.contains("in use"), "{error}");
}

#[test]
fn an_error_about_an_invalid_setting_names_the_flag() {
    for (flags, expected) in [
        (&["--secret-env", "NOT_SET"][..], "--secret-env NOT_SET: "),
        (&["--secret-file", "/nonexistent"], "--secret-file /nonexistent: "),
        (&["--secret-env", "SHORT"], "--secret-env SHORT: secret has 5 bytes"),
        (&["--retention", "1m"], "--retention: is 60s, expected at least"),
        (&["--answer-within", "0s"], "--answer-within: is 0"),
        (&["--run-limit", "0s"], "--run-limit: is 0"),
        (&["--lease", "1ms"], "--lease: is 1ms"),
        (&["--past-tolerance", "100years"], "--past-tolerance <DURATION>"),
        (&["--future-tolerance", "100years"], "--future-tolerance <DURATION>"),
        (&["--max-body", "0"], "--max-body: is 0"),
        (&["--max-body", "65MiB"], "at most 64MiB"),
        (&["--max-body", "1GB"], "--max-body <SIZE>"),
        (&["--lease", "soon"], "--lease <DURATION>"),
        (&["--path", "webhooks"], "--path \"webhooks\": "),
        (&["--path", "/{id}"], "--path \"/{id}\": "),
        (&["--tls-cert", "a"], "--tls-key"),
    ] {
        let mut command = command();
        command.args(["--sender", "scrapest"]).args(flags).env("SHORT", "short");
        let (code, out, error) = refused(&mut command);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{flags:?}: {error}");
        assert!(error.contains(expected), "{flags:?}: {error}");
    }
    let (code, _, error) =
        refused(command().args(["--sender", "scrapest"]).env("RUST_LOG", "a=b=c"));
    assert!(code == Some(2) && error.contains("RUST_LOG"), "{error}");
}
