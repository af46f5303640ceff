//! Promise 2: while the store keeps its records and a lease is held, at most one handler runs per delivery, and
//! none runs after a success.

use scrapest_webhook::testing::SignedRequest;
use support::{Framework, Handler, eventually, genuine, layer};
use tokio::time::{Instant, sleep};

use super::millis;

async fn at_most_one_handler_runs_per_delivery_and_none_after_a_success<F: Framework>() {
    let handler = Handler::new(|_, _| async {
        sleep(millis(200)).await;
        200
    });
    let server = F::serve(layer(), handler.clone()).await;
    let request = genuine().sign();
    let (first, second, third) =
        tokio::join!(server.send(&request), server.send(&request), server.send(&request));
    assert_eq!([first.status, second.status, third.status], [200; 3]);
    assert_eq!((handler.runs(), handler.most_at_once()), (1, 1));
}

async fn a_lease_is_held_for_as_long_as_the_handler_runs<F: Framework>() {
    // Long enough for a renewal, which is due after a third of the lease, to be in time on a machine that stalls for
    // seconds.
    let lease = millis(4_500);
    let until = Instant::now() + lease * 3 / 2;
    let handler = Handler::new(move |_, _| async move {
        tokio::time::sleep_until(until).await;
        200
    });
    let server = F::serve(layer().with_lease(lease), handler.clone()).await;
    let request = genuine().sign();
    let refreshed = genuine().with_delivery_id("one").with_kind("user.updated").sign();
    let request = request.with_header("x-scrapest-delivery-id", "one");
    let replay = request.clone().with_header("x-scrapest-delivery-id", "another");
    let duplicate = async |request: &SignedRequest| {
        eventually("the first has begun", || handler.runs() == 1).await;
        // The duplicate waits beyond the end of the claimed lease. If the run takes longer, its answer is a 503.
        while server.send(request).await.status == 503 {}
        assert_eq!(handler.ended(), 1);
    };
    let (answer, ..) =
        tokio::join!(server.send(&request), duplicate(&refreshed), duplicate(&replay));
    assert!(matches!(answer.status, 200 | 503), "{}", answer.status);
    assert_eq!((handler.runs(), handler.most_at_once()), (1, 1));
    assert!(!handler.deliveries()[0].is_lease_lost());
}

support::for_each_framework! {
    at_most_one_handler_runs_per_delivery_and_none_after_a_success,
    a_lease_is_held_for_as_long_as_the_handler_runs,
}
