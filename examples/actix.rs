//! What an actix-web application needs: a secret, the layer around the resource, a handler that takes the
//! event.
//!
//! ```sh
//! SCRAPEST_WEBHOOK_SECRET=whsec_… cargo run --example actix --features actix
//! ```

use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use scrapest_webhook::{Delivery, ScrapestWebhookLayer, Secret, scrapest};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = Secret::from_env("SCRAPEST_WEBHOOK_SECRET")?;
    let webhook = ScrapestWebhookLayer::try_new(secret)?.check()?;

    let shared = webhook.clone();
    let server = HttpServer::new(move || {
        // A clone for each worker: all share one store and one configuration.
        let resource = web::resource("/webhooks/scrapest")
            .route(web::post().to(on_event))
            .wrap(shared.clone());
        App::new().route("/health", web::get().to(|| async { "ok" })).service(resource)
    })
    .bind(("127.0.0.1", 3001))?;
    println!("listening on http://{}/webhooks/scrapest", server.addrs()[0]);
    server.run().await?;
    // Handlers that outlived their answer run on; let them finish.
    webhook.drain(Duration::from_secs(10)).await;
    Ok(())
}

async fn on_event(delivery: Delivery, event: scrapest::Event) -> HttpResponse {
    match event {
        // File the effect under `delivery.key()`: after a crash it may be asked for once more.
        scrapest::Event::TweetCreated(created) => {
            println!("{}: {:?}", delivery.key(), created.tweet.text);
        }
        other => println!("{}: {:?}", delivery.key(), other.kind()),
    }
    HttpResponse::NoContent().finish()
}
