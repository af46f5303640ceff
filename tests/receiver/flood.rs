//! Thousands of bodies: memory stays under its cap, and genuine deliveries still pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use scrapest_webhook::ScrapestWebhookLayer;
use support::connection::{Connection, open_head, open_text};
use support::{Framework, Handler, Server, client, eventually, genuine, layer};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::body::genuine_of;

const CAP: usize = 2 * 1_048_576;

/// A connection that has sent a body of 1 MiB without its last byte.
async fn unfinished(server: &Server) -> Connection {
    let mut text = open_text(&genuine_of(1_048_576));
    text.pop();
    let mut connection = Connection::to(server).await;
    connection.write(&text).await;
    connection
}

async fn the_longest_waiting_body_is_dropped_for_a_new_one<F: Framework>() {
    let handler = Handler::ok();
    let layer = layer().with_bytes_in_flight(CAP).with_body_deadline(Duration::from_secs(30));
    let server = F::serve(layer.with_minimum_body_rate(0), handler.clone()).await;
    let mut first = unfinished(&server).await;
    // Kept open and unanswered, because there is room for it.
    assert!(first.is_silent_for(Duration::from_millis(100)).await);
    let mut second = unfinished(&server).await;
    let gone = first.answer().await.expect("an answer");
    assert_eq!((gone.status, gone.header("retry-after")), (503, Some("1")));
    second.write(b" ").await;
    assert_eq!(second.answer().await.expect("an answer").status, 200);
    // The evicted body has freed its bytes.
    let (first, second) = (genuine_of(800_000), genuine_of(800_000));
    let both = tokio::join!(server.send(&first), server.send(&second));
    assert_eq!((both.0.status, both.1.status), (200, 200));
}

async fn a_declared_length_alone_reserves_no_bytes_of_the_cap<F: Framework>() {
    let handler = Handler::ok();
    let layer = layer().with_bytes_in_flight(CAP).with_body_deadline(Duration::from_secs(30));
    let server = F::serve(layer, handler.clone()).await;
    let mut promised = Vec::new();
    for _ in 0..100 {
        let mut connection = Connection::to(&server).await;
        let mut text = open_head("POST", genuine().sign().headers());
        text.extend_from_slice(b"content-length: 1048576\r\n\r\n{");
        connection.write(&text).await;
        promised.push(connection);
    }
    for _ in 0..10 {
        assert_eq!(server.send(&genuine().sign()).await.status, 200);
    }
}

async fn genuine_bodies_pass_in_a_flood_of_forged_1_mb_bodies<F: Framework>() {
    let handler = Handler::ok();
    // Only bytes are tested here; a busy machine may take long for so many.
    let layer = layer().with_bytes_in_flight(8 * CAP).with_minimum_body_rate(0);
    let layer = layer.with_body_deadline(Duration::from_secs(60));
    let server = F::serve(layer, handler.clone()).await;
    let forged = client::text(&genuine_of(1_048_576).with_body(vec![b' '; 1_048_576]));
    let flood = join_all((0..8).map(|_| async {
        let mut statuses = Vec::new();
        for _ in 0..10 {
            let mut connection = Connection::to(&server).await;
            connection.write(&forged).await;
            statuses.extend(connection.answer().await.map(|answer| answer.status));
        }
        statuses
    }));
    let senders = join_all((0..4).map(|_| async {
        for _ in 0..20 {
            let request = genuine().sign();
            // A sender also retries after a 503.
            for attempt in 0.. {
                match server.send(&request).await.status {
                    200 => break,
                    status => assert!(status == 503 && attempt < 200, "{status}"),
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
    }));
    let (forged, _) = tokio::join!(flood, senders);
    let forged = forged.concat();
    assert!(forged.len() > 50, "{} of 80 were answered", forged.len());
    assert!(forged.iter().all(|status| matches!(status, 401 | 503)), "{forged:?}");
    assert_eq!(handler.runs(), 80);
}

async fn the_bytes_of_a_body_are_held_while_its_handler_runs<F: Framework>() {
    let may_end = Arc::new(Semaphore::new(0));
    let told = Arc::clone(&may_end);
    let handler = Handler::new(move |_, before| {
        let told = Arc::clone(&told);
        async move {
            if before < 2 {
                told.acquire().await.unwrap().forget();
            }
            200
        }
    });
    let layer = layer().with_bytes_in_flight(2 * 1_048_576 + 512 * 1_024);
    let layer = layer.with_answer_deadline(Duration::from_millis(200));
    let server = F::serve(layer.clone(), handler.clone()).await;
    let (first, second) = (genuine_of(1_048_576), genuine_of(1_048_576));
    let both = tokio::join!(server.send(&first), server.send(&second));
    // They were answered, but their handlers continue with the bodies.
    assert_eq!((both.0.status, both.1.status), (503, 503));
    let (third, small) = (genuine_of(400_000), genuine().sign());
    let answer = server.send(&third).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(handler.runs(), 2);
    assert_eq!(server.send(&small).await.status, 200, "small bodies have a part of their own");
    may_end.add_permits(2);
    eventually("both have ended", || handler.ended() == 3).await;
    assert!(layer.drain(Duration::from_secs(5)).await);
    assert_eq!(server.send(&third).await.status, 200);
}

/// Keeps bodies without their last byte open: this many connections from this address, each repeated when it is
/// answered or cut. Counts in `held` how many times a body was sent.
async fn hold(
    server: &Server,
    source: [u8; 4],
    connections: usize,
    bytes: usize,
    sent: &AtomicUsize,
) {
    let mut text = open_text(&genuine_of(bytes));
    text.pop();
    let text = &text;
    let one = || async move {
        loop {
            let mut connection = Connection::from(source, server).await;
            connection.write(text).await;
            sent.fetch_add(1, Ordering::SeqCst);
            _ = connection.answer().await;
            // The test needs their room, not the processor time, which a debug build needs itself.
            sleep(Duration::from_millis(500)).await;
        }
    };
    join_all((0..connections).map(|_| one())).await;
}

/// Sends deliveries of this size from a separate address, without retries, while others hold as many bytes as
/// they can.
async fn all_pass_beside_those_that_hold<F: Framework>(
    layer: ScrapestWebhookLayer,
    connections: usize,
    held: usize,
    count: usize,
    bytes: usize,
) {
    let handler = Handler::ok();
    let server = F::serve(layer, handler.clone()).await;
    let sent = AtomicUsize::new(0);
    let genuine = async {
        while sent.load(Ordering::SeqCst) < connections {
            sleep(Duration::from_millis(10)).await;
        }
        let mut refused = Vec::new();
        for number in 0..count {
            let request = match bytes {
                0 => genuine().sign(),
                _ => genuine_of(bytes),
            };
            let mut connection = Connection::from([127, 0, 0, 3], &server).await;
            match connection.status(&request).await {
                Some(200) => {}
                status => refused.push((number, status)),
            }
        }
        refused
    };
    let refused = tokio::select! {
        refused = genuine => refused,
        () = hold(&server, [127, 0, 0, 2], connections, held, &sent) => unreachable!(),
    };
    assert!(refused.is_empty(), "{} of {count}: {refused:?}", refused.len());
    assert_eq!(handler.runs(), count);
}

async fn small_deliveries_pass_beside_70_bodies_of_1_mib_that_never_end<F: Framework>() {
    all_pass_beside_those_that_hold::<F>(layer(), 70, 1_048_576, 300, 0).await;
}

async fn large_deliveries_pass_beside_70_bodies_of_1_mib_that_never_end<F: Framework>() {
    all_pass_beside_those_that_hold::<F>(layer(), 70, 1_048_576, 50, 500_000).await;
}

async fn small_deliveries_pass_beside_small_bodies_that_never_end<F: Framework>() {
    let layer = layer().with_bytes_in_flight(4 * CAP);
    all_pass_beside_those_that_hold::<F>(layer, 200, 65_536, 200, 0).await;
}

support::for_each_framework! {
    the_longest_waiting_body_is_dropped_for_a_new_one,
    a_declared_length_alone_reserves_no_bytes_of_the_cap,
    genuine_bodies_pass_in_a_flood_of_forged_1_mb_bodies,
    the_bytes_of_a_body_are_held_while_its_handler_runs,
    small_deliveries_pass_beside_70_bodies_of_1_mib_that_never_end,
    large_deliveries_pass_beside_70_bodies_of_1_mib_that_never_end,
    small_deliveries_pass_beside_small_bodies_that_never_end,
}
