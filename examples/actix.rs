//! A complete actix-web application: a secret, the layer around the resource, and a handler that takes the
//! event. For production it has a store, a health check and a graceful shutdown.
//!
//! ```sh
//! SCRAPEST_WEBHOOK_SECRET=whsec_… STORE=sqlite:deliveries.db cargo run --example actix --features actix,sqlite
//! ```

mod signals;

use std::env;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use scrapest_webhook::store::store_from_url;
use scrapest_webhook::{Delivery, ScrapestWebhookLayer, Secret, scrapest};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = Secret::from_env("SCRAPEST_WEBHOOK_SECRET")?;
    let store = store_from_url(&env::var("STORE").unwrap_or("memory:".into()))?;
    let webhook = ScrapestWebhookLayer::try_new(secret)?.with_store(store).check()?;

    let shared = webhook.clone();
    let stop = async move {
        signals::terminated().await;
        // Starts no new runs, and gives the current ones 20 s to end. Then the server and its workers stop.
        webhook.shutdown(Duration::from_secs(20)).await;
    };
    let server = HttpServer::new(move || {
        // One clone per worker: all share one store and one configuration.
        let resource = web::resource("/webhooks/scrapest")
            .route(web::post().to(on_event))
            .wrap(shared.clone());
        App::new()
            .service(resource)
            .route("/health", web::get().to(|| async { "ok" }))
            .route("/ready", web::get().to(ready))
            .app_data(web::Data::new(shared.clone()))
    })
    .shutdown_signal(stop)
    .shutdown_timeout(5)
    .bind(env::var("LISTEN").unwrap_or("127.0.0.1:3001".into()))?;
    println!("listening on http://{}/webhooks/scrapest", server.addrs()[0]);
    server.run().await?;
    Ok(())
}

async fn ready(webhook: web::Data<ScrapestWebhookLayer>) -> HttpResponse {
    match webhook.is_ready().await {
        true => HttpResponse::Ok().finish(),
        false => HttpResponse::ServiceUnavailable().finish(),
    }
}

async fn on_event(delivery: Delivery, event: scrapest::Event) -> HttpResponse {
    match event {
        // Make the effect idempotent with `delivery.key()`: after a crash the handler may run again.
        scrapest::Event::TweetCreated(created) => {
            println!("{}: {:?}", delivery.key(), created.tweet.text);
        }
        other => println!("{}: {:?}", delivery.key(), other.kind()),
    }
    HttpResponse::NoContent().finish()
}
