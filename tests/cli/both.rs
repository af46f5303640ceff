//! `send` against `listen`, with no code of the tests in between.

use std::collections::HashSet;
use std::process::Command;

use serde_json::Value;
use support::Folder;
use support::servers::{postgres, redis};

use crate::listening::{self, Listening};
use crate::receiving::{command, run};
use crate::record::recordings;
use crate::tls;

/// `send` with the secret of `listen`.
fn send(to: &Listening, flags: &str) -> Command {
    let mut command =
        command(&format!("send --sender scrapest --secret-env SECRET --to {} {flags}", to.url));
    command.env("SECRET", listening::SECRET);
    command
}

/// Each delivery prints one line, however often it is sent. An attack prints none.
fn each_once(store: &str) {
    let mut listen = listening::command();
    listen.args(["--sender", "scrapest", "--store-env", "STORE"]).env("STORE", store);
    let listening = Listening::of(listen);

    let ran = run(&mut send(&listening, "--count 25 --duplicates 3 --concurrency 8 --json"));
    assert_eq!(ran.code, Some(0), "{ran:?} {}", listening.stderr());
    let summary: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(summary["deliveries"], 100, "{summary}");
    for attack in ["--forge", "--stale", "--tamper", "--gzip", "--oversize"] {
        let ran = run(&mut send(&listening, attack));
        assert_eq!(ran.code, Some(0), "{attack}: {ran:?}");
    }
    // The first request is genuine, and the second is a replay of it.
    assert_eq!(run(&mut send(&listening, "--replay-new-id")).code, Some(0));

    let ended = listening.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let ids = ended.lines.iter().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["delivery_id"].as_str().unwrap().to_owned()
    });
    assert_eq!(ids.collect::<HashSet<_>>().len(), 26);
    assert_eq!(ended.lines.len(), 26);
}

#[test]
fn on_memory_each_delivery_is_one_line() {
    each_once("memory:");
}

#[test]
fn on_sqlite_each_delivery_is_one_line() {
    let folder = Folder::new();
    each_once(&format!("sqlite:{}", folder.file("deliveries.db")));
}

#[test]
fn on_redis_each_delivery_is_one_line() {
    if let Some(server) = redis::RedisServer::start(redis::DURABLE) {
        each_once(&server.url());
    }
}

#[test]
fn on_postgres_each_delivery_is_one_line() {
    if let Some(server) = postgres::Postgres::start(&[]) {
        each_once(&server.url());
    }
}

#[test]
fn a_recording_of_listen_can_be_verified_and_sent_again() {
    let folder = Folder::new();
    let listening = Listening::start(&["--record", folder.path().to_str().unwrap()]);
    assert_eq!(run(&mut send(&listening, "--id d-1")).code, Some(0));
    let first = listening.event();
    listening::eventually(|| recordings(folder.path()).len() == 1, || "a recording".into());
    let recording = recordings(folder.path()).remove(0);
    let recording = recording.to_str().unwrap();

    let verify = format!("verify --sender scrapest --secret-env SECRET --file {recording}");
    let ran = run(command(&verify).env("SECRET", listening::SECRET));
    assert!(ran.code == Some(0) && ran.stdout.starts_with("valid: delivery d-1"), "{ran:?}");
    let ran = run(command(&verify).env("SECRET", "another secret, not this"));
    assert!(ran.code == Some(1) && ran.stdout.contains("wrong_signature"), "{ran:?}");

    // The same bytes have the same signature, so the request is a replay under any id.
    let sent = run(&mut send(&listening, &format!("--file {recording} --id d-2")));
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(sent.stdout.contains("1 × 200"), "{sent:?}");
    assert!(listening.is_silent(), "after {first}");
}

#[test]
fn a_truncated_recording_is_reported_and_not_signed_again() {
    let folder = Folder::new();
    let directory = folder.path().to_str().unwrap();
    let listening = Listening::start(&["--record", directory, "--max-body", "100"]);
    assert_eq!(run(&mut send(&listening, "--retries 0")).code, Some(1));
    listening::eventually(|| recordings(folder.path()).len() == 1, || "a recording".into());
    let recording = recordings(folder.path()).remove(0);
    let recording = recording.to_str().unwrap();

    let verify = format!("verify --sender scrapest --secret-env SECRET --file {recording}");
    let ran = run(command(&verify).env("SECRET", listening::SECRET));
    assert!(ran.code == Some(1) && ran.stdout.contains("incomplete in the recording"), "{ran:?}");
    let ran = run(&mut send(&listening, &format!("--file {recording}")));
    assert!(
        ran.code == Some(2) && ran.stderr.contains("a recording with an incomplete body"),
        "{ran:?}"
    );
}

#[test]
fn tls_deliveries_trust_the_configured_certificate() {
    let folder = Folder::new();
    let pair = tls::pair(&folder, "a");
    let listening = Listening::start(&["--tls-cert", &pair.cert, "--tls-key", &pair.key]);
    let sent = run(&mut send(&listening, &format!("--ca-cert {}", pair.cert)));
    assert_eq!(sent.code, Some(0), "{sent:?}");
    listening.event();
    let sent = run(&mut send(&listening, "--retries 0"));
    assert_eq!(sent.code, Some(1), "{sent:?}");
}
