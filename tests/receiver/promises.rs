//! The five promises of the README, each in its words.

use std::time::Duration;

use crate::common::{Framework, Handler, eventually, genuine, layer};

async fn no_2xx_leaves_before_the_handler_reported_success<F: Framework>() {
    let handler = Handler::new(|_, before| async move { if before == 0 { 500 } else { 204 } });
    let server = F::serve(layer(), handler.clone()).await;
    let request = genuine().sign();
    assert_eq!(server.send(&request).await.status, 500);
    assert_eq!(server.send(&request).await.status, 204, "the retry runs");
    let duplicate = server.send(&request).await;
    assert_eq!((duplicate.status, duplicate.text()), (200, String::new()));
    assert_eq!(handler.runs(), 2);
    assert_eq!(handler.deliveries()[1].attempt(), 2);
}

async fn one_handler_runs_per_delivery_at_a_time_and_none_after_a_success<F: Framework>() {
    let handler = Handler::new(|_, _| async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        200
    });
    let server = F::serve(layer(), handler.clone()).await;
    let request = genuine().sign();
    let (first, second, third) =
        tokio::join!(server.send(&request), server.send(&request), server.send(&request));
    assert_eq!([first.status, second.status, third.status], [200; 3]);
    assert_eq!((handler.runs(), handler.most_at_once()), (1, 1));
}

async fn a_captured_request_is_useless<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let captured = genuine().sign();
    assert_eq!(server.send(&captured).await.status, 200);
    let replay = captured.with_header("x-scrapest-delivery-id", "another");
    assert_eq!(server.send(&replay).await.status, 200);
    eventually("one run", || handler.runs() == 1).await;
}

crate::for_each_framework! {
    no_2xx_leaves_before_the_handler_reported_success,
    one_handler_runs_per_delivery_at_a_time_and_none_after_a_success,
    a_captured_request_is_useless,
}
