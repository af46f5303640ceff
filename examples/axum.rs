//! What an axum application needs: a secret, a layer on the route, a handler that takes the event.
//!
//! ```sh
//! SCRAPEST_WEBHOOK_SECRET=whsec_… cargo run --example axum
//! ```

use std::time::Duration;

use axum::{Router, http::StatusCode, routing::post};
use scrapest_webhook::{Delivery, ScrapestWebhookLayer, Secret, scrapest};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = Secret::from_env("SCRAPEST_WEBHOOK_SECRET")?;
    let webhook = ScrapestWebhookLayer::try_new(secret)?.check()?;
    let app = Router::new()
        .route("/health", axum::routing::get(|| async { "ok" }))
        .route("/webhooks/scrapest", post(on_event).route_layer(webhook.clone()));

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 3000)).await?;
    println!("listening on http://{}/webhooks/scrapest", listener.local_addr()?);
    let stop = async { _ = tokio::signal::ctrl_c().await };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    // Handlers whose sender has gone away run on; let them finish.
    webhook.drain(Duration::from_secs(10)).await;
    Ok(())
}

async fn on_event(delivery: Delivery, event: scrapest::Event) -> StatusCode {
    match event {
        // File the effect under `delivery.key()`: after a crash it may be asked for once more.
        scrapest::Event::TweetCreated(created) => {
            println!("{}: {:?}", delivery.key(), created.tweet.text)
        }
        other => println!("{}: {:?}", delivery.key(), other.kind()),
    }
    StatusCode::NO_CONTENT
}
