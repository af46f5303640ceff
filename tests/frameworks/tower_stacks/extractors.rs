//! The types that a handler may take as its arguments.

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Json;
use axum::http::StatusCode;
use axum::routing::post;
use bytes::Bytes;
use scrapest_webhook::{
    Delivery, EventError, EventErrorKind, ScrapeBadgerWebhookLayer, scrapebadger, scrapest, testing,
};
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use super::{Runs, SECRET, genuine, layer, send, status, text};

fn badger_layer() -> ScrapeBadgerWebhookLayer {
    ScrapeBadgerWebhookLayer::new(SECRET)
}

#[tokio::test]
async fn the_typed_event_of_either_sender_is_extracted() {
    let on_scrapest =
        async |event: scrapest::Event| assert_eq!(event.kind(), Some("tweet.created"));
    let on_scrapest = post(on_scrapest).route_layer(layer());
    let app = Router::new().route("/", on_scrapest);
    assert_eq!(status(&app, &genuine().sign()).await, 200);

    let on_badger = async |event: scrapebadger::Event| assert!(event.tweet().is_some());
    let app = Router::new().route("/", post(on_badger).route_layer(badger_layer()));
    assert_eq!(status(&app, &testing::scrapebadger(SECRET).sign()).await, 200);
    assert_eq!(status(&app, &testing::scrapebadger_contract_2(SECRET).sign()).await, 200);
}

#[tokio::test]
async fn the_body_is_extracted_byte_for_byte_in_every_form() {
    // Blanks, escapes, digits and an order that no serializer would reproduce.
    let time = testing::scrapest(SECRET).sign();
    let time = String::from_utf8(time.body().to_vec()).unwrap();
    let time = time.split_once("\"timestamp\":").unwrap().1.split_once(',').unwrap().0;
    let odd = format!("\r\n{{ \"z\": 1.0e0,\t\"timestamp\": {time}, \"a\":\"\\u00e9é\" }} \n");
    let body = odd.clone();
    let handler = async move |delivery: Delivery, taken: String| {
        assert_eq!(taken, body);
        assert_eq!(delivery.body(), taken.as_bytes());
        assert_eq!(delivery.parse::<Value>().unwrap()["a"], "éé");
    };
    let expected = odd.clone();
    let as_bytes = async move |taken: Bytes| assert_eq!(taken, expected);
    let as_json = async |Json(taken): Json<Value>| assert_eq!(taken["a"], "éé");
    let app = Router::new()
        .route("/", post(handler).route_layer(layer()))
        .route("/bytes", post(as_bytes).route_layer(layer()))
        .route("/json", post(as_json).route_layer(layer()));
    let request = genuine().with_body(odd).sign();
    for path in ["/", "/bytes", "/json"] {
        let request = request.clone().into_http::<axum::body::Body>(path);
        let answer = tower::ServiceExt::oneshot(app.clone(), request).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_broken_payload_is_422_and_its_retry_runs_again() {
    let runs = Runs::default();
    let counted = runs.clone();
    let handler = async move |_: scrapest::Event| {
        counted.begin();
    };
    let app = Router::new().route("/", post(handler).route_layer(layer()));
    let whole = genuine().sign();
    let whole = String::from_utf8(whole.body().to_vec()).unwrap();
    let broken = whole.replace("\"id\":\"1234567890123456789\"", "\"id\":{}");
    assert_ne!(broken, whole);
    let request = genuine().with_body(broken).sign();
    let logged = Logged::default();
    let _guard = logged.install();
    for _ in 0..2 {
        let answer = send(&app, &request).await;
        assert_eq!(
            (answer.status().as_u16(), text(answer).await),
            (422, "event not as documented".to_owned())
        );
    }
    assert_eq!(runs.count(), 0);
    // The path of the faulty field is logged, once per decoding.
    assert_eq!(logged.text().matches("data.id: ").count(), 2, "{}", logged.text());
}

#[tokio::test]
async fn a_handler_that_extracts_a_result_decides_the_answer() {
    let handler = async |event: Result<scrapest::Event, EventError>| match event {
        Ok(_) => StatusCode::CREATED,
        Err(error) if error.kind() == EventErrorKind::Payload => StatusCode::ACCEPTED,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let app = Router::new().route("/", post(handler).route_layer(layer()));
    assert_eq!(status(&app, &genuine().sign()).await, 201);
    let whole = genuine().sign();
    let broken = String::from_utf8(whole.body().to_vec()).unwrap().replace("\"data\"", "\"dada\"");
    assert_eq!(status(&app, &genuine().with_body(broken).sign()).await, 202);
}

#[tokio::test]
async fn without_a_layer_it_is_a_500_and_a_log_line_names_the_layer() {
    let app = Router::new()
        .route("/", post(async |_: Delivery| {}))
        .route("/event", post(async |_: scrapest::Event| {}));
    for path in ["/", "/event"] {
        let logged = Logged::default();
        let _guard = logged.install();
        let request = genuine().sign().into_http::<axum::body::Body>(path);
        let answer = tower::ServiceExt::oneshot(app.clone(), request).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), text(answer).await),
            (500, "internal error".to_owned())
        );
        let logged = logged.text();
        assert!(logged.contains("ERROR") && logged.contains("`WebhookLayer`"), "{logged}");
        assert!(logged.contains(".route_layer(ScrapestWebhookLayer::new(secret))"), "{logged}");
    }
}

#[tokio::test]
async fn the_event_of_another_sender_is_a_500_and_a_log_line_names_both() {
    let handler = async |_: scrapebadger::Event| {};
    let app = Router::new().route("/", post(handler).route_layer(layer()));
    let logged = Logged::default();
    let _guard = logged.install();
    let answer = send(&app, &genuine().sign()).await;
    assert_eq!((answer.status().as_u16(), text(answer).await), (500, "internal error".to_owned()));
    let logged = logged.text();
    assert!(logged.contains("ERROR"), "{logged}");
    assert!(logged.contains("scrapest: ") && logged.contains("scrapebadger"), "{logged}");
}

/// The log of this thread.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    fn install(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logged {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
