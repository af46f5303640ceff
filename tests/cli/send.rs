//! `send` delivers like the senders.

use std::collections::HashSet;
use std::process::Command;
use std::time::{Duration, Instant};

use scrapest_webhook::scrapebadger::ScrapeBadger;
use scrapest_webhook::scrapest::Scrapest;
use serde_json::Value;
use support::Folder;
use support::free_port;

use crate::receiving::{
    Application, Ran, SECRET, Script, Step, command, run, run_with_input, spawn,
};

fn to(url: &str, flags: &str) -> Command {
    command(&format!("send --sender scrapest --secret-env SECRET --to {url} {flags}"))
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[test]
fn the_layer_accepts_sent_deliveries() {
    let (scrapest, badger) =
        (Application::start::<Scrapest>(), Application::start::<ScrapeBadger>());
    for (flags, receiver) in [
        ("--sender scrapest", &scrapest),
        ("--sender scrapest --signed-timestamp", &scrapest),
        ("--sender scrapest --event new.kind --id my-own", &scrapest),
        ("--sender scrapebadger", &badger),
        ("--sender scrapebadger --contract 2", &badger),
    ] {
        let before = receiver.handled();
        let flags = format!("send {flags} --secret-env SECRET --to {}", receiver.url);
        let ran = run(&mut command(&flags));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.starts_with("deliveries  1: 1 delivered, 0 given up\n"), "{ran:?}");
        assert!(ran.stdout.contains("1 × 204") && ran.stdout.contains("p99"), "{ran:?}");
        assert_eq!(receiver.handled(), before + 1, "{flags}");
    }
    let handled = scrapest.handled.lock().unwrap();
    assert_eq!((handled[2].id(), handled[2].kind()), (Some("my-own"), Some("new.kind")));
}

#[test]
fn a_retry_keeps_the_id_and_the_bytes_and_waits_for_its_turn() {
    let script = Script::start([Step::Answer(503), Step::Hang, Step::Reset, Step::Answer(201)]);
    let flags = "--timeout 2s --backoff 300ms,100ms --json";
    let ran = run(&mut to(&script.url, flags));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let seen = script.seen();
    assert_eq!(seen.len(), 4);
    assert!(
        seen.iter().all(|one| one.head == seen[0].head && one.body == seen[0].body),
        "{seen:?}"
    );
    // After a 503; after the timeout, which started before the script saw the request; after the second pause
    // again.
    for (pair, least) in seen.windows(2).zip([300, 1_000, 100]) {
        let pause = pair[1].at - pair[0].at;
        assert!(pause >= Duration::from_millis(least), "{pause:?} < {least} ms");
    }
    let summary = json(&ran);
    assert_eq!((&summary["delivered"], &summary["retries"]), (&1.into(), &3.into()), "{summary}");
    assert_eq!(
        (&summary["answers"]["503"], &summary["answers"]["timeout"]),
        (&1.into(), &1.into()),
        "{summary}"
    );
    assert!(ran.stdout.contains("broken off: "), "{ran:?}");
}

#[test]
fn a_delivery_is_given_up_after_the_senders_retries() {
    for (sender, attempts) in [("scrapest", 6), ("scrapebadger", 4)] {
        let script = Script::start([Step::Answer(500)]);
        let flags =
            format!("send --sender {sender} --secret-env SECRET --backoff 1ms --to {}", script.url);
        let ran = run(&mut command(&flags));
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.starts_with("deliveries  1: 0 delivered, 1 given up\n"), "{ran:?}");
        assert_eq!(script.seen().len(), attempts);
    }
}

#[test]
fn an_unreachable_receiver_is_reported_as_such() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let ran = run(&mut to(&nobody, "--retries 0"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("1 × no connection: "), "{ran:?}");
}

/// As in a container that contains only the binary.
#[test]
fn without_system_certificates_http_works_and_https_names_the_cause() {
    let receiver = Application::start::<Scrapest>();
    let bare = |url: &str| {
        let mut command = to(url, "--retries 0");
        command.env("SSL_CERT_FILE", "/not/there").env("SSL_CERT_DIR", "/not/there");
        run(&mut command)
    };
    assert_eq!(bare(&receiver.url).code, Some(0));
    let ran = bare(&receiver.url.replace("http", "https"));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.starts_with("error: --to: https needs trusted certificates"), "{ran:?}");
}

#[test]
fn a_redirect_is_a_failure_and_is_not_followed() {
    let other = Script::start([Step::Answer(200)]);
    let script = Script::start([Step::Redirect(other.url.clone())]);
    let ran = run(&mut to(&script.url, "--retries 0"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("1 × 307"), "{ran:?}");
    assert_eq!(other.seen().len(), 0);
}

#[test]
fn deliveries_start_on_schedule_while_others_await_their_answer() {
    let script = Script::start([Step::AnswerAfter(Duration::from_secs(2))]);
    let ran = run(&mut to(&script.url, "--count 5 --rate 10 --json"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(script.most.load(std::sync::atomic::Ordering::SeqCst) > 1, "sent one after the other");
    // The last delivery is due after 0.4 s.
    assert!(json(&ran)["seconds"].as_f64().unwrap() >= 2.4, "all at once: {ran:?}");
}

#[test]
fn a_late_start_counts_as_latency() {
    let script = Script::start([Step::AnswerAfter(Duration::from_millis(300))]);
    let ran = run(&mut to(&script.url, "--count 4 --rate 1000 --concurrency 1 --json"));
    // The fourth was due at once, and started after three others.
    let longest = json(&ran)["latency_ms"]["max"].as_f64().unwrap();
    assert!(longest >= 1_000.0, "{ran:?}");
    assert_eq!(script.most.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn concurrent_deliveries_stay_within_the_limit() {
    let script = Script::start([Step::AnswerAfter(Duration::from_millis(50))]);
    let ran = run(&mut to(&script.url, "--count 12 --concurrency 3"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let most = script.most.load(std::sync::atomic::Ordering::SeqCst);
    assert!((2..=3).contains(&most), "{most}");
}

#[test]
fn duplicates_are_one_delivery_and_are_handled_once() {
    let receiver = Application::start::<Scrapest>();
    let ran = run(&mut to(&receiver.url, "--count 3 --duplicates 4"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("deliveries  15: 15 delivered"), "{ran:?}");
    assert_eq!(receiver.handled(), 3);
    let script = Script::start([Step::AnswerAfter(Duration::from_secs(1))]);
    let started = Instant::now();
    assert_eq!(run(&mut to(&script.url, "--duplicates 7")).code, Some(0));
    assert!(started.elapsed() < Duration::from_secs(7), "not at the same time");
    let distinct: HashSet<_> =
        script.seen().into_iter().map(|seen| (seen.head, seen.body)).collect();
    assert_eq!((distinct.len(), script.seen().len()), (1, 8));
}

#[test]
fn a_body_from_a_file_or_recording_is_signed_again() {
    let script = Script::start([Step::Answer(200)]);
    let body = r#"{"event":"user.updated","timestamp":1,"data":{"id":"1"}}"#;
    let recording = format!(
        "POST /old HTTP/1.1\r\nx-scrapest-signature: sha256=00\r\ncookie: own\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let folder = Folder::new();
    for content in [body, &recording] {
        let file = folder.write("content", content);
        assert_eq!(run(&mut to(&script.url, &format!("--file {file}"))).code, Some(0));
        let ran = run_with_input(&mut to(&script.url, "--file -"), content.as_bytes());
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let seen = script.seen();
    assert_eq!(seen.len(), 4);
    for one in seen {
        assert_eq!(one.body, body.as_bytes());
        assert!(one.head.starts_with("POST / HTTP/1.1"), "{one:?}");
        assert!(one.head.contains("x-scrapest-event: user.updated"), "{one:?}");
        assert!(!one.head.contains("sha256=00") && !one.head.contains("cookie"), "{one:?}");
    }
}

#[test]
fn a_note_is_printed_if_many_deliveries_have_the_same_bytes() {
    let script = Script::start([Step::Answer(200)]);
    let ran =
        run(&mut to(&script.url, "--count 2 --file tests/fixtures/scrapest-user-updated.json"));
    assert!(ran.stderr.starts_with("note: all 2 deliveries have the same bytes"), "{ran:?}");
    let ran = run(&mut to(&script.url, "--count 2 --id d-1"));
    assert!(ran.stderr.starts_with("note: all 2 deliveries have the same id"), "{ran:?}");
    // There is no progress bar without a terminal.
    let ran = run(&mut to(&script.url, "--count 20"));
    assert_eq!(ran.stderr, "", "{ran:?}");
}

#[test]
fn ctrl_c_prints_the_results_so_far() {
    let script = Script::start([Step::Answer(200), Step::Hang]);
    let child = spawn(&mut to(&script.url, "--count 100 --rate 20 --concurrency 2"));
    script.wait_for(3);
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.starts_with("deliveries  100: 1 delivered, 0 given up\ninterrupted 99 "),
        "{ran:?}"
    );
}

#[test]
fn the_secret_never_appears_on_a_command_line_or_in_a_request() {
    let script = Script::start([Step::Hang]);
    let mut child = spawn(&mut to(&script.url, ""));
    script.wait_for(1);
    let line = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    child.kill().unwrap();
    _ = Ran::from(child.wait_with_output().unwrap());
    assert!(!String::from_utf8_lossy(&line).contains(SECRET));
    let seen = &script.seen()[0];
    assert!(!seen.head.contains(SECRET) && !String::from_utf8_lossy(&seen.body).contains(SECRET));
}

#[test]
fn an_error_names_the_flag_and_what_to_do() {
    for (flags, expected) in [
        ("--to ftp://127.0.0.1", "begins with http:// or https://"),
        ("--to nonsense", "--to"),
        ("--to http://me:password@127.0.0.1", "has a password"),
        ("--to http://127.0.0.1 --rate 0", "--rate"),
        ("--to http://127.0.0.1 --rate inf", "from 0.001 to 1000000"),
        ("--to http://127.0.0.1 --count 0", "--count"),
        ("--to http://127.0.0.1 --concurrency 0", "--concurrency"),
        ("--to http://127.0.0.1 --backoff soon", "--backoff"),
        ("--to http://127.0.0.1 --ca-cert /not/there", "--ca-cert /not/there: cannot be read"),
        (
            "--to http://127.0.0.1 --ca-cert Cargo.toml",
            "--ca-cert Cargo.toml: expected certificates",
        ),
        ("--to http://127.0.0.1 --file /not/there", "--file /not/there: cannot be read"),
        ("", "--to"),
    ] {
        let ran = run(&mut command(&format!("send --sender scrapest --secret-env SECRET {flags}")));
        assert_eq!(ran.code, Some(2), "{flags}: {ran:?}");
        assert!(ran.stderr.contains(expected), "{flags}: {ran:?}");
        assert_eq!(ran.stdout, "", "{flags}");
    }
}

#[test]
fn trigger_sends_one_sample_and_an_unknown_kind_causes_a_warning() {
    let application = Application::start::<Scrapest>();
    let trigger = |kind| {
        format!("trigger {kind} --sender scrapest --secret-env SECRET --to {}", application.url)
    };
    let ran = run(&mut command(&trigger("tweet.updated")));
    assert!(ran.code == Some(0) && ran.stderr.is_empty(), "{ran:?}");
    assert_eq!(application.handled.lock().unwrap()[0].kind(), Some("tweet.updated"));
    let ran = run(&mut command(&trigger("tweet.updatd")));
    assert!(ran.stderr.contains("does not document the kind \"tweet.updatd\""), "{ran:?}");
    let help = run(&mut command("send --help")).stdout;
    for kind in ["tweet.created", "webhook.verified", "tweet.detected"] {
        assert!(help.contains(kind), "{kind}: {help}");
    }
}
