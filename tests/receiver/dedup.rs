//! What counts as one delivery, by namespace and settings.

use std::collections::HashSet;
use std::sync::Arc;

use scrapest_webhook::{DedupBy, MemoryStore, ScrapeBadgerWebhookLayer, testing};
use support::{
    Framework, Handler, Raw, SECRET, badger_layer, eventually, genuine, layer, seconds_ago,
};
use tokio::sync::Semaphore;

/// A ScrapeBadger request of contract 1 whose body is dated this many seconds ago.
fn tweet(seconds: i64) -> testing::WebhookRequest {
    testing::scrapebadger(SECRET).with_time(seconds_ago(seconds))
}

async fn one_id_in_two_namespaces_is_two_deliveries<F: Framework>() {
    let (handler, store) = (Handler::ok(), MemoryStore::new());
    let shared = || layer().with_store(store.clone());
    let one = F::serve(shared().with_namespace("one"), handler.clone()).await;
    let two = F::serve(shared().with_namespace("two"), handler.clone()).await;
    let unnamed = F::serve(shared(), handler.clone()).await;
    let badger = F::serve(badger_layer().with_store(store.clone()), handler.clone()).await;
    let request: Raw = genuine().with_delivery_id("del_1").sign().into();
    for runs in [[1, 2, 3], [3, 3, 3]] {
        for (server, runs) in [&one, &two, &unnamed].into_iter().zip(runs) {
            assert_eq!(server.raw(&request).await.status, 200);
            assert_eq!(handler.runs(), runs);
        }
    }
    let other_sender = tweet(0).with_delivery_id("del_1").sign();
    for _ in 0..2 {
        assert_eq!(badger.send(&other_sender).await.status, 200);
    }
    assert_eq!(handler.runs(), 4, "and neither sender takes the other's");
    let keys: HashSet<_> = handler.deliveries().iter().map(|delivery| delivery.key()).collect();
    assert_eq!(keys.len(), 4);
}

async fn a_noisy_namespace_cannot_evict_a_running_delivery_of_another<F: Framework>() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let slow = Handler::new(move |_, _| {
        let held = Arc::clone(&held);
        async move {
            held.acquire().await.unwrap().forget();
            200
        }
    });
    let store = MemoryStore::with_capacity(4.try_into().unwrap());
    let quiet =
        F::serve(layer().with_namespace("quiet").with_store(store.clone()), slow.clone()).await;
    let noise = Handler::ok();
    let noisy =
        F::serve(layer().with_namespace("noisy").with_store(store.clone()), noise.clone()).await;
    let request: Raw = genuine().sign().into();
    let others = async {
        eventually("the quiet one to run", || slow.runs() == 1).await;
        for _ in 0..50 {
            assert_eq!(noisy.send(&genuine().sign()).await.status, 200);
        }
        assert!(store.evicted() > 0);
        let replay = request.clone().replacing("x-scrapest-delivery-id", "another");
        let opened = async {
            tokio::task::yield_now().await;
            gate.add_permits(2);
        };
        tokio::join!(quiet.raw(&replay), opened).0
    };
    let (first, replay) = tokio::join!(quiet.raw(&request), others);
    assert_eq!((first.status, replay.status), (200, 200));
    assert_eq!((noise.runs(), slow.runs()), (50, 1));
}

async fn the_settings_decide_what_is_one_delivery<F: Framework>() {
    // First (id, bytes), then: the same bytes under another id, other bytes under the same id, no id.
    for (dedup_by, runs) in [
        (None, [1, 1, 1, 1]),
        (Some(DedupBy::DeliveryIdAndTag), [1, 1, 1, 1]),
        (Some(DedupBy::DeliveryId), [1, 2, 2, 3]),
        (Some(DedupBy::Tag), [1, 1, 2, 2]),
    ] {
        let handler = Handler::ok();
        let mut layer: ScrapeBadgerWebhookLayer = badger_layer();
        if let Some(dedup_by) = dedup_by {
            layer = layer.with_dedup_by(dedup_by);
        }
        let server = F::serve(layer, handler.clone()).await;
        let (one, two) = (tweet(0), tweet(1));
        let nameless = Raw::from(one.clone().sign()).without("x-scrapebadger-delivery-id");
        let mut counted = Vec::new();
        for request in [
            one.clone().with_delivery_id("a").sign().into(),
            one.with_delivery_id("b").sign().into(),
            two.with_delivery_id("a").sign().into(),
            nameless,
        ] {
            for _ in 0..2 {
                assert_eq!(server.raw(&request).await.status, 200);
            }
            counted.push(handler.runs());
        }
        assert_eq!(counted, runs, "{dedup_by:?}");
    }
}

async fn pressing_the_test_button_twice_sends_two_deliveries<F: Framework>() {
    for dedup_by in [DedupBy::DeliveryIdAndTag, DedupBy::DeliveryId] {
        for body in [r#"{"type":"test"}"#, r#"{"event":"test","message":"hello"}"#] {
            let handler = Handler::ok();
            let server = F::serve(badger_layer().with_dedup_by(dedup_by), handler.clone()).await;
            let pressed = |id: &str| {
                testing::scrapebadger(SECRET).with_body(body.to_owned()).with_delivery_id(id).sign()
            };
            for (id, runs) in [("a", 1), ("b", 2), ("a", 2), ("b", 2)] {
                assert_eq!(server.send(&pressed(id)).await.status, 200);
                assert_eq!(handler.runs(), runs, "{id} by {dedup_by:?}");
            }
            // Without an id, only the bytes identify them.
            for _ in 0..2 {
                assert_eq!(server.raw(&Raw::badger(body)).await.status, 200);
                assert_eq!(handler.runs(), 3);
            }
        }
    }
}

async fn a_test_event_is_identified_by_its_id_even_with_dedup_by_tag<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(badger_layer().with_dedup_by(DedupBy::Tag), handler.clone()).await;
    for (id, runs) in [("a", 1), ("b", 2), ("a", 2), ("b", 2)] {
        let pressed = testing::scrapebadger(SECRET).with_body(r#"{"type":"test"}"#);
        assert_eq!(server.send(&pressed.with_delivery_id(id).sign()).await.status, 200);
        assert_eq!(handler.runs(), runs, "{id}");
    }
}

support::for_each_framework! {
    one_id_in_two_namespaces_is_two_deliveries,
    a_noisy_namespace_cannot_evict_a_running_delivery_of_another,
    the_settings_decide_what_is_one_delivery,
    pressing_the_test_button_twice_sends_two_deliveries,
    a_test_event_is_identified_by_its_id_even_with_dedup_by_tag,
}
