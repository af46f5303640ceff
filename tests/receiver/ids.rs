//! Delivery ids: which values are allowed, and that each id is one delivery.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use scrapest_webhook::testing;
use scrapest_webhook::{MemoryStore, scrapest};
use support::{
    Framework, Handler, Raw, SECRET, badger_layer, eventually, genuine, layer, nonce, seconds_ago,
};
use tokio::sync::Semaphore;

/// In seconds, as a sender writes it.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// A ScrapeBadger request of contract 1 whose body is dated this many seconds ago.
fn tweet(seconds: i64) -> testing::WebhookRequest {
    testing::scrapebadger(SECRET).with_time(seconds_ago(seconds))
}

async fn one_id_with_refreshed_bytes_is_one_delivery<F: Framework>() {
    for signed_time in [false, true] {
        let refreshed = |seconds| {
            let request = genuine().with_time(seconds_ago(seconds)).with_delivery_id("del_1");
            if signed_time { request.with_signed_timestamp().sign() } else { request.sign() }
        };
        let handler = Handler::new(|_, before| async move { if before == 0 { 500 } else { 200 } });
        let server = F::serve(layer(), handler.clone()).await;
        let answers = [90, 60, 30, 0].map(refreshed);
        let mut statuses = Vec::new();
        for request in &answers {
            statuses.push(server.send(request).await.status);
        }
        assert_eq!(statuses, [500, 200, 200, 200]);
        assert_eq!(handler.runs(), 2);
        assert_eq!(handler.deliveries()[1].attempt(), 2);
        assert_eq!(handler.deliveries()[0].key(), handler.deliveries()[1].key());
    }
    let handler = Handler::ok();
    let server = F::serve(badger_layer(), handler.clone()).await;
    for seconds in [90, 60, 30] {
        let request = tweet(seconds).with_delivery_id("del_1").sign();
        assert_eq!(server.send(&request).await.status, 200);
        let request = testing::scrapebadger_contract_2(SECRET).with_time(seconds_ago(seconds));
        let request = request.with_delivery_id("del_1").sign();
        assert_eq!(server.send(&request).await.status, 200);
    }
    assert_eq!(handler.runs(), 1, "by either contract");
}

async fn refreshed_bytes_wait_for_the_attempt_that_runs<F: Framework>() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let handler = Handler::new(move |_, _| {
        let held = Arc::clone(&held);
        async move {
            held.acquire().await.unwrap().forget();
            200
        }
    });
    let store = MemoryStore::new();
    let server = F::serve(layer().with_store(store.clone()), handler.clone()).await;
    let (first, second) = (
        genuine().with_delivery_id("del_1").sign(),
        genuine().with_time(seconds_ago(30)).with_delivery_id("del_1").sign(),
    );
    let later = async {
        eventually("the first to run", || handler.runs() == 1).await;
        let opened = async {
            // The second has claimed its own bytes by now, and released them.
            eventually("the second to be there", || store.len() == 3).await;
            gate.add_permits(1);
        };
        tokio::join!(server.send(&second), opened).0
    };
    let (first, second) = tokio::join!(server.send(&first), later);
    assert_eq!((first.status, second.status, handler.runs()), (200, 200, 1));
}

async fn any_id_is_accepted_and_equals_only_itself<F: Framework>() {
    let long = "x".repeat(10_240);
    let longer = format!("{long}y");
    let in_headers: [&[u8]; 16] = [
        b"0",
        b"00",
        b"inner blank",
        b"inner\ttab",
        b"null",
        b"../../etc/passwd",
        b"'; DROP TABLE deliveries; --",
        b"{\"$ne\":null}",
        b"%s%n",
        b"\x80",
        // Not UTF-8; a lossy conversion would make both equal.
        b"\xff\xfe",
        b"\xff\xfd",
        "caf\u{e9}".as_bytes(),
        "\u{9b}31mred".as_bytes(),
        long.as_bytes(),
        longer.as_bytes(),
    ];
    let in_bodies = [r"\u001b[31mred", r"\u0000", r"a\r\nx-injected: 1", r"\u202e", r"\\", "1e3"];
    let handler = Handler::ok();
    let scrapest = F::serve(layer(), handler.clone()).await;
    let badger = F::serve(badger_layer(), handler.clone()).await;
    let mut before = 0;
    for id in in_headers {
        for (server, name) in
            [(&scrapest, "x-scrapest-delivery-id"), (&badger, "x-scrapebadger-delivery-id")]
        {
            // New bytes each time, so that only the id can identify them.
            for _ in 0..2 {
                let request = match name {
                    "x-scrapest-delivery-id" => Raw::from(genuine().sign()),
                    _ => Raw::badger(format!(
                        r#"{{"type":"e","detected_at":{},"n":{}}}"#,
                        now(),
                        nonce()
                    )),
                };
                assert_eq!(server.raw(&request.replacing(name, id)).await.status, 200);
                assert_eq!(handler.runs(), before + 1, "{:?}", String::from_utf8_lossy(id));
            }
            before += 1;
            let delivery = handler.deliveries().pop().unwrap();
            assert_eq!(delivery.id().unwrap(), String::from_utf8_lossy(id));
        }
    }
    for id in in_bodies {
        // A bare `id` counts together with the time, so both requests have the same.
        let at = now();
        for _ in 0..2 {
            let body = format!(r#"{{"id":"{id}","event":"e","timestamp":{at},"n":{}}}"#, nonce());
            assert_eq!(scrapest.raw(&Raw::scrapest(body)).await.status, 200);
            assert_eq!(handler.runs(), before + 1, "{id}");
        }
        before += 1;
    }
    for delivery in handler.deliveries() {
        let debug = format!("{delivery:?}");
        let harmless = |char: char| char == ' ' || !(char.is_control() || char.is_whitespace());
        assert!(debug.chars().all(harmless), "{debug}");
    }
    let keys: HashSet<_> = handler.deliveries().iter().map(|delivery| delivery.key()).collect();
    assert_eq!(keys.len(), handler.runs(), "no two of them are the same");
}

async fn an_empty_id_counts_as_missing<F: Framework>() {
    let handler = Handler::ok();
    let scrapest = F::serve(layer(), handler.clone()).await;
    let badger = F::serve(badger_layer(), handler.clone()).await;
    let dated = || format!(r#""timestamp":{0},"detected_at":{0},"n":{1}}}"#, now(), nonce());
    let mut before = 0;
    for empty in ["", " ", "\t "] {
        for (server, request, name) in [
            (&scrapest, Raw::scrapest(format!("{{{}", dated())), "x-scrapest-delivery-id"),
            (
                &scrapest,
                Raw::scrapest(format!(r#"{{"id":"",{}"#, dated())),
                "x-scrapest-delivery-id",
            ),
            (
                &scrapest,
                Raw::scrapest(format!(r#"{{"id":null,{}"#, dated())),
                "x-scrapest-delivery-id",
            ),
            (
                &scrapest,
                Raw::scrapest(format!(r#"{{"id":1.5,{}"#, dated())),
                "x-scrapest-delivery-id",
            ),
            (&badger, Raw::badger(format!("{{{}", dated())), "x-scrapebadger-delivery-id"),
            (&badger, Raw::badger_2(format!("{{{}", dated())), "x-delivery-id"),
        ] {
            for request in [request.clone().with(name, empty), request] {
                assert_eq!(server.raw(&request).await.status, 200);
                assert_eq!(handler.runs(), before + 1, "the bytes count");
                assert_eq!(handler.deliveries().pop().unwrap().id(), None);
            }
            before += 1;
        }
    }
}

async fn an_empty_id_does_not_hide_another_id<F: Framework>() {
    let handler = Handler::ok();
    let scrapest = F::serve(layer(), handler.clone()).await;
    let badger = F::serve(badger_layer(), handler.clone()).await;
    let at = now();
    for _ in 0..2 {
        let body = r#"{"delivery_id":"","id":"evt_1","timestamp":"#;
        let body = format!(r#"{body}{at},"n":{}}}"#, nonce());
        assert_eq!(scrapest.raw(&Raw::scrapest(body)).await.status, 200);
        assert_eq!(handler.deliveries().pop().unwrap().id(), Some("evt_1"));
    }
    assert_eq!(handler.runs(), 1, "one delivery with refreshed bytes");
    for _ in 0..2 {
        let body = format!(r#"{{"type":"e","detected_at":{},"n":{}}}"#, now(), nonce());
        let request = Raw::badger_2(body).with("x-scrapebadger-delivery-id", "");
        assert_eq!(badger.raw(&request.with("x-delivery-id", "del_1")).await.status, 200);
        assert_eq!(handler.deliveries().pop().unwrap().id(), Some("del_1"));
    }
    assert_eq!(handler.runs(), 2, "one delivery with refreshed bytes");
}

async fn debug_of_a_delivery_is_short_for_any_id_length<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let long = "k".repeat(500_000);
    let body = format!(r#"{{"event":"{long}","timestamp":{}}}"#, now());
    let request = Raw::scrapest(body).with("x-scrapest-delivery-id", "x".repeat(10_240));
    assert_eq!(server.raw(&request).await.status, 200);
    let delivery = handler.deliveries().pop().unwrap();
    assert_eq!(delivery.id().unwrap().len(), 10_240, "for the handler it is whole");
    let debug = format!("{delivery:?}");
    assert!(debug.len() < 1_000, "{} bytes", debug.len());
    let event = scrapest::Event::try_from(&delivery).unwrap();
    assert_eq!(event.kind().unwrap().len(), long.len());
    let debug = format!("{event:?}");
    assert!(debug.len() < 1_000, "{} bytes", debug.len());
}

support::for_each_framework! {
    one_id_with_refreshed_bytes_is_one_delivery,
    refreshed_bytes_wait_for_the_attempt_that_runs,
    any_id_is_accepted_and_equals_only_itself,
    an_empty_id_counts_as_missing,
    an_empty_id_does_not_hide_another_id,
    debug_of_a_delivery_is_short_for_any_id_length,
}
