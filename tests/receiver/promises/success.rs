//! Promise 1: a 2xx is sent only after your handler has succeeded for this delivery, now or earlier.

use support::{Framework, Handler, genuine, layer};
use tokio::time::sleep;

use super::millis;

async fn a_2xx_is_sent_only_after_the_handler_has_succeeded<F: Framework>() {
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

async fn a_2xx_is_not_sent_while_the_handler_is_still_running<F: Framework>() {
    let handler = Handler::new(|_, before| async move {
        sleep(millis(if before == 0 { 900 } else { 0 })).await;
        if before == 0 { 500 } else { 200 }
    });
    let server = F::serve(layer().with_answer_deadline(millis(250)), handler.clone()).await;
    let request = genuine().sign();
    let mut asked = 0;
    // The first request and every duplicate, under its own id or another one.
    while handler.ended() == 0 {
        let again = request.clone().with_header("x-scrapest-delivery-id", format!("{asked}"));
        let (one, other) = tokio::join!(server.send(&request), server.send(&again));
        if handler.ended() == 0 {
            assert_eq!((one.status, other.status), (503, 503));
        }
        asked += 1;
    }
    assert!(asked > 1);
    assert_eq!(server.send(&request).await.status, 200);
    assert_eq!(handler.runs(), 2, "the first failed in the end");
}

support::for_each_framework! {
    a_2xx_is_sent_only_after_the_handler_has_succeeded,
    a_2xx_is_not_sent_while_the_handler_is_still_running,
}
