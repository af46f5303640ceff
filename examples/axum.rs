//! A complete axum application: a secret, a layer on the route, and a handler that takes the event. For
//! production it has a store, a health check and a graceful shutdown.
//!
//! ```sh
//! SCRAPEST_WEBHOOK_SECRET=whsec_… STORE=sqlite:deliveries.db cargo run --example axum --features sqlite
//! ```

mod signals;

use std::env;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::Duration;

use axum::routing::{get, post};
use axum::{Router, extract::State, http::StatusCode};
use scrapest_webhook::store::store_from_url;
use scrapest_webhook::{Delivery, ScrapestWebhookLayer, Secret, scrapest};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = Secret::from_env("SCRAPEST_WEBHOOK_SECRET")?;
    let store = store_from_url(&env::var("STORE").unwrap_or("memory:".into()))?;
    let webhook = ScrapestWebhookLayer::try_new(secret)?.with_store(store).check()?;
    let app = Router::new()
        .route("/webhooks/scrapest", post(on_event).route_layer(webhook.clone()))
        .route("/health", get(|| async { "ok" }))
        .route("/ready", get(ready))
        .with_state(webhook.clone())
        // Required by `with_allowed_ips`.
        .into_make_service_with_connect_info::<SocketAddr>();

    let address = env::var("LISTEN").unwrap_or("127.0.0.1:3000".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}/webhooks/scrapest", listener.local_addr()?);
    let (tell, told) = tokio::sync::oneshot::channel();
    let stop = async move {
        signals::terminated().await;
        // Starts no new runs, and gives the current ones 20 s to end. Then the server stops.
        webhook.shutdown(Duration::from_secs(20)).await;
        _ = tell.send(());
    };
    // A client that keeps its connection open must not delay the exit: nothing runs there any more.
    let late = async move {
        _ = told.await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    };
    tokio::select! {
        ended = axum::serve(listener, app).with_graceful_shutdown(stop).into_future() => ended?,
        () = late => {}
    }
    Ok(())
}

async fn ready(State(webhook): State<ScrapestWebhookLayer>) -> StatusCode {
    if webhook.is_ready().await { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn on_event(delivery: Delivery, event: scrapest::Event) -> StatusCode {
    match event {
        // Make the effect idempotent with `delivery.key()`: after a crash the handler may run again.
        scrapest::Event::TweetCreated(created) => {
            println!("{}: {:?}", delivery.key(), created.tweet.text)
        }
        other => println!("{}: {:?}", delivery.key(), other.kind()),
    }
    StatusCode::NO_CONTENT
}
