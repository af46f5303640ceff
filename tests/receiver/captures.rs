//! Captured attempts whose bytes were not recorded as completed, because they failed or were duplicates.

use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{Delivery, MemoryStore, ScrapestWebhookLayer, Secrets};
use support::{Framework, Handler, SECRET, genuine, layer, nonce, seconds_ago};

/// Fails only the first time.
fn failing_once() -> Handler {
    Handler::new(|_, before| async move { if before == 0 { 500 } else { 200 } })
}

fn renamed(request: &SignedRequest, id: impl Into<String>) -> SignedRequest {
    request.clone().with_header("x-scrapest-delivery-id", id)
}

fn id_of(request: &SignedRequest) -> String {
    let found = request.headers().find(|(name, _)| *name == "x-scrapest-delivery-id");
    found.unwrap().1.to_owned()
}

/// The number of runs that started with these bytes.
fn runs_of(deliveries: &[Delivery], request: &SignedRequest) -> usize {
    deliveries.iter().filter(|delivery| delivery.body() == request.body()).count()
}

async fn a_failed_delivery_is_not_replaced_under_the_id_of_a_completed_one<F: Framework>() {
    let (handler, store) = (failing_once(), MemoryStore::new());
    let server = F::serve(layer().with_store(store.clone()), handler.clone()).await;
    let (failed, completed) = (genuine().sign(), genuine().sign());
    assert_eq!(server.send(&failed).await.status, 500);
    assert_eq!(server.send(&completed).await.status, 200);
    for _ in 0..2 {
        let replay = renamed(&failed, id_of(&completed));
        assert_eq!(server.send(&replay).await.status, 200, "that id is done");
    }
    assert_eq!(handler.runs(), 2, "and so it did not run");
    // The claims made on the way were released: the retry neither waits nor is answered as a duplicate.
    assert_eq!(server.send(&failed).await.status, 200);
    assert_eq!(runs_of(&handler.deliveries(), &failed), 2, "the retry ran");
    assert_eq!(handler.deliveries().pop().unwrap().attempt(), 2);
}

async fn a_failed_delivery_that_succeeds_under_another_id_is_completed<F: Framework>() {
    let handler = failing_once();
    let server = F::serve(layer(), handler.clone()).await;
    let failed = genuine().sign();
    assert_eq!(server.send(&failed).await.status, 500);
    assert_eq!(server.send(&renamed(&failed, "another")).await.status, 200);
    assert_eq!(handler.runs(), 2, "the delivery has run once with success, and does not run again");
    for request in [failed.clone(), renamed(&failed, "a third")] {
        assert_eq!(server.send(&request).await.status, 200);
    }
    assert_eq!(handler.runs(), 2);
}

/// Sends the retry's bytes under its own id, then the failed attempt's bytes under a new one.
async fn runs_once<F: Framework>(
    first: ScrapestWebhookLayer,
    later: ScrapestWebhookLayer,
    failed: SignedRequest,
    retry: SignedRequest,
) {
    let (handler, store) = (failing_once(), MemoryStore::new());
    let first = F::serve(first.with_store(store.clone()), handler.clone()).await;
    let later = F::serve(later.with_store(store), handler.clone()).await;
    assert_eq!(first.send(&failed).await.status, 500);
    assert_eq!(later.send(&retry).await.status, 200);
    assert_eq!(later.send(&renamed(&failed, format!("id-{}", nonce()))).await.status, 200);
    assert_eq!(handler.runs(), 2, "the captured attempt is useless once the retry has succeeded");
}

async fn a_failed_attempt_cannot_run_after_a_retry_with_another_secret<F: Framework>() {
    let old = "whsec_old_0d8c61f2a9b7c35e";
    let body = genuine().sign().body().clone();
    let attempt = |secret: &str| {
        testing::scrapest(secret).with_body(body.clone()).with_delivery_id("del_1").sign()
    };
    let both = ScrapestWebhookLayer::from_secrets(Secrets::new([SECRET, old]).unwrap());
    runs_once::<F>(ScrapestWebhookLayer::new(old), both, attempt(old), attempt(SECRET)).await;
}

/// The limitation that the README documents: if each attempt has other signed bytes (a new body, or a signed
/// timestamp) and no signed id, nothing connects two attempts. Deduplicating by the body alone would lose
/// deliveries with equal content.
async fn another_attempt_of_a_success_runs_once_more_under_a_new_id<F: Framework>() {
    for (first_status, signed_time) in [(500, false), (200, false), (500, true), (200, true)] {
        let handler =
            Handler::new(
                move |_, before| async move { if before == 0 { first_status } else { 200 } },
            );
        let server = F::serve(layer(), handler.clone()).await;
        let attempt = |seconds| {
            let request = genuine().with_time(seconds_ago(seconds)).with_delivery_id("del_1");
            if signed_time { request.with_signed_timestamp().sign() } else { request.sign() }
        };
        let (first, retry) = (attempt(60), attempt(0));
        assert_eq!(server.send(&first).await.status, first_status);
        assert_eq!(server.send(&retry).await.status, 200);
        let needed = handler.runs();
        let spare = if first_status == 500 { first } else { retry };
        for id in ["another", "a third"] {
            assert_eq!(server.send(&renamed(&spare, id)).await.status, 200);
            assert_eq!(handler.runs(), needed + 1, "once, and never again");
        }
    }
}

async fn equal_deliveries_with_different_signed_times_all_run<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let body = r#"{"event":"webhook.verified"}"#;
    for seconds in [2, 1, 0] {
        let request = genuine().with_body(body).with_time(seconds_ago(seconds));
        assert_eq!(server.send(&request.with_signed_timestamp().sign()).await.status, 200);
    }
    assert_eq!(handler.runs(), 3);
}

support::for_each_framework! {
    a_failed_delivery_is_not_replaced_under_the_id_of_a_completed_one,
    a_failed_delivery_that_succeeds_under_another_id_is_completed,
    a_failed_attempt_cannot_run_after_a_retry_with_another_secret,
    another_attempt_of_a_success_runs_once_more_under_a_new_id,
    equal_deliveries_with_different_signed_times_all_run,
}
