//! Bodies in their thousands: memory stays under its cap, and what is genuine still passes.

use std::time::Duration;

use futures_util::future::join_all;
use support::connection::{Connection, open_head, open_text};
use support::{Answer, Axum, Framework, Handler, Server, client, eventually, genuine, layer};
use tokio::time::sleep;

use crate::body::genuine_of;

const CAP: usize = 2 * 1_048_576;

/// A connection that has sent all of a body of 1 MiB but its last byte.
async fn unfinished(server: &Server) -> Connection {
    let mut text = open_text(&genuine_of(1_048_576));
    text.pop();
    let mut connection = Connection::to(server).await;
    connection.write(&text).await;
    connection
}

/// Sends one delivery after another until one is answered like this, while these bodies are held.
async fn until_status(server: &Server, status: u16, held: &mut [Connection]) -> Answer {
    for _ in 0..500 {
        let answer = server.send(&genuine().sign()).await;
        if answer.status == status {
            return answer;
        }
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        sleep(Duration::from_millis(10)).await;
        for connection in &mut *held {
            // The delivery may have taken the place of its last bytes, and then it is the one that was refused.
            if !connection.is_silent_for(Duration::from_millis(10)).await {
                *connection = unfinished(server).await;
            }
        }
    }
    panic!("500 deliveries, and none was answered with {status}");
}

/// On axum alone: actix reads ahead into a buffer of its own, and what it holds there of a body that is not
/// whole yet it has not handed on, so that nobody can say how much of the cap is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn above_the_cap_of_bytes_in_flight_503_and_below_it_again_as_before() {
    let handler = Handler::ok();
    let layer = layer().with_bytes_in_flight(CAP).with_body_deadline(Duration::from_secs(30));
    let server = Axum::serve(layer, handler.clone()).await;
    let mut held = [unfinished(&server).await, unfinished(&server).await];
    // What is left of the cap is two bytes, once both have been read.
    let refused = until_status(&server, 503, &mut held).await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    let [mut first, second] = held;
    drop(second);
    until_status(&server, 200, &mut []).await;
    // The first was held, not broken: its last byte completes it.
    assert!(first.is_silent_for(Duration::from_millis(10)).await);
    first.write(b" ").await;
    assert_eq!(first.answer().await.expect("an answer").status, 200);
}

async fn a_length_that_is_only_promised_takes_nothing_of_the_cap<F: Framework>() {
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

async fn in_a_flood_of_forged_bodies_of_1_mb_genuine_ones_still_pass<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer().with_bytes_in_flight(8 * CAP), handler.clone()).await;
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
            // As a sender does: try again after a 503.
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

async fn the_share_of_a_body_is_held_while_its_handler_runs_and_then_free<F: Framework>() {
    let handler = Handler::new(|_, before| async move {
        if before < 2 {
            sleep(Duration::from_millis(700)).await;
        }
        200
    });
    let layer = layer().with_bytes_in_flight(CAP).with_answer_deadline(Duration::from_millis(200));
    let server = F::serve(layer.clone(), handler.clone()).await;
    let (first, second) = (genuine_of(1_048_576), genuine_of(1_048_576));
    let both = tokio::join!(server.send(&first), server.send(&second));
    // Answered, but their handlers run on with the bodies.
    assert_eq!((both.0.status, both.1.status), (503, 503));
    let third = genuine().sign();
    assert_eq!((server.send(&third).await.status, handler.runs()), (503, 2));
    eventually("both have ended", || handler.ended() == 2).await;
    assert!(layer.drain(Duration::from_secs(5)).await);
    assert_eq!(server.send(&third).await.status, 200);
}

support::for_each_framework! {
    a_length_that_is_only_promised_takes_nothing_of_the_cap,
    in_a_flood_of_forged_bodies_of_1_mb_genuine_ones_still_pass,
    the_share_of_a_body_is_held_while_its_handler_runs_and_then_free,
}
