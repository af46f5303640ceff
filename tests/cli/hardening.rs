//! `listen` with a misbehaving service, sender and machine.

use std::os::unix::fs::PermissionsExt;

use futures_util::future::join_all;
use scrapest_webhook::testing;
use support::Folder;

use crate::listening::{Listening, SECRET, scrapest};
use crate::upstream::{Act, Upstream};

#[tokio::test(flavor = "multi_thread")]
async fn endless_100_continue_answers_cause_a_504_and_delay_nothing_else() {
    // One request more than `listen` has threads to forward with.
    let upstream = Upstream::start(&[Act::Continue; 3]).await;
    let url = upstream.url();
    let flags = ["--forward", url.as_str(), "--forward-timeout", "12s", "--answer-within", "90s"];
    let listening = Listening::start(&flags);
    let requests = [(); 3].map(|()| scrapest().sign());
    let forwarded = join_all(requests.iter().map(|request| listening.send(request)));
    let others = async {
        while upstream.received().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        for _ in 0..5 {
            let forged = testing::scrapest("another secret, or none at all").sign();
            assert_eq!(listening.send(&forged).await.status, 401);
        }
    };
    let others_first = async {
        tokio::pin!(others);
        let mut forwarded = std::pin::pin!(forwarded);
        tokio::select! {
            biased;
            _ = &mut forwarded => panic!("5 forged requests took longer than the timeout of 12 s"),
            () = &mut others => {}
        }
        forwarded.await
    };
    for answer in others_first.await {
        assert_eq!(answer.status, 504);
    }
    // On a busy machine a request may time out before the service has read it.
    while upstream.received().len() < requests.len() {
        assert_eq!(listening.send(&requests[0]).await.status, 504);
    }
    // Once the service recovers, it gets every delivery, including those that failed.
    for request in &requests {
        assert_eq!(listening.send(request).await.status, 204, "{}", listening.stderr());
    }
    assert_eq!(listening.stop().status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_values_are_not_passed_on() {
    let script = [
        Act::Answer("503 Service Unavailable\r\nretry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n"),
        Act::Answer("503 Service Unavailable\r\nretry-after: soon\r\n"),
        Act::Answer("503 Service Unavailable\r\nretry-after: 1\r\nretry-after: 2\r\n"),
    ];
    let upstream = Upstream::start(&script).await;
    let listening = Listening::start(&["--forward", upstream.url().as_str()]);
    let answers = ["Fri, 31 Dec 1999 23:59:59 GMT", "", ""];
    let kinds = ["application/json; charset=utf-8", "no type", "text/plain, text/html"];
    for (expected, kind) in answers.into_iter().zip(kinds) {
        let request = scrapest().sign().with_header("content-type", kind);
        let answer = listening.send(&request).await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("retry-after").unwrap_or_default(), expected);
    }
    let received = upstream.received();
    let kinds: Vec<_> = received.iter().map(|one| one.header("content-type")).collect();
    assert_eq!(kinds, [Some("application/json; charset=utf-8"), None, None]);
    listening.says("left out of the forwarded request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_readable_secret_file_is_used_and_reported_once() {
    let folder = Folder::new();
    let file = folder.write("secret", SECRET);
    for (mode, warned) in [(0o644, 1), (0o606, 1), (0o640, 0), (0o600, 0)] {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_scrapest-webhook"));
        command.args(["listen", "--sender", "scrapest", "--secret-file", &file]);
        command.args(["--listen", "127.0.0.1:0"]);
        let listening = Listening::of(command);
        assert_eq!(listening.send(&scrapest().sign()).await.status, 204);
        let said = listening.stop().stderr;
        let warning = format!("has mode {mode:03o}, so every user of this machine can use it");
        assert_eq!(said.matches(&warning).count(), warned, "{mode:o}: {said}");
        assert_eq!(said.matches("has mode").count(), warned, "{mode:o}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_shuts_down_gracefully_like_sigterm() {
    let upstream = Upstream::start(&[Act::Held]).await;
    let listening = Listening::start(&["--forward", upstream.url().as_str()]);
    let request = scrapest().sign();
    let stop = async {
        while upstream.received().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        listening.signal("HUP");
        listening.says("stopping");
        upstream.let_go();
    };
    let (answer, ()) = tokio::join!(listening.send(&request), stop);
    assert_eq!(answer.status, 204, "the run in progress ends");
    let ended = listening.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("SIGHUP"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_half_of_the_recordings_for_authentic_requests() {
    let folder = Folder::new();
    let flags = ["--record", folder.path().to_str().unwrap(), "--record-limit", "4"];
    let forged = testing::scrapest("a secret that is another").sign();
    for kept in [2, 2] {
        let listening = Listening::start(&flags);
        for _ in 0..3 {
            assert_eq!(listening.send(&forged).await.status, 401);
        }
        let ended = listening.stop();
        assert_eq!(crate::record::recordings(folder.path()).len(), kept, "{}", ended.stderr);
        let said = ended.stderr.matches("that the sender did not sign are no longer").count();
        assert_eq!(said, 1, "{}", ended.stderr);
    }
    let listening = Listening::start(&flags);
    for _ in 0..3 {
        assert_eq!(listening.send(&scrapest().sign()).await.status, 204);
    }
    listening.stop();
    assert_eq!(crate::record::recordings(folder.path()).len(), 4);
}
