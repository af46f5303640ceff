//! Promise 5: unknown events are passed through. Anything else that cannot be passed on is rejected with an error.
//! Nothing is dropped silently.

use std::time::SystemTime;

use axum::body::Body;
use scrapest_webhook::{EventError, EventErrorKind, scrapebadger, scrapest, testing};
use support::{Framework, Handler, SECRET, badger_layer, genuine, layer};
use tower::ServiceExt;

/// Decodes the event as the extractors do.
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
    // Authentic, but not JSON with a timestamp: a replay could not be detected.
    for body in ["", "null", "[]", "{", "not json", "{\"event\": \"tweet.created\"}"] {
        let answer = server.send(&genuine().with_body(body).sign()).await;
        assert_eq!(answer.status, 401, "{body:?}");
    }
    assert_eq!(handler.runs(), 0);
}

support::for_each_framework! {
    unknown_events_are_passed_through,
    a_known_kind_with_a_broken_payload_is_refused_and_runs_again,
    a_body_that_cannot_be_passed_on_is_rejected,
}
