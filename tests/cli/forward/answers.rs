//! `listen --forward`: the answer to the sender when the service answers, fails, hangs, or is late.

use std::time::Duration;

use support::free_port;

use super::forwarding;
use crate::listening::{Listening, Unread, command, larger_than_a_pipe, scrapest};
use crate::upstream::{Act, Upstream};

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_upstream_does_not_swallow_the_retry() {
    let script = [
        Act::Answer("500 Internal Server Error\r\n"),
        Act::Answer("429 Too Many Requests\r\nretry-after: 7\r\nx-private: a\r\n"),
        Act::Reset,
    ];
    let upstream = Upstream::start(&script).await;
    let listening = forwarding(&upstream, &[]);
    let request = scrapest().sign();

    assert_eq!(listening.send(&request).await.status, 500);
    let answer = listening.send(&request).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
    assert_eq!(answer.header("x-private"), None);
    assert_eq!(listening.send(&request).await.status, 502);
    assert!(listening.is_silent(), "nothing was accepted yet");
    // The service recovers.
    assert_eq!(listening.send(&request).await.status, 204);
    assert_eq!(listening.event()["attempt"], 4);
    // A duplicate does not reach the service.
    assert_eq!(listening.send(&request).await.status, 200);
    assert!(listening.is_silent());

    let received = upstream.received();
    assert_eq!(received.len(), 4);
    let all = |name: &str| -> Vec<_> {
        received.iter().map(|one| one.header(name).unwrap().to_owned()).collect()
    };
    assert_eq!(all("webhook-attempt"), ["1", "2", "3", "4"]);
    let keys = all("idempotency-key");
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    let fences: Vec<u64> =
        all("webhook-fence").iter().map(|fence| fence.parse().unwrap()).collect();
    assert!(fences.is_sorted_by(|a, b| a < b), "{fences:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_upstream_is_answered_504_and_the_retry_reaches_it() {
    let upstream = Upstream::start(&[Act::Hang]).await;
    let listening = forwarding(&upstream, &["--answer-within", "20s", "--forward-timeout", "3s"]);
    let request = scrapest().sign();
    assert_eq!(listening.send(&request).await.status, 504);
    assert_eq!(listening.send(&request).await.status, 204);
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_refuses_connections_is_answered_502() {
    let nobody = format!("http://127.0.0.1:{}/", free_port());
    let listening = Listening::start(&["--forward", &nobody]);
    let request = scrapest().sign();
    assert_eq!(listening.send(&request).await.status, 502);
    assert!(listening.is_silent());
    listening.says("forwarding failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_but_reaches_the_sender_without_its_location() {
    let elsewhere = Upstream::start(&[]).await;
    let head = format!("307 Temporary Redirect\r\nlocation: {}\r\n", elsewhere.url());
    let upstream = Upstream::start(&[Act::Answer(head.leak())]).await;
    let listening = forwarding(&upstream, &[]);
    let answer = listening.send(&scrapest().sign()).await;
    assert_eq!((answer.status, answer.header("location")), (307, None));
    assert!(listening.is_silent());
    assert_eq!(elsewhere.received().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_switch_is_not_a_valid_answer() {
    let upstream =
        Upstream::start(&[Act::Answer("101 Switching Protocols\r\nupgrade: x\r\n")]).await;
    let listening = forwarding(&upstream, &[]);
    assert_eq!(listening.send(&scrapest().sign()).await.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_outlasts_the_answer_deadline_and_the_retry_gets_its_outcome() {
    let upstream = Upstream::start(&[Act::Held]).await;
    let flags = ["--answer-within", "1s", "--forward-timeout", "30s"];
    let listening = forwarding(&upstream, &flags);
    let request = scrapest().sign();
    let answer = listening.send(&request).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    listening.says("answer_deadline");
    // The first request is still running, so there is no second one.
    assert_eq!(listening.send(&request).await.status, 503);
    assert_eq!(upstream.received().len(), 1);
    assert!(listening.is_silent());
    upstream.let_go();
    assert_eq!(listening.event()["attempt"], 1);
    assert_eq!(listening.send(&request).await.status, 200);
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_output_line_does_not_undo_an_accepted_delivery() {
    let upstream = Upstream::start(&[]).await;
    let mut command = command();
    command.args(["--sender", "scrapest", "--run-limit", "10s", "--answer-within", "20s"]);
    let (listening, _reader) = Unread::start(command.args(["--forward", &upstream.url()]));
    for id in 0..3 {
        let request = larger_than_a_pipe(id);
        assert_eq!(listening.send(&request).await.status, 204);
        assert_eq!(listening.send(&request).await.status, 200);
    }
    assert_eq!(upstream.received().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_2xx_just_before_the_run_limit_is_a_success() {
    // The lines are not read, so each delivery waits for its own line, beyond the limit.
    let upstream = Upstream::start(&[Act::Held, Act::Held, Act::Held, Act::Held]).await;
    let mut command = command();
    command.args(["--sender", "scrapest", "--answer-within", "30s", "--forward", &upstream.url()]);
    command.args(["--run-limit", "3s", "--forward-timeout", "3s"]);
    let (listening, _reader) = Unread::start(&mut command);
    for posts in 1..=4 {
        let request = larger_than_a_pipe(posts);
        let (answer, ()) = tokio::join!(listening.send(&request), async {
            while upstream.received().len() < posts {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(2_850)).await;
            upstream.let_go();
        });
        // If the machine stalls, the service may answer too late.
        if answer.status != 504 {
            assert_eq!(answer.status, 204);
            assert_eq!(listening.send(&request).await.status, 200);
            assert_eq!(upstream.received().len(), posts, "no second post");
            return;
        }
    }
    panic!("the machine stalled four times");
}
