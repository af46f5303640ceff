//! `listen --queue`, `work` and `queue`, from the delivery to the service.

use std::process::{Child, Command, Stdio};

use serde_json::Value;
use support::Folder;

use crate::listening::{Listening, eventually, refused, scrapest};
use crate::receiving::run;
use crate::upstream::{Act, Upstream};

fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scrapest-webhook"));
    command.args(arguments);
    command
}

/// `work`, which is killed on drop.
struct Working(Child);

impl Working {
    fn start(queue: &str, upstream: &Upstream, flags: &[&str]) -> Self {
        let url = upstream.url();
        let all = [&["work", "--queue", queue, "--forward", &url], flags].concat();
        Self(binary(&all).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Sends SIGTERM, and returns the exit status.
    fn stop(mut self) -> Option<i32> {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn list(queue: &str) -> Vec<Value> {
    let listed = run(&mut binary(&["queue", "list", "--queue", queue, "--json"]));
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    listed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn until_state(queue: &str, state: &str) -> Vec<Value> {
    let all_are = || list(queue).iter().all(|job| job["state"] == state);
    eventually(all_are, || format!("{:?}", list(queue)));
    list(queue)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_stored_and_posted_until_the_service_accepts_it() {
    let folder = Folder::new();
    let queue = format!("sqlite:{}", folder.file("queue.db"));
    let script = [Act::Answer("503 Service Unavailable\r\n"), Act::Reset];
    let upstream = Upstream::start(&script).await;
    let listening = Listening::start(&["--queue", &queue]);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = scrapest().with_delivery_id("d-1").sign();
    let traced = request
        .clone()
        .with_header("traceparent", trace)
        .with_header("content-type", "application/json")
        .with_header("authorization", "Bearer of the sender");
    assert_eq!(listening.send(&traced).await.status, 202);
    assert_eq!(listening.event()["delivery_id"], "d-1");
    assert_eq!(listening.send(&request).await.status, 200, "a duplicate");

    let working = Working::start(&queue, &upstream, &["--backoff", "10ms"]);
    let done = until_state(&queue, "done");
    assert_eq!(
        (done.len(), &done[0]["failed"], &done[0]["body_bytes"]),
        (1, &2.into(), &Value::Null)
    );
    let received = upstream.received();
    assert_eq!(received.len(), 3);
    for (place, one) in received.iter().enumerate() {
        assert_eq!(one.body, request.body()[..]);
        assert_eq!(one.header("webhook-attempt"), Some((place + 1).to_string().as_str()));
        assert_eq!(one.header("webhook-delivery-id"), Some("d-1"));
        assert_eq!(one.header("webhook-event"), Some("tweet.created"));
        assert_eq!(one.header("traceparent"), Some(trace));
        assert_eq!(one.header("content-type"), Some("application/json"));
        assert_eq!(one.header("idempotency-key"), done[0]["key"].as_str());
        assert_eq!(one.header("authorization"), None);
    }
    assert_eq!(working.stop(), Some(0));
    assert_eq!(listening.stop().status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_is_listed_shown_retried_and_dropped() {
    let folder = Folder::new();
    let queue = format!("sqlite:{}", folder.file("queue.db"));
    let upstream = Upstream::start(&[Act::Answer("500 Internal Server Error\r\n"); 2]).await;
    let listening = Listening::start(&["--queue", &queue]);
    let requests = [scrapest().sign(), scrapest().with_delivery_id("d-2").sign()];
    for request in &requests {
        assert_eq!(listening.send(request).await.status, 202);
    }
    let working = Working::start(&queue, &upstream, &["--max-attempts", "1"]);
    let dead = until_state(&queue, "dead");
    assert_eq!(dead.len(), 2);
    assert_eq!(dead[0]["reason"], "the service answered 500");

    let queue_command = |arguments: &[&str]| {
        let all = [&["queue", arguments[0], "--queue", &queue], &arguments[1..]].concat();
        run(&mut binary(&all))
    };
    let listed = queue_command(&["list", "--state", "dead"]);
    assert_eq!(listed.stdout.lines().count(), 2);
    assert!(listed.stdout.contains("the service answered 500"), "{}", listed.stdout);
    let ids: Vec<_> = dead.iter().map(|job| job["id"].to_string()).collect();
    let shown = queue_command(&["show", &ids[0], "--json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["body"], serde_json::from_slice::<Value>(requests[0].body()).unwrap());

    assert_eq!(queue_command(&["drop", &ids[1]]).stdout, format!("{} dropped\n", ids[1]));
    assert_eq!(queue_command(&["retry", "--all-dead"]).stdout, format!("{} retried\n", ids[0]));
    until_state(&queue, "done");
    assert_eq!(upstream.received().len(), 3);
    for (arguments, expected) in [
        (&["retry", &ids[0]][..], "is unchanged"),
        (&["drop", "4711"], "is unchanged"),
        (&["show", "4711"], "no job 4711"),
    ] {
        let ran = queue_command(arguments);
        assert_eq!(ran.code, Some(1));
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    assert_eq!(working.stop(), Some(0));
}

#[test]
fn an_error_about_wrong_flags_says_what_is_valid() {
    let folder = Folder::new();
    let missing = format!("sqlite:{}/not/there/queue.db", folder.path().display());
    for (arguments, expected) in [
        (
            &["work", "--queue", "redis://localhost", "--forward", "http://localhost"][..],
            "--queue: ",
        ),
        (&["work", "--queue", "postgres://u:hunter2@h/d", "--forward", "http://localhost"], "ps"),
        (&["work", "--queue", "sqlite:q.db", "--forward", "localhost:5000"], "http://"),
        (&["work", "--forward", "http://localhost"], "--queue"),
        (&["work", "--queue", "sqlite:q.db"], "--forward"),
        (
            &[
                "work",
                "--queue",
                "sqlite:q.db",
                "--forward",
                "http://localhost",
                "--concurrency",
                "0",
            ],
            "--concurrency: is 0",
        ),
        (&["queue", "list", "--queue", &missing], "not/there"),
        (&["queue", "retry", "--queue", "sqlite:q.db"], "--all-dead"),
        (
            &["listen", "--sender", "scrapest", "--queue", "sqlite:q.db", "--forward", "http://h"],
            "--forward",
        ),
    ] {
        let mut command = binary(arguments);
        command.current_dir(folder.path());
        let (code, stdout, stderr) = refused(&mut command);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?} {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}
