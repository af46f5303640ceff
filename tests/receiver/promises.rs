//! The five promises of the README, each in its words.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use scrapest_webhook::store::{DeliveryStore, Owner};
use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{
    EventError, EventErrorKind, Provider, WebhookLayer, scrapebadger, scrapest,
};
use support::client;
use support::scripted::{Fault, ScriptedStore, Verb};
use support::{
    Framework, Handler, InProcess, SECRET, badger_layer, eventually, genuine, layer, seconds_ago,
};
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

const AT_ONCE: Duration = Duration::from_secs(3);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

// 1. A 2xx is sent only after your handler has succeeded for this delivery, now or earlier.

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
    // The first, and every duplicate of it, under its own id or another.
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

// 2. While the store keeps its records and a lease is held, at most one handler runs per delivery, and none runs
// after a success.

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
    let handler = Handler::new(|_, _| async {
        sleep(millis(1_500)).await;
        200
    });
    let server = F::serve(layer().with_lease(millis(300)), handler.clone()).await;
    let request = genuine().sign();
    let refreshed = genuine().with_delivery_id("one").with_kind("user.updated").sign();
    let request = request.with_header("x-scrapest-delivery-id", "one");
    let replay = request.clone().with_header("x-scrapest-delivery-id", "another");
    let answers = tokio::join!(
        server.send(&request),
        async {
            sleep(millis(400)).await;
            server.send(&refreshed).await
        },
        async {
            sleep(millis(800)).await;
            server.send(&replay).await
        },
    );
    assert_eq!([answers.0.status, answers.1.status, answers.2.status], [200; 3]);
    assert_eq!((handler.runs(), handler.most_at_once()), (1, 1));
    assert!(!handler.deliveries()[0].is_lease_lost());
}

// 3. A captured request is useless: while the store remembers it, it is a duplicate; after that, it is too old.

async fn a_captured_request_is_useless<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let captured = genuine().with_delivery_id("its own").sign();
    assert_eq!(server.send(&captured).await.status, 200);
    let text = client::text(&captured);
    let spelled = |from: &str, to: &str| {
        let text = String::from_utf8(text.clone()).unwrap();
        assert!(text.contains(from));
        text.replace(from, to).into_bytes()
    };
    let tag = String::from_utf8_lossy(&text).split("sha256=").nth(1).unwrap()[..64].to_owned();
    for variant in [
        text.clone(),
        spelled("x-scrapest-delivery-id: its own", "x-scrapest-delivery-id: another"),
        spelled("x-scrapest-delivery-id: its own", "x-scrapest-delivery-id: "),
        spelled("x-scrapest-delivery-id: its own\r\n", ""),
        spelled("x-scrapest-delivery-id", "X-SCRAPEST-DELIVERY-ID"),
        spelled("x-scrapest-event: tweet.created", "x-scrapest-event: test"),
        spelled("x-scrapest-event: tweet.created\r\n", ""),
        spelled("user-agent: Scrapest-Webhook/1.0\r\n", ""),
        spelled("content-type: application/json", "content-type: text/plain"),
        spelled(&tag, &tag.to_uppercase()),
        spelled("x-scrapest-timestamp", "x-something-else"),
        spelled("HTTP/1.1\r\n", "HTTP/1.1\r\nx-forwarded-for: 192.0.2.1\r\n"),
    ] {
        let answer = server.send_raw(&variant).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&variant));
    }
    eventually("one run", || handler.runs() == 1).await;
}

async fn a_captured_request_does_not_take_the_place_of_a_genuine_one<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let captured = genuine().sign();
    assert_eq!(server.send(&captured).await.status, 200);
    let poison = captured.with_header("x-scrapest-delivery-id", "yet to come");
    assert_eq!(server.send(&poison).await.status, 200);
    assert_eq!(handler.runs(), 1);
    let coming = genuine().with_delivery_id("yet to come").with_kind("user.updated").sign();
    assert_eq!(server.send(&coming).await.status, 200);
    assert_eq!(handler.deliveries()[1].kind(), Some("user.updated"));
}

/// At every ten seconds for two hours, in which the memory store forgets.
async fn is_useless_at_any_time<P: Provider>(layer: WebhookLayer<P>, captured: SignedRequest) {
    let handler = Handler::ok();
    let (wall, began) = (SystemTime::now(), Instant::now());
    let layer = layer.with_clock(move || wall + began.elapsed());
    let receiver = InProcess::new(&layer, handler.clone());
    let (mut duplicates, mut stale) = (0, 0);
    assert_eq!(receiver.status(&captured).await, 200);
    for id in 0..720 {
        let replay = captured.clone().with_header("x-scrapest-delivery-id", format!("{id}"));
        match (receiver.status(&captured).await, receiver.status(&replay).await) {
            (200, 200) => duplicates += 1,
            (401, 401) => stale += 1,
            answers => panic!("{answers:?} after {:?}", began.elapsed()),
        }
        sleep(Duration::from_secs(10)).await;
    }
    assert_eq!(handler.runs(), 1);
    assert!(duplicates >= 10 && stale > 300, "{duplicates} duplicates, {stale} stale");
}

#[tokio::test(start_paused = true)]
async fn a_captured_request_is_useless_at_any_time() {
    // The signed time may be ahead of ours; then it is fresh for longer.
    for ago in [0, 3_500, -299] {
        let request = genuine().with_time(seconds_ago(ago)).sign();
        is_useless_at_any_time(layer(), request).await;
        let badger = testing::scrapebadger(SECRET).with_time(seconds_ago(ago)).sign();
        is_useless_at_any_time(badger_layer(), badger).await;
    }
    for ago in [0, -299] {
        let request = genuine().with_signed_timestamp().with_time(seconds_ago(ago)).sign();
        is_useless_at_any_time(layer(), request).await;
    }
}

// 4. After a crash between your handler's effect and our record, the handler runs again. Make the effect idempotent:
// `Delivery` has the key and the fence.

async fn after_a_crash_between_effect_and_record_the_handler_runs_again<F: Framework>() {
    // The effect happens, and the process ends while its record hangs on the wire.
    let store = ScriptedStore::new(|call| match call.verb {
        Verb::Complete => Fault::Hang,
        _ => Fault::None,
    });
    let shared = store.real().clone();
    let request = genuine().sign();
    let (lease, sent) = (millis(600), request.clone());
    let crashed = Handler::ok();
    let effect = crashed.clone();
    std::thread::spawn(move || {
        let process = tokio::runtime::Runtime::new().unwrap();
        process.block_on(async {
            let layer = layer().with_store(store.clone()).with_lease(lease);
            tokio::spawn(InProcess::new(&layer, effect).ask(&sent));
            eventually("it is to be recorded", || !store.calls_of(Verb::Complete).is_empty()).await;
        });
        process.shutdown_timeout(Duration::from_secs(1));
    })
    .join()
    .unwrap();
    assert_eq!(crashed.ended(), 1);

    // An effect that is filed under the delivery's key happens once, and its fence says who was first.
    let effects = Arc::new(Mutex::new(vec![]));
    let filed = Arc::clone(&effects);
    let handler = Handler::new(move |delivery, _| {
        filed.lock().unwrap().push((delivery.key(), delivery.fence(), delivery.attempt()));
        async { 200 }
    });
    let server = F::serve(layer().with_store(shared).with_lease(lease), handler.clone()).await;
    let began = Instant::now();
    assert_eq!(server.send(&request).await.status, 200);
    assert!(began.elapsed() < AT_ONCE);
    let first = &crashed.deliveries()[0];
    let effects = effects.lock().unwrap();
    let [(key, fence, attempt)] = effects[..] else { panic!("{effects:?}") };
    assert_eq!((key, attempt), (first.key(), 2));
    assert!(fence > first.fence());
}

async fn a_crash_between_the_two_records_does_not_run_the_handler_again<F: Framework>() {
    // The tag is recorded, the delivery id is not, and stays claimed until its lease ends.
    let store = ScriptedStore::recording();
    let request = genuine().sign();
    InProcess::new(&layer().with_store(store.clone()), Handler::new(|_, _| async { 500 }))
        .send(&request)
        .await;
    let [tag, id] = store.keys()[..] else { panic!("two keys") };
    let (owner, shared) = (Owner::random(), store.real().clone());
    let claim = shared.claim(&tag, owner, AT_ONCE, AT_ONCE * 100).await.unwrap();
    let scrapest_webhook::store::Claim::Acquired { fence, .. } = claim else { panic!("{claim:?}") };
    shared.claim(&id, owner, millis(200), AT_ONCE * 100).await.unwrap();
    shared.complete(&tag, owner, fence, AT_ONCE * 100).await.unwrap();

    let handler = Handler::ok();
    let server = F::serve(layer().with_store(shared), handler.clone()).await;
    assert_eq!(server.send(&request).await.status, 200);
    sleep(millis(300)).await;
    assert_eq!(server.send(&request).await.status, 200);
    assert_eq!(handler.runs(), 0);
}

// 5. Unknown events are passed through. Anything else that cannot be passed on is rejected with an error. Nothing is
// dropped silently.

/// Takes the event as the extractors do.
fn typed<E: 'static>(decode: fn(&scrapest_webhook::Delivery) -> Result<E, EventError>) -> Handler {
    Handler::new(move |delivery, _| {
        let status = match decode(&delivery) {
            Ok(_) => 200,
            Err(error) if error.kind() == EventErrorKind::Payload => 422,
            Err(error) => panic!("{error}"),
        };
        async move { status }
    })
}

fn now() -> String {
    let now = time::OffsetDateTime::from(SystemTime::now());
    now.format(&time::format_description::well_known::Rfc3339).unwrap()
}

async fn unknown_events_are_passed_through<F: Framework>() {
    let handler = typed(|delivery| match scrapest::Event::try_from(delivery)? {
        scrapest::Event::Unknown(unknown) => {
            assert_eq!(&unknown.raw, delivery.body());
            Ok(())
        }
        known => panic!("{known:?}"),
    });
    let server = F::serve(layer(), handler.clone()).await;
    let body = format!(
        "{{\"event\": \"space.started\",\r\n \"timestamp\": \"{}\", \"data\": {{\"n\": 1.0, \"\\u00e9\": [ ]}}}}\n",
        now()
    );
    let request = genuine().with_body(body.clone()).with_kind("space.started").sign();
    assert_eq!(server.send(&request).await.status, 200);
    let delivery = &handler.deliveries()[0];
    assert_eq!(delivery.kind(), Some("space.started"));
    assert_eq!(delivery.body(), body.as_bytes(), "byte for byte");
}

async fn a_known_kind_with_a_broken_payload_is_refused_and_runs_again<F: Framework>() {
    let broken = [r#""data": {"text": "no id"}"#, r#""data": 7"#, r#""x": 1"#];
    let handler = typed(|delivery| scrapest::Event::try_from(delivery));
    let server = F::serve(layer(), handler.clone()).await;
    for data in broken {
        let body = format!(r#"{{"event": "tweet.created", "timestamp": "{}", {data}}}"#, now());
        let request = genuine().with_body(body).sign();
        for attempt in 1..=2 {
            assert_eq!(server.send(&request).await.status, 422, "{data}");
            assert_eq!(handler.deliveries().last().unwrap().attempt(), attempt, "{data}");
        }
    }
    let handler = typed(|delivery| scrapebadger::Event::try_from(delivery));
    let server = F::serve(badger_layer(), handler.clone()).await;
    let body = format!(r#"{{"type": "tweet", "detected_at": "{}", "tweet": {{}}}}"#, now());
    let request = testing::scrapebadger(SECRET).with_body(body).sign();
    assert_eq!(server.send(&request).await.status, 422);
    assert_eq!(handler.runs(), 1);
}

#[tokio::test]
async fn the_extractor_of_an_event_refuses_a_broken_payload_with_a_422() {
    let route = axum::routing::post(async |_: scrapest::Event| ()).route_layer(layer());
    let app = axum::Router::new().route("/", route);
    for (data, status) in [(r#"{"id": "1"}"#, 200), (r#"{"text": "no id"}"#, 422)] {
        let body =
            format!(r#"{{"event": "tweet.created", "timestamp": "{}", "data": {data}}}"#, now());
        let request = genuine().with_body(body).sign();
        let answer = app.clone().oneshot(request.into_http::<Body>("/")).await.unwrap();
        assert_eq!(answer.status(), status, "{data}");
    }
}

async fn a_body_that_cannot_be_passed_on_is_rejected<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    // Authentic, but not JSON with a time: it could not be told from a replay.
    for body in ["", "null", "[]", "{", "not json", "{\"event\": \"tweet.created\"}"] {
        let answer = server.send(&genuine().with_body(body).sign()).await;
        assert_eq!(answer.status, 401, "{body:?}");
    }
    assert_eq!(handler.runs(), 0);
}

support::for_each_framework! {
    a_2xx_is_sent_only_after_the_handler_has_succeeded,
    a_2xx_is_not_sent_while_the_handler_is_still_running,
    at_most_one_handler_runs_per_delivery_and_none_after_a_success,
    a_lease_is_held_for_as_long_as_the_handler_runs,
    a_captured_request_is_useless,
    a_captured_request_does_not_take_the_place_of_a_genuine_one,
    after_a_crash_between_effect_and_record_the_handler_runs_again,
    a_crash_between_the_two_records_does_not_run_the_handler_again,
    unknown_events_are_passed_through,
    a_known_kind_with_a_broken_payload_is_refused_and_runs_again,
    a_body_that_cannot_be_passed_on_is_rejected,
}
