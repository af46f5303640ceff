//! `listen --forward`: what a service behind it is sent, and what the sender hears of it.

use std::time::Duration;

use scrapest_webhook::testing;
use serde_json::json;
use support::free_port;

use crate::listening::{Listening, SECRET, Unread, command, refused, scrapest};
use crate::upstream::{Act, Upstream};

fn forwarding(upstream: &Upstream, flags: &[&str]) -> Listening {
    let url = upstream.url();
    Listening::start(&[&["--forward", url.as_str()], flags].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_forwarded_byte_for_byte_with_the_headers_promised_and_no_other() {
    let upstream = Upstream::start(&[]).await;
    let listening = forwarding(&upstream, &[]);
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let body = format!(
        "{{ \"event\":\"tweet.created\",\n\t\"timestamp\":{now},\"n\":1.0e+3,\"s\":\"\\u00e9\"}}\n"
    );
    let request = scrapest().with_body(body.clone()).with_delivery_id("d-1").sign();
    let request = request
        .with_header("content-type", "application/json; charset=utf-8")
        .with_header("authorization", "Bearer of the sender")
        .with_header("cookie", "a=b")
        .with_header("x-other", "c");
    let answer = listening.send(&request).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));

    let [received] = &upstream.received()[..] else { panic!("one request") };
    assert!(received.head.starts_with("POST /events HTTP/1.1\r\n"), "{}", received.head);
    assert_eq!(received.body, body.as_bytes());
    let names = [
        "accept",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "user-agent",
        "webhook-attempt",
        "webhook-delivery-id",
        "webhook-event",
        "webhook-fence",
        "webhook-timestamp",
    ];
    assert_eq!(received.header_names(), names);
    assert_eq!(received.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(received.header("webhook-delivery-id"), Some("d-1"));
    assert_eq!(received.header("webhook-event"), Some("tweet.created"));
    assert_eq!(received.header("webhook-attempt"), Some("1"));
    let timestamp = received.header("webhook-timestamp").unwrap();
    let format = &time::format_description::well_known::Rfc3339;
    let timestamp = time::OffsetDateTime::parse(timestamp, format).unwrap();
    assert_eq!(timestamp.unix_timestamp(), now);
    assert!(received.header("webhook-fence").unwrap().parse::<u64>().is_ok());
    let key = received.header("idempotency-key").unwrap();
    assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");

    // And it is printed, as one line.
    let event = listening.event();
    assert_eq!(event["delivery_id"], "d-1");
    assert_eq!(event["event"]["n"], json!(1000.0));
}

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
    // It recovers.
    assert_eq!(listening.send(&request).await.status, 204);
    assert_eq!(listening.event()["attempt"], 4);
    // And a duplicate does not reach it.
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
async fn an_upstream_that_hangs_is_504_and_the_retry_reaches_it_again() {
    let upstream = Upstream::start(&[Act::Hang]).await;
    let listening = forwarding(&upstream, &["--answer-within", "20s", "--forward-timeout", "3s"]);
    let request = scrapest().sign();
    assert_eq!(listening.send(&request).await.status, 504);
    assert_eq!(listening.send(&request).await.status, 204);
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_refuses_connections_is_502() {
    let nobody = format!("http://127.0.0.1:{}/", free_port());
    let listening = Listening::start(&["--forward", &nobody]);
    let request = scrapest().sign();
    assert_eq!(listening.send(&request).await.status, 502);
    assert!(listening.is_silent());
    listening.says("not forwarded");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_certificates_on_the_machine_it_forwards_over_http() {
    let upstream = Upstream::start(&[]).await;
    let mut command = command();
    command.args(["--sender", "scrapest", "--forward", &upstream.url()]);
    command.env("SSL_CERT_FILE", "/not/there").env("SSL_CERT_DIR", "/not/there");
    let listening = Listening::of(command);
    assert_eq!(listening.send(&scrapest().sign()).await.status, 204);
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
async fn a_change_of_protocol_is_no_answer() {
    let upstream =
        Upstream::start(&[Act::Answer("101 Switching Protocols\r\nupgrade: x\r\n")]).await;
    let listening = forwarding(&upstream, &[]);
    assert_eq!(listening.send(&scrapest().sign()).await.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_forged_stale_or_seen_before_is_forwarded() {
    let upstream = Upstream::start(&[]).await;
    let listening = forwarding(&upstream, &[]);
    let forged = testing::scrapest("another secret, or none at all").sign();
    assert_eq!(listening.send(&forged).await.status, 401);
    let old = std::time::SystemTime::now() - Duration::from_secs(7_200);
    assert_eq!(listening.send(&scrapest().with_time(old).sign()).await.status, 401);
    let challenge = scrapest().with_kind("webhook.verification").sign();
    assert_eq!(listening.send(&challenge).await.status, 200);
    let request = scrapest().sign();
    assert_eq!(listening.send(&request).await.status, 204);
    assert_eq!(listening.send(&request).await.status, 200);
    let replay = request.with_header("x-scrapest-delivery-id", "another");
    assert_eq!(listening.send(&replay).await.status, 200);
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_post_goes_on_when_it_may_take_longer_than_the_answer_and_the_retry_gets_its_outcome() {
    let upstream = Upstream::start(&[Act::Held]).await;
    let flags = ["--answer-within", "1s", "--forward-timeout", "30s"];
    let listening = forwarding(&upstream, &flags);
    let request = scrapest().sign();
    let answer = listening.send(&request).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    listening.says("answer_deadline");
    // The first one is still out there: no second one meanwhile.
    assert_eq!(listening.send(&request).await.status, 503);
    assert_eq!(upstream.received().len(), 1);
    assert!(listening.is_silent());
    upstream.let_go();
    assert_eq!(listening.event()["attempt"], 1);
    assert_eq!(listening.send(&request).await.status, 200);
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_no_header_is_left_out_and_the_key_stays() {
    let upstream = Upstream::start(&[]).await;
    let listening = forwarding(&upstream, &[]);
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    for id in ["a\\r\\nx-evil: 1".to_owned(), "i".repeat(2_000)] {
        let body = format!("{{\"event\":\"tweet.created\",\"timestamp\":{now},\"id\":\"{id}\"}}");
        let request = scrapest().with_body(body).with_delivery_id("").sign();
        assert_eq!(listening.send(&request).await.status, 204);
    }
    for received in upstream.received() {
        assert_eq!(received.header("webhook-delivery-id"), None, "{}", received.head);
        assert_eq!(received.header("x-evil"), None);
        assert!(received.header("idempotency-key").is_some());
    }
    listening.says("left out of what is forwarded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_json_is_forwarded_too_and_its_line_has_no_event() {
    let upstream = Upstream::start(&[]).await;
    let listening = forwarding(&upstream, &[]);
    let request = scrapest().with_body("no\nJSON").with_signed_timestamp().sign();
    assert_eq!(listening.send(&request).await.status, 204);
    assert_eq!(upstream.received()[0].body, b"no\nJSON");
    assert!(listening.event()["event"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_nobody_reads_does_not_undo_what_the_upstream_accepted() {
    let upstream = Upstream::start(&[]).await;
    let mut command = command();
    command.args(["--sender", "scrapest", "--run-limit", "10s", "--answer-within", "20s"]);
    let (listening, _reader) = Unread::start(command.args(["--forward", &upstream.url()]));
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    for id in 0..3 {
        // Each is more than any pipe holds.
        let text = "a".repeat(900_000);
        let body = format!(
            "{{\"event\":\"tweet.created\",\"timestamp\":{now},\"id\":{id},\"text\":\"{text}\"}}"
        );
        let request = scrapest().with_body(body).sign();
        assert_eq!(listening.send(&request).await.status, 204);
        assert_eq!(listening.send(&request).await.status, 200);
    }
    assert_eq!(upstream.received().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_2xx_that_comes_just_before_the_run_limit_is_the_delivery_s_success() {
    // Nobody reads the lines, so each delivery waits for its own, beyond the limit.
    let upstream = Upstream::start(&[Act::Held, Act::Held, Act::Held, Act::Held]).await;
    let mut command = command();
    command.args(["--sender", "scrapest", "--answer-within", "30s", "--forward", &upstream.url()]);
    command.args(["--run-limit", "3s", "--forward-timeout", "3s"]);
    let (listening, _reader) = Unread::start(&mut command);
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let text = "a".repeat(900_000);
    for posts in 1..=4 {
        let body = format!(
            "{{\"event\":\"tweet.created\",\"timestamp\":{now},\"id\":{posts},\"text\":\"{text}\"}}"
        );
        let request = scrapest().with_body(body).sign();
        let (answer, ()) = tokio::join!(listening.send(&request), async {
            while upstream.received().len() < posts {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(2_850)).await;
            upstream.let_go();
        });
        // A machine that stalls lets the service be late.
        if answer.status != 504 {
            assert_eq!(answer.status, 204);
            assert_eq!(listening.send(&request).await.status, 200);
            assert_eq!(upstream.received().len(), posts, "no second post");
            return;
        }
    }
    panic!("the machine stalled four times");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_that_a_trusted_proxy_names_is_the_one_that_is_allowed() {
    let flags = ["--allow-ip", "192.0.2.0/24", "--trusted-proxy", "127.0.0.1"];
    let listening = Listening::start(&flags);
    let by = |client: &str| scrapest().sign().with_header("x-forwarded-for", client);
    assert_eq!(listening.send(&scrapest().sign()).await.status, 403);
    assert_eq!(listening.send(&by("198.51.100.7")).await.status, 403);
    assert_eq!(listening.send(&by("192.0.2.7")).await.status, 204);
    assert_eq!(listening.send(&by("192.0.2.7, 198.51.100.7")).await.status, 403);
    let listening = Listening::start(&flags[..2]);
    assert_eq!(listening.send(&by("192.0.2.7")).await.status, 403, "no proxy is trusted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_of_the_upstream_is_sent_there_and_shown_nowhere() {
    const PASSWORD: &str = "canary_upstream_77aa";
    let upstream = Upstream::start(&[Act::Reset]).await;
    let mut command = command();
    command.args(["--sender", "scrapest", "--forward-env", "UPSTREAM"]);
    let url = format!("http://user:{PASSWORD}@127.0.0.1:{}/?token={PASSWORD}", upstream.port);
    command.env("UPSTREAM", url).env("RUST_LOG", "trace");
    let listening = Listening::of(command);
    let request = scrapest().sign();
    assert_eq!(listening.send(&request).await.status, 502);
    assert_eq!(listening.send(&request).await.status, 204);
    let received = upstream.received();
    let authorization = received[1].header("authorization").unwrap();
    assert!(authorization.starts_with("Basic "), "{authorization}");
    let authorization = authorization.to_owned();
    let ended = listening.stop();
    for output in [ended.lines.concat(), ended.stderr] {
        for secret in [PASSWORD, SECRET, &authorization] {
            assert!(!output.contains(secret), "{secret} in: {output}");
        }
    }
}

#[test]
fn a_wrong_url_is_named_by_its_flag_and_not_repeated() {
    for (flags, expected) in [
        (&["--forward", "hunter2"][..], "--forward: is no URL"),
        (&["--forward", "ftp://hunter2/"], "--forward: expected a URL that begins with http"),
        (&["--forward-env", "NOT_SET"], "--forward-env NOT_SET: is not set"),
        (&["--forward-timeout", "3s"], "--forward-timeout: needs --forward"),
        (&["--forward", "http://h/", "--forward-timeout", "2m"], "expected at most --run-limit"),
    ] {
        let (code, out, error) = refused(command().args(["--sender", "scrapest"]).args(flags));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{error}");
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_password_anywhere_in_a_url_on_the_command_line_is_refused_and_not_repeated() {
    for flags in [
        ["--forward", "http://hunter2@h/"],
        ["--forward", "http://h/?access_token=hunter2"],
        ["--store", "postgres://u@h/db?password=hunter2"],
        ["--store", "postgres://u@h/db?sslpassword=hunter2"],
        ["--store", "redis://h/?password=hunter2"],
    ] {
        let (code, out, error) = refused(command().args(["--sender", "scrapest"]).args(flags));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{error}");
        assert!(error.contains("has a password") && !error.contains("hunter2"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_allowed_is_403_and_a_replaced_secret_file_takes_effect() {
    let folder = support::Folder::new();
    let file = folder.write("secret", "the-secret-of-last-month");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_scrapest-webhook"));
    command.args(["listen", "--sender", "scrapest", "--secret-file", &file]);
    command.args(["--listen", "127.0.0.1:0", "--allow-ip", "127.0.0.0/8"]).env_remove("RUST_LOG");
    let listening = Listening::of(command);
    assert_eq!(listening.send(&scrapest().sign()).await.status, 401);
    folder.write("secret", SECRET);
    listening.says("the secrets were replaced");
    assert_eq!(listening.send(&scrapest().sign()).await.status, 204);
    let upstream = Upstream::start(&[]).await;
    let listening = forwarding(&upstream, &["--allow-ip", "192.0.2.0/24,2001:db8::/32"]);
    assert_eq!(listening.send(&scrapest().sign()).await.status, 403);
    assert!(upstream.received().is_empty());
}
