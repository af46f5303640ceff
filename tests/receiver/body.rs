//! The body: its limit, its deadline, its encoding, and its exact bytes.

use std::time::{Duration, Instant};

use scrapest_webhook::testing::SignedRequest;
use scrapest_webhook::{Rejection, RejectionKind};
use support::connection::{Connection, chunked_text, open_head, open_text};
use support::in_process::{app, http};
use support::{Framework, Handler, client, genuine, layer};
use tower::ServiceExt;

const LIMIT: usize = 1_048_576;

/// A genuine event that is padded with blanks to this many bytes.
pub fn genuine_of(bytes: usize) -> SignedRequest {
    let mut body = genuine().sign().body().to_vec();
    assert!(body.len() <= bytes);
    body.resize(bytes, b' ');
    genuine().with_body(body).sign()
}

async fn a_body_of_exactly_the_limit_passes_and_one_byte_more_is_413<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    for (runs, chunk) in [(1, None), (2, Some(LIMIT)), (3, Some(65_521)), (4, Some(1_000))] {
        for (bytes, status) in [(LIMIT, 200), (LIMIT + 1, 413)] {
            let request = genuine_of(bytes);
            let text = match chunk {
                None => client::text(&request),
                Some(size) => chunked_text(&request, size, true),
            };
            let mut connection = Connection::to(&server).await;
            connection.write(&text).await;
            let answer = connection.answer().await.expect("an answer");
            assert_eq!(answer.status, status, "{bytes} bytes, chunks of {chunk:?}");
        }
        assert_eq!(handler.runs(), runs);
        assert_eq!(handler.deliveries()[runs - 1].body().len(), LIMIT);
    }
}

async fn a_length_beyond_the_limit_is_413_without_reading_the_body<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    for length in ["1048577", "10737418240", "9223372036854775807"] {
        let mut connection = Connection::to(&server).await;
        let mut text = open_head("POST", genuine().sign().headers());
        text.extend(format!("content-length: {length}\r\nexpect: 100-continue\r\n\r\n").bytes());
        let asked = Instant::now();
        connection.write(&text).await;
        let answer = connection.refusal::<F>().await.expect("an answer");
        // Not 100, and without waiting for a byte of the body.
        assert_eq!(answer.status, 413, "{length}");
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    }
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap();
        let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kilobytes < 10 * 1024 * 1024, "10 GB were never reserved, but {peak}");
    }
    assert_eq!(handler.runs(), 0);
}

async fn an_invalid_length_is_refused_and_nothing_runs<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let request = genuine().sign();
    let length = request.body().len();
    let (long, most) = ("9".repeat(40), u64::MAX.to_string());
    let longer = format!("{length}, {}", length + 1);
    for value in [&*long, &*most, "-1", "+5", "1e3", "0x10", "1 0", "ten", &*longer] {
        let mut text = open_head("POST", request.headers());
        text.extend(format!("content-length: {value}\r\nconnection: close\r\n\r\n").bytes());
        text.extend_from_slice(request.body());
        let mut connection = Connection::to(&server).await;
        connection.write(&text).await;
        let status = connection.answer().await.map(|answer| answer.status);
        assert!(matches!(status, None | Some(400 | 413 | 431)), "{value}: {status:?}");
    }
    let mut text = open_head("POST", request.headers());
    let (one, other) = (length, length - 1);
    text.extend(format!("content-length: {one}\r\ncontent-length: {other}\r\n\r\n").bytes());
    text.extend_from_slice(request.body());
    let mut connection = Connection::to(&server).await;
    connection.write(&text).await;
    let status = connection.answer().await.map(|answer| answer.status);
    assert!(matches!(status, None | Some(400)), "two lengths: {status:?}");
    assert_eq!(handler.runs(), 0);
}

async fn a_truncated_body_is_400_or_closed_and_its_retry_runs<F: Framework>() {
    let handler = Handler::ok();
    let layer = layer();
    let server = F::serve(layer.clone(), handler.clone()).await;
    let request = genuine().sign();
    let whole = open_text(&request);
    let half = whole[..whole.len() - 50].to_vec();
    // All signed bytes have arrived, but not the end that the framing announced.
    let endless = chunked_text(&request, 16, false);
    for text in [&half, &endless] {
        let mut connection = Connection::to(&server).await;
        connection.write(text).await;
        connection.half_close().await;
        let status = connection.answer().await.map(|answer| answer.status);
        assert!(matches!(status, None | Some(400)), "{status:?}");

        let mut connection = Connection::to(&server).await;
        connection.write(text).await;
        drop(connection);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(handler.runs(), 0);
    assert_eq!(server.send(&request).await.status, 200);
    assert_eq!(handler.deliveries()[0].attempt(), 1);
    assert!(layer.drain(Duration::from_secs(5)).await);
}

/// The time of the body counts towards the answer deadline, both for a slow handler and for a duplicate that
/// waits for it.
#[tokio::test(start_paused = true)]
async fn the_time_of_the_body_counts_towards_the_answer_deadline() {
    let handler = Handler::new(|_, _| std::future::pending());
    let app = app(layer().with_answer_deadline(Duration::from_secs(3)), &handler);
    let request = genuine().sign();
    for reason in [RejectionKind::AnswerDeadline, RejectionKind::InProgress] {
        let slow = http(&request).map(|body| {
            let late = futures_util::stream::once(async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                axum::body::to_bytes(body, usize::MAX).await
            });
            axum::body::Body::from_stream(late)
        });
        let began = tokio::time::Instant::now();
        let answer = app.clone().oneshot(slow).await.unwrap();
        assert_eq!(answer.extensions().get::<Rejection>().unwrap().kind(), reason);
        let took = began.elapsed().as_secs_f32();
        assert!((2.9..3.2).contains(&took), "{took} s");
    }
}

async fn a_body_in_200_000_chunks_of_one_byte_passes_in_bounded_time<F: Framework>() {
    let handler = Handler::ok();
    let long = Duration::from_secs(60);
    let layer = layer().with_body_deadline(long).with_answer_deadline(long);
    let server = F::serve(layer, handler.clone()).await;
    let request = genuine_of(200_000);
    let mut connection = Connection::to(&server).await;
    let begun = Instant::now();
    connection.write(&chunked_text(&request, 1, true)).await;
    assert_eq!(connection.answer().await.expect("an answer").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(handler.deliveries()[0].body(), request.body());
}

async fn each_of_200_slow_bodies_is_cut_at_the_deadline_with_408<F: Framework>() {
    let handler = Handler::ok();
    let server =
        F::serve(layer().with_body_deadline(Duration::from_secs(1)), handler.clone()).await;
    let slow = (0..200).map(|_| async {
        let request = genuine().sign();
        let whole = open_text(&request);
        let (head, body) = whole.split_at(whole.len() - request.body().len());
        let mut connection = Connection::to(&server).await;
        connection.write(head).await;
        let begun = Instant::now();
        // A byte at a time: each would renew a deadline per frame.
        for byte in body {
            connection.write(&[*byte]).await;
            if !connection.is_silent_for(Duration::from_millis(100)).await {
                break;
            }
        }
        (connection.answer().await.expect("an answer").status, begun.elapsed())
    });
    let genuine = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.send(&genuine().sign()).await.status
    };
    let (slow, genuine) = tokio::join!(futures_util::future::join_all(slow), genuine);
    for (status, after) in slow {
        assert_eq!(status, 408);
        assert!(after >= Duration::from_millis(900), "cut too early: {after:?}");
        assert!(after < Duration::from_secs(5), "cut too late: {after:?}");
    }
    assert_eq!((genuine, handler.runs()), (200, 1));
}

async fn an_encoded_body_is_415_and_never_inflated<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    // `printf 'x' | gzip -n`: a framework that decompresses would turn it into one byte.
    let gzip =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x00\x00\x83\x16\xdc\x8c\x01\x00\x00\x00";
    let signed = genuine().with_body(gzip.as_slice()).with_signed_timestamp().sign();
    for encoding in
        ["gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "identity, gzip", "gzip,", ""]
    {
        let request = signed.clone().with_header("content-encoding", encoding);
        let answer = server.send(&request).await;
        assert_eq!(answer.status, 415, "{encoding:?}");
        assert_eq!(answer.header("accept-encoding"), Some("identity"));
    }
    for two in [["identity", "gzip"], ["gzip", "identity"]] {
        let mut text = open_head("POST", signed.headers());
        let two = two.map(|encoding| format!("content-encoding: {encoding}\r\n")).concat();
        text.extend(format!("{two}content-length: {}\r\n\r\n", gzip.len()).bytes());
        text.extend_from_slice(gzip);
        let mut connection = Connection::to(&server).await;
        connection.write(&text).await;
        assert_eq!(connection.answer().await.expect("an answer").status, 415, "{two:?}");
    }
    assert_eq!(handler.runs(), 0);

    for encoding in ["identity", "Identity"] {
        let request = genuine().sign().with_header("content-encoding", encoding);
        assert_eq!(server.send(&request).await.status, 200, "{encoding}");
    }
    // Without the header it is a normal body: its bytes were signed and are passed on.
    assert_eq!(server.send(&signed).await.status, 200);
    assert_eq!(handler.deliveries()[2].body(), gzip.as_slice());
}

async fn a_body_in_many_segments_arrives_byte_for_byte<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let bytes: Vec<u8> = (0..=255).cycle().take(2_000).collect();
    let request = genuine().with_body(bytes.clone()).with_signed_timestamp().sign();
    let mut connection = Connection::to(&server).await;
    for piece in open_text(&request).chunks(37) {
        connection.write(piece).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(connection.answer().await.expect("an answer").status, 200);
    assert_eq!(handler.deliveries()[0].body(), &bytes);
}

async fn an_empty_body_is_a_body_like_any_other<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let empty = || genuine().with_body("").with_signed_timestamp();
    let lengths =
        ["content-length: 0\r\n\r\n", "\r\n", "transfer-encoding: chunked\r\n\r\n0\r\n\r\n"];
    // The same body with another time, because otherwise it would be a replay.
    let now = std::time::SystemTime::now();
    for (runs, length) in (1_u64..).zip(lengths) {
        let time = now - Duration::from_secs(runs);
        let request = empty().with_time(time).sign();
        let mut text = open_head("POST", request.headers());
        text.extend_from_slice(length.as_bytes());
        let mut connection = Connection::to(&server).await;
        connection.write(&text).await;
        assert_eq!(connection.answer().await.expect("an answer").status, 200, "{length:?}");
        assert_eq!(handler.runs() as u64, runs);
        assert!(handler.deliveries().last().unwrap().body().is_empty());
    }
}

support::for_each_framework! {
    a_body_of_exactly_the_limit_passes_and_one_byte_more_is_413,
    a_length_beyond_the_limit_is_413_without_reading_the_body,
    an_invalid_length_is_refused_and_nothing_runs,
    a_truncated_body_is_400_or_closed_and_its_retry_runs,
    a_body_in_200_000_chunks_of_one_byte_passes_in_bounded_time,
    each_of_200_slow_bodies_is_cut_at_the_deadline_with_408,
    an_encoded_body_is_415_and_never_inflated,
    a_body_in_many_segments_arrives_byte_for_byte,
    an_empty_body_is_a_body_like_any_other,
}
