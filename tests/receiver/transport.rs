//! HTTP/1.1 as spoken by senders, proxies and attackers: interim answers, connections that stay open,
//! half-close or close, and contradictory framing.

use std::time::Duration;

use scrapest_webhook::testing::SignedRequest;
use support::connection::{Connection, chunked_text, open_head, open_text};
use support::{Framework, Handler, Server, eventually, genuine, layer};

/// The headers of a request with `Expect: 100-continue`, and its body.
fn expecting(request: &SignedRequest) -> (Vec<u8>, &[u8]) {
    let mut head = open_head("POST", request.headers());
    let length = request.body().len();
    head.extend(format!("content-length: {length}\r\nexpect: 100-continue\r\n\r\n").bytes());
    (head, request.body())
}

async fn the_body_is_requested_only_after_its_headers_pass<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let request = genuine().sign();
    let (head, body) = expecting(&request);
    let mut connection = Connection::to(&server).await;
    connection.write(&head).await;
    assert_eq!(connection.answer().await.expect("an interim answer").status, 100);
    connection.write(body).await;
    assert_eq!(connection.answer().await.expect("an answer").status, 200);
    assert_eq!(handler.runs(), 1);

    for signature in ["", "sha256=", "sha1=0123", "a=b"] {
        let bad = genuine().sign().with_header("x-scrapest-signature", signature);
        let mut connection = Connection::to(&server).await;
        connection.write(&expecting(&bad).0).await;
        let answer = connection.refusal::<F>().await.expect("an answer");
        assert_eq!(answer.status, 401, "not 100: {signature:?}");
    }
    let encoded = genuine().sign().with_header("content-encoding", "br");
    let mut connection = Connection::to(&server).await;
    connection.write(&expecting(&encoded).0).await;
    assert_eq!(connection.refusal::<F>().await.expect("an answer").status, 415, "not 100");
    assert_eq!(handler.runs(), 1);
}

async fn any_method_but_post_is_405_with_an_allow_header<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let request = genuine().sign();
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "BREW"] {
        let mut text = open_head(method, request.headers());
        text.extend(format!("content-length: {}\r\n", request.body().len()).bytes());
        text.extend_from_slice(b"connection: close\r\n\r\n");
        text.extend_from_slice(request.body());
        let answer = server.send_raw(&text).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("POST"), "{method}");
    }
    assert_eq!(handler.runs(), 0);
}

async fn a_request_with_two_framings_is_refused_or_read_as_chunked_and_never_as_two<
    F: Framework,
>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let (request, smuggled) = (genuine().sign(), genuine().sign());
    let chunked = chunked_text(&request, 64, true);
    let end = chunked.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 2;
    // By its length the body ends early, and the rest looks like another request.
    for length in [0, 4, 1_000_000_000] {
        let mut text = chunked[..end].to_vec();
        text.extend(format!("content-length: {length}\r\n").bytes());
        text.extend_from_slice(&chunked[end..]);
        let mut connection = Connection::to(&server).await;
        connection.write(&text).await;
        let status = connection.answer().await.map(|answer| answer.status);
        assert!(matches!(status, None | Some(200 | 400 | 413)), "{length}: {status:?}");
    }
    for delivery in handler.deliveries() {
        assert_eq!(delivery.body(), request.body());
    }
    let before = handler.runs();

    // The other way round: by its length the other request is part of the body.
    let mut text = open_head("POST", request.headers());
    let inner = open_text(&smuggled);
    text.extend(format!("content-length: {}\r\n", inner.len() + 5).bytes());
    text.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    text.extend_from_slice(&inner);
    let mut connection = Connection::to(&server).await;
    connection.write(&text).await;
    let first = connection.answer().await.map(|answer| answer.status);
    assert!(matches!(first, None | Some(400 | 401)), "{first:?}");
    // A server that reads it as chunked sees a second request, like every reader of chunked bodies, and that
    // one is genuine. It must not run as part of the first.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(handler.deliveries()[before..].iter().all(|one| one.body() == smuggled.body()));
}

async fn a_delivery_of_a_half_closed_client_runs_and_is_settled<F: Framework>() {
    let handler = slow();
    let layer = layer();
    let server = F::serve(layer.clone(), handler.clone()).await;
    let request = genuine().sign();
    let mut connection = Connection::to(&server).await;
    connection.write(&open_text(&request)).await;
    eventually("the handler has begun", || handler.runs() == 1).await;
    connection.half_close().await;
    let status = connection.answer().await.map(|answer| answer.status);
    assert!(matches!(status, None | Some(200)), "{status:?}");
    settled(&server, &request, &handler).await;
    assert!(layer.drain(Duration::from_secs(5)).await);
}

async fn an_early_half_close_runs_the_delivery_or_its_retry<F: Framework>() {
    let handler = slow();
    let server = F::serve(layer(), handler.clone()).await;
    for runs in 1..=10 {
        let request = genuine().sign();
        let mut connection = Connection::to(&server).await;
        connection.write(&open_text(&request)).await;
        connection.half_close().await;
        // A framework may abandon a request whose client has closed before its body was read.
        let status = connection.answer().await.map(|answer| answer.status);
        assert!(matches!(status, None | Some(200)), "{status:?}");
        assert_eq!(server.send(&request).await.status, 200);
        assert_eq!((handler.runs(), handler.ended()), (runs, runs));
    }
}

async fn a_delivery_of_a_departed_client_runs_and_is_settled<F: Framework>() {
    let handler = slow();
    let layer = layer();
    let server = F::serve(layer.clone(), handler.clone()).await;
    let request = genuine().sign();
    let mut connection = Connection::to(&server).await;
    connection.write(&open_text(&request)).await;
    eventually("the handler has begun", || handler.runs() == 1).await;
    drop(connection);
    settled(&server, &request, &handler).await;
    assert!(layer.drain(Duration::from_secs(5)).await);
}

/// A handler that takes long enough for a client to disconnect.
fn slow() -> Handler {
    Handler::new(|_, _| async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        200
    })
}

/// Waits until one run has ended, and checks that the retry is a duplicate.
async fn settled(server: &Server, request: &SignedRequest, handler: &Handler) {
    eventually("the handler has ended", || handler.ended() == 1).await;
    let retry = server.send(request).await;
    assert_eq!((retry.status, retry.text()), (200, String::new()));
    assert_eq!((handler.runs(), handler.ended()), (1, 1));
}

async fn pipelined_deliveries_are_answered_separately_and_in_order<F: Framework>() {
    let handler = Handler::new(|_, before| async move { if before == 1 { 500 } else { 202 } });
    let server = F::serve(layer(), handler.clone()).await;
    let one = || genuine().sign();
    let (first, failing) = (one(), one());
    let forged = one().with_body("{}");
    let requests = [&first, &failing, &forged, &first, &failing, &one()];
    let mut connection = Connection::to(&server).await;
    connection.write(&requests.map(open_text).concat()).await;
    let mut statuses = Vec::new();
    for _ in requests {
        statuses.push(connection.answer().await.expect("an answer").status);
    }
    // The forged one; a duplicate of a success; the retry of a failure.
    assert_eq!(statuses, [202, 500, 401, 200, 202, 202]);
    assert_eq!(handler.runs(), 4);
}

async fn a_connection_works_after_a_refusal_or_is_closed<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer().with_body_limit(100_000), handler.clone()).await;
    // The unread part of a refused body must not be parsed as the next request.
    let smuggled = genuine().sign();
    let inner = open_text(&smuggled);
    let filled = |bytes: usize| [&*inner, &vec![b' '; bytes]].concat();
    let head = |request: &SignedRequest| open_head("POST", request.headers());
    let with_length = |mut head: Vec<u8>, body: &[u8]| {
        head.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
        head.extend_from_slice(body);
        head
    };
    let unsigned = b"POST /webhooks/test HTTP/1.1\r\nhost: localhost\r\n".to_vec();
    let encoded = genuine().sign().with_header("content-encoding", "gzip");
    let get = open_head("GET", genuine().sign().headers());
    let refusals = [
        (401, with_length(unsigned.clone(), &inner)),
        (401, with_length(unsigned, &filled(90_000))),
        (401, with_length(head(&genuine().sign()), &inner)),
        (415, with_length(head(&encoded), &inner)),
        (413, with_length(head(&genuine().sign()), &filled(200_000))),
        (413, chunked_text(&genuine().sign().with_body(filled(200_000)), 10_000, true)),
        (405, with_length(get, &inner)),
    ];
    for (runs, (status, text)) in (1..).zip(refusals) {
        let mut connection = Connection::to(&server).await;
        connection.write(&text).await;
        let refused = connection.answer().await.expect("an answer");
        assert_eq!(refused.status, status);
        let request = genuine().sign();
        connection.write(&open_text(&request)).await;
        match connection.answer().await {
            Some(answer) => assert_eq!(answer.status, 200, "after {status}"),
            None => assert_eq!(server.send(&request).await.status, 200),
        }
        assert_eq!(handler.runs(), runs, "only the genuine ones, after {status}");
    }
    assert!(handler.deliveries().iter().all(|one| one.body() != smuggled.body()));
}

async fn bytes_that_are_not_http_are_harmless<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let long = vec![b'a'; 200_000];
    for noise in [&b"\r\n\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00", &[0; 5_000], &long] {
        let mut connection = Connection::to(&server).await;
        connection.write(noise).await;
        connection.half_close().await;
        let status = connection.answer().await.map(|answer| answer.status);
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{status:?}");
    }
    assert_eq!(server.send(&genuine().sign()).await.status, 200);
}

support::for_each_framework! {
    the_body_is_requested_only_after_its_headers_pass,
    any_method_but_post_is_405_with_an_allow_header,
    a_request_with_two_framings_is_refused_or_read_as_chunked_and_never_as_two,
    a_delivery_of_a_half_closed_client_runs_and_is_settled,
    an_early_half_close_runs_the_delivery_or_its_retry,
    a_delivery_of_a_departed_client_runs_and_is_settled,
    pipelined_deliveries_are_answered_separately_and_in_order,
    a_connection_works_after_a_refusal_or_is_closed,
    bytes_that_are_not_http_are_harmless,
}
