//! `listen --store`: which deliveries are remembered, by store.

use support::servers::{postgres, redis};
use support::{Folder, free_port};

use crate::listening::{Listening, PATH, command, refused, scrapest};
use crate::upstream::{Act, Upstream};

/// Checks any store: one line per delivery, which is still known after a restart if the store is persistent.
async fn remembers(url: &str, lasts: bool) {
    let start = || {
        let mut command = command();
        command.args(["--sender", "scrapest", "--store-env", "STORE"]).env("STORE", url);
        command.env("RUST_LOG", "trace");
        Listening::of(command)
    };
    let listening = start();
    let request = scrapest().with_delivery_id("d-1").sign();
    assert_eq!(listening.send(&request).await.status, 204, "{}", listening.stderr());
    assert_eq!(listening.event()["delivery_id"], "d-1");
    assert_eq!(listening.send(&request).await.status, 200);
    let ended = listening.stop();
    assert_eq!((ended.status.code(), ended.lines.len()), (Some(0), 0), "{}", ended.stderr);
    assert!(!ended.stderr.contains(postgres::PASSWORD), "{}", ended.stderr);

    let listening = start();
    let status = listening.send(&request).await.status;
    assert_eq!(status, if lasts { 200 } else { 204 }, "{}", listening.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_remembers_until_the_process_ends() {
    remembers("memory:", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_creates_its_file_and_remembers_across_a_restart() {
    let folder = Folder::new();
    let file = folder.file("deliveries.db");
    remembers(&format!("sqlite:{file}"), true).await;
    assert!(std::path::Path::new(&file).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_remembers_across_a_restart() {
    if let Some(server) = redis::RedisServer::start(redis::DURABLE) {
        remembers(&server.url(), true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_remembers_across_a_restart() {
    if let Some(server) = postgres::Postgres::start(&[]) {
        remembers(&server.url(), true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_causes_a_503_and_no_event() {
    let store = format!("redis://127.0.0.1:{}", free_port());
    let listening = Listening::start(&["--store", &store, "--answer-within", "500ms"]);
    let answer = listening.send(&scrapest().sign()).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    listening.says("store_down");
    assert!(listening.is_silent());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unrecorded_success_makes_the_exit_status_a_failure() {
    let Some(mut server) = redis::RedisServer::start(redis::DURABLE) else { return };
    let upstream = Upstream::start(&[Act::Held]).await;
    let (store, url) = (server.url(), upstream.url());
    let flags = ["--store", &store, "--forward", &url, "--run-limit", "8s"];
    let waits = ["--answer-within", "1s", "--forward-timeout", "8s"];
    let listening = Listening::start(&[&flags[..], &waits[..]].concat());
    assert_eq!(listening.send(&scrapest().sign()).await.status, 503);
    upstream.has_received(1);
    server.kill();
    upstream.let_go();
    // The attempt succeeded, and is reported.
    assert_eq!(listening.event()["attempt"], 1);
    let ended = listening.stop();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("stopped before every run had ended"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_namespaces_in_one_store_are_two_webhooks() {
    let folder = Folder::new();
    let store = format!("sqlite:{}", folder.file("deliveries.db"));
    let request = scrapest().sign();
    for namespace in ["a", "b"] {
        let listening = Listening::start(&["--store", &store, "--namespace", namespace]);
        assert!(listening.url.ends_with(PATH));
        assert_eq!(listening.send(&request).await.status, 204);
    }
}

#[test]
fn an_error_about_a_store_names_the_flag_and_not_the_url() {
    for (flags, expected) in [
        (
            ["--store", "hunter2"],
            "--store: has a URL of an unknown scheme, expected one of: memory",
        ),
        (["--store", "redis://:hunter2@h:99999"], "--store: "),
        (["--store-env", "NOT_SET"], "--store-env NOT_SET: is not set"),
    ] {
        let (code, out, error) = refused(command().args(["--sender", "scrapest"]).args(flags));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{error}");
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
}
