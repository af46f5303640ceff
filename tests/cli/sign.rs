//! A receiver accepts the output of `sign`.

use axum::body::Body;
use axum::http::Request;
use axum::routing::post;
use scrapest_webhook::{Delivery, ScrapeBadgerWebhookLayer, ScrapestWebhookLayer};
use support::Folder;
use tower::ServiceExt;

use crate::receiving::{SECRET, command, run, run_with_input};

/// Builds the request that curl sends with `-H @headers --data-binary @body`.
fn request(headers: &str, body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::post("/");
    for line in headers.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    request.body(body.into()).unwrap()
}

async fn answer(sender: &str, request: Request<Body>) -> String {
    let handler = async |delivery: Delivery| {
        format!("{} {}", delivery.id().unwrap_or_default(), delivery.kind().unwrap_or_default())
    };
    let response = match sender {
        "scrapest" => {
            post(handler).route_layer(ScrapestWebhookLayer::new(SECRET)).oneshot(request).await
        }
        _ => {
            post(handler).route_layer(ScrapeBadgerWebhookLayer::new(SECRET)).oneshot(request).await
        }
    };
    let body = axum::body::to_bytes(response.unwrap().into_body(), 1_000).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_receiver_accepts_what_sign_prints() {
    for (flags, kind) in [
        ("--sender scrapest", "tweet.created"),
        ("--sender scrapest --event user.updated", "user.updated"),
        ("--sender scrapest --signed-timestamp", "tweet.created"),
        ("--sender scrapest --event new.kind", "new.kind"),
        ("--sender scrapebadger", "tweet"),
        ("--sender scrapebadger --event test", "test"),
        ("--sender scrapebadger --contract 2", "tweet.detected"),
    ] {
        let folder = Folder::new();
        let body = folder.file("body");
        let flags = format!("sign {flags} --secret-env SECRET --id delivery-1 --body-out {body}");
        let ran = run(&mut command(&flags));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let sender = if flags.contains("--sender scrapest ") { "scrapest" } else { "scrapebadger" };
        let request = request(&ran.stdout, std::fs::read(&body).unwrap());
        assert_eq!(answer(sender, request).await, format!("delivery-1 {kind}"), "{flags}");
    }
}

#[test]
fn the_senders_sdk_accepts_the_printed_signature() {
    let expected = "x-scrapebadger-signature: \
                    sha256=2ce13bdc2be5fac3a6e0993bd16834d2cd1df3cf32facd66e7d56e905d7f6f3a";
    let body = std::fs::read("tests/fixtures/scrapebadger-tweet.json").unwrap();
    let flags = "sign --sender scrapebadger --secret-env SECRET --file";
    let from_file = run(&mut command(&format!("{flags} tests/fixtures/scrapebadger-tweet.json")));
    let from_stdin = run_with_input(&mut command(&format!("{flags} -")), &body);
    for ran in [from_file, from_stdin] {
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.lines().any(|line| line == expected), "{ran:?}");
    }
}

#[test]
fn a_secret_file_may_end_with_a_line_end() {
    let folder = Folder::new();
    let secret = folder.write("secret", format!("{SECRET}\n"));
    let flags = "sign --sender scrapebadger --file tests/fixtures/scrapebadger-tweet.json";
    let ran = run(&mut command(&format!("{flags} --secret-file {secret}")));
    assert!(ran.stdout.contains("sha256=2ce13bdc2be5fac3"), "{ran:?}");
}

#[test]
fn the_event_header_matches_the_body() {
    let flags = "sign --sender scrapest --secret-env SECRET --file tests/fixtures/scrapest-user-updated.json";
    let ran = run(&mut command(flags));
    assert!(ran.stdout.contains("x-scrapest-event: user.updated\n"), "{ran:?}");
    let ran = run(&mut command(&format!("{flags} --event other.kind")));
    assert!(ran.stdout.contains("x-scrapest-event: other.kind\n"), "{ran:?}");
}

#[test]
fn the_time_is_accepted_in_both_forms() {
    for time in ["2026-03-04T12:00:00Z", "1772625600", "2026-03-04T13:00:00+01:00"] {
        let flags = "sign --sender scrapest --secret-env SECRET --body-out /dev/null --timestamp";
        let ran = run(&mut command(&format!("{flags} {time}")));
        assert!(ran.stdout.contains("x-scrapest-timestamp: 1772625600\n"), "{ran:?}");
    }
}

#[test]
fn an_error_names_the_flag_and_what_to_do() {
    for (flags, expected) in [
        ("--sender scrapest", "--secret-env"),
        ("--sender scrapest --secret-env NOT_SET", "--secret-env NOT_SET: "),
        ("--sender scrapest --secret-file /not/there", "--secret-file /not/there: "),
        ("--sender scrapest --secret-env SHORT --body-out /dev/null", "--secret-env SHORT: secret"),
        ("--sender scrapest --secret-env SECRET --secret-env SECRET", "2 secrets are given"),
        ("--sender scrapest --secret-env SECRET", "--body-out: is missing"),
        (
            "--sender scrapest --secret-env SECRET --file /not/there",
            "--file /not/there: cannot be read",
        ),
        ("--sender scrapest --secret-env SECRET --contract 2", "--contract: "),
        ("--sender scrapest --secret-env SECRET --timestamp noon", "--timestamp"),
        (
            "--sender scrapest --secret-env SECRET --body-out /not/there/body",
            "--body-out /not/there/body ",
        ),
        ("--sender scrapebadger --secret-env SECRET --signed-timestamp", "--signed-timestamp: "),
        (
            "--sender scrapebadger --secret-env SECRET --file /dev/null --timestamp 1",
            "--timestamp: ",
        ),
    ] {
        let ran = run(command(&format!("sign {flags}")).env("SHORT", "7 bytes"));
        assert_eq!(ran.code, Some(2), "{flags}: {ran:?}");
        assert!(ran.stderr.contains(expected), "{flags}: {ran:?}");
        assert_eq!(ran.stdout, "", "{flags}");
    }
}

#[test]
fn an_id_that_is_not_a_valid_header_value_is_refused() {
    let flags = "sign --sender scrapest --secret-env SECRET --body-out /dev/null";
    let ran = run(command(flags).args(["--id", "one\ntwo"]));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("--id"), "{ran:?}");
}

#[test]
fn curl_can_post_the_printed_request_as_it_was_signed() {
    let sign = "sign --sender scrapest --secret-env SECRET --event tweet.created --id d-1";
    let ran = run(&mut command(&format!("{sign} --body")));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let (headers, body) = ran.stdout.split_once("\n\n").unwrap();
    assert!(headers.contains("x-scrapest-signature: sha256="), "{headers}");
    assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");

    let application =
        crate::receiving::Application::start::<scrapest_webhook::scrapest::Scrapest>();
    // Characters that are special to a shell are sent unchanged.
    let time = time::OffsetDateTime::now_utc().unix_timestamp();
    for text in ["it's $HOME `id`", "a\\u0007\\r\\n", "\u{202e}\u{9b}31m"] {
        let body =
            format!("{{\"event\":\"tweet.created\",\"timestamp\":{time},\"text\":\"{text}\"}}");
        let flags = format!(
            "sign --sender scrapest --secret-env SECRET --file - --curl {}",
            application.url
        );
        let ran = run_with_input(&mut command(&flags), body.as_bytes());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let shell = std::process::Command::new("sh").args(["-c", &ran.stdout]).output().unwrap();
        let answer = String::from_utf8_lossy(&shell.stdout);
        assert!(answer.starts_with("HTTP/1.1 204"), "{}: {shell:?}", ran.stdout);
        assert_eq!(application.handled.lock().unwrap().pop().unwrap().body(), body.as_bytes());
    }
    let ran = run(&mut command(&format!("{sign} --curl http://TOKEN@127.0.0.1/")));
    assert!(ran.code == Some(2) && !ran.stderr.contains("TOKEN"), "{ran:?}");
}
