//! `listen --forward`: the request that the service receives, and the URLs that are allowed.

mod answers;

use std::time::Duration;

use scrapest_webhook::testing;
use serde_json::json;

use crate::listening::{Listening, SECRET, command, refused, scrapest};
use crate::upstream::{Act, Upstream};

fn forwarding(upstream: &Upstream, flags: &[&str]) -> Listening {
    let url = upstream.url();
    Listening::start(&[&["--forward", url.as_str()], flags].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_forwarded_byte_for_byte_with_only_documented_headers() {
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

    let [received] = &upstream.received()[..] else { panic!("expected one request") };
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

    // The delivery is also printed, as one line.
    let event = listening.event();
    assert_eq!(event["delivery_id"], "d-1");
    assert_eq!(event["event"]["n"], json!(1000.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_over_http_works_without_system_certificates() {
    let upstream = Upstream::start(&[]).await;
    let mut command = command();
    command.args(["--sender", "scrapest", "--forward", &upstream.url()]);
    command.env("SSL_CERT_FILE", "/not/there").env("SSL_CERT_DIR", "/not/there");
    let listening = Listening::of(command);
    assert_eq!(listening.send(&scrapest().sign()).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_stale_and_duplicate_requests_are_not_forwarded() {
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
async fn an_id_that_is_not_a_valid_header_is_omitted_and_the_key_is_sent() {
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
    listening.says("left out of the forwarded request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_json_is_forwarded_and_its_line_has_no_event() {
    let upstream = Upstream::start(&[]).await;
    let listening = forwarding(&upstream, &[]);
    let request = scrapest().with_body("no\nJSON").with_signed_timestamp().sign();
    assert_eq!(listening.send(&request).await.status, 204);
    assert_eq!(upstream.received()[0].body, b"no\nJSON");
    assert!(listening.event()["event"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_password_is_sent_but_never_shown() {
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
fn an_error_about_a_url_names_the_flag_and_not_the_url() {
    for (flags, expected) in [
        (&["--forward", "hunter2"][..], "--forward: is not a URL"),
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
fn a_url_argument_with_a_password_is_refused_and_not_shown() {
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
