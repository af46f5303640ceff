//! Answers at once and works later. Run it with `cargo run -p queue`, and send it something from a second
//! terminal:
//!
//! ```sh
//! WEBHOOK_SECRET=whsec_0123456789abcdef01234567 scrapest-webhook send --sender scrapest \
//!     --secret-env WEBHOOK_SECRET --to http://127.0.0.1:3003/webhooks/scrapest
//! ```

use axum::{Router, routing::post};
use scrapest_webhook::{ScrapestWebhookLayer, queue::Queue, scrapest};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("QUEUE_URL").unwrap_or_else(|_| "sqlite:queue.db".into());
    let queue = Queue::open(&url).await?;
    let layer = ScrapestWebhookLayer::new("whsec_0123456789abcdef01234567").check()?;
    let app = Router::new().route("/webhooks/scrapest", post(queue.accept()).route_layer(layer));
    let worker = queue.work(|job| async move {
        let event: scrapest::Event = job.event()?;
        println!("{} attempt {}: {event:?}", job.key(), job.attempt());
        Ok(())
    });
    let stop = async || _ = tokio::signal::ctrl_c().await;
    let worker = tokio::spawn(worker.with_shutdown(stop()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3003").await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(stop()).await?;
    anyhow::ensure!(worker.await?, "some jobs were given back");
    Ok(())
}
