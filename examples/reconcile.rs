//! What the sender gave up on: read from its log, signed with one's own secret, and handed to the same receiver in
//! this process, so that it claims the same keys and runs the same handler. What had been handled after all is
//! a duplicate.
//!
//! The log here is a stand-in on the loopback interface: ScrapeBadger says that there is one, where a delivery
//! that was given up is marked `webhook_failed`, but not what an answer looks like. `Entry` is what this recipe
//! needs of it; the body must be what was sent, byte for byte, or else only its id makes it a duplicate.
//!
//! ```sh
//! cargo run --example reconcile
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::{Json, Router, extract::State, http::StatusCode, routing::get, routing::post};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use scrapest_webhook::store::MemoryStore;
use scrapest_webhook::{Delivery, ScrapeBadgerWebhookLayer, scrapebadger, testing};
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

const SECRET: &str = "whsec_0123456789abcdef01234567";
const HOUR: Duration = Duration::from_secs(3_600);

/// A delivery in the sender's log.
#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    delivery_id: String,
    status: String,
    body: String,
}

#[derive(Clone, Default)]
struct App {
    is_down: Arc<Mutex<bool>>,
    handled: Arc<Mutex<Vec<String>>>,
}

async fn on_event(
    State(app): State<App>,
    delivery: Delivery,
    event: scrapebadger::Event,
) -> StatusCode {
    if *app.is_down.lock().unwrap() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    // Scrapest says `webhook.delivery_failed` when it gave up: then the time has come to look at its log.
    let what = event.tweet().map_or("no tweet", |tweet| &tweet.id);
    println!("handled {what} of {}", delivery.id().unwrap_or_default());
    app.handled.lock().unwrap().push(delivery.id().unwrap_or_default().to_owned());
    StatusCode::NO_CONTENT
}

fn receiver(app: &App, layer: ScrapeBadgerWebhookLayer) -> Router {
    Router::new().route("/", post(on_event).route_layer(layer)).with_state(app.clone())
}

/// Reads what was given up, and receives it. Run it every few minutes, and at start.
async fn reconcile(log: &str, receiver: &Router) -> Result<(), Box<dyn Error>> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(format!("{log}/deliveries?status=webhook_failed").parse()?).await?;
    if !answer.status().is_success() {
        return Err(format!("the log answers {}", answer.status()).into());
    }
    let body = answer.into_body().collect().await?.to_bytes();
    for entry in serde_json::from_slice::<Vec<Entry>>(&body)? {
        let request = testing::scrapebadger(SECRET)
            .with_delivery_id(&entry.delivery_id)
            .with_body(entry.body)
            .sign();
        let Ok(answer): Result<_, Infallible> =
            receiver.clone().oneshot(request.into_http::<Body>("/")).await;
        // Anything but a success stays in the log, and is there the next time.
        println!("reconciled {}: {}", entry.delivery_id, answer.status());
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // One that remembers for as long as the log reaches back, in production one that lasts.
    let (store, days) = (MemoryStore::new(), 3 * 24 * HOUR);
    let layer = || {
        ScrapeBadgerWebhookLayer::new(SECRET).with_store(store.clone()).with_retention(days + HOUR)
    };
    let app = App::default();
    let public = receiver(&app, layer().check()?);
    // What was given up is old by now. Nobody else reaches this one, so it may take what is.
    let own = receiver(&app, layer().with_past_tolerance(2 * 24 * HOUR).check()?);

    // Three deliveries of yesterday. The application was down for all attempts at two of them; the third was
    // handled, but its answer was lost.
    let yesterday = SystemTime::now() - 20 * HOUR;
    let mut log = Vec::new();
    for (minute, id) in ["del_1", "del_2", "del_3"].into_iter().enumerate() {
        let at = yesterday + minute as u32 * Duration::from_secs(60);
        let sent = testing::scrapebadger(SECRET).with_delivery_id(id).with_time(at).sign();
        *app.is_down.lock().unwrap() = id != "del_3";
        let Ok(_): Result<_, Infallible> =
            own.clone().oneshot(sent.clone().into_http::<Body>("/")).await;
        let body = String::from_utf8(sent.body().to_vec())?;
        log.push(Entry { delivery_id: id.into(), status: "webhook_failed".into(), body });
    }
    *app.is_down.lock().unwrap() = false;

    let api = Router::new().route("/deliveries", get(move || async move { Json(log) }));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, api).await });

    reconcile(&url, &own).await?;
    // Again: there is nothing left to do.
    reconcile(&url, &own).await?;
    assert_eq!(*app.handled.lock().unwrap(), ["del_3", "del_1", "del_2"]);

    // For everybody else they are too old.
    let captured = testing::scrapebadger(SECRET).with_delivery_id("x").with_time(yesterday).sign();
    let Ok(answer): Result<_, Infallible> = public.oneshot(captured.into_http::<Body>("/")).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    Ok(())
}
