//! Stores events in batches, limited by size and by time. One insert stores many events, but each delivery
//! still gets the result of its own event, because its handler waits for the insert. If the insert fails, each
//! delivery of the batch is released, and its sender retries it.
//!
//! ```sh
//! cargo run --example batch
//! ```

use std::time::Duration;

use axum::{Router, body::Body, extract::State, http::StatusCode, routing::post};
use futures_util::future::join_all;
use scrapest_webhook::{ScrapestWebhookLayer, scrapest, testing};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tower::ServiceExt;

const SECRET: &str = "whsec_0123456789abcdef01234567";
const MOST: usize = 16;
/// Well below the answer deadline, which includes this wait.
const LONGEST: Duration = Duration::from_millis(50);

/// An event, and the channel to the handler that waits for its result.
struct Waiting {
    event: scrapest::Event,
    outcome: oneshot::Sender<bool>,
}

async fn on_event(
    State(batches): State<mpsc::Sender<Waiting>>,
    event: scrapest::Event,
) -> StatusCode {
    let (outcome, told) = oneshot::channel();
    // If the channel is full or its worker has stopped, the sender retries. Never wait here without a limit.
    if batches.try_send(Waiting { event, outcome }).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    match told.await {
        Ok(true) => StatusCode::NO_CONTENT,
        Ok(false) | Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn work(mut events: mpsc::Receiver<Waiting>) -> Vec<usize> {
    let mut sizes = Vec::new();
    while let Some(first) = events.recv().await {
        let (mut batch, end) = (vec![first], Instant::now() + LONGEST);
        while batch.len() < MOST
            && let Ok(Some(next)) = timeout_at(end, events.recv()).await
        {
            batch.push(next);
        }
        sizes.push(batch.len());
        let is_first = sizes.len() == 1;
        let texts: Vec<_> = batch.iter().filter_map(|waiting| waiting.event.tweet()).collect();
        let stored = insert(&texts, is_first).await;
        for waiting in batch {
            // A handler that no longer waits has reached its run limit; its sender retries.
            _ = waiting.outcome.send(stored);
        }
    }
    sizes
}

/// Stands in for a statement with many rows. The first call fails.
async fn insert(tweets: &[&scrapest::Tweet], fails: bool) -> bool {
    println!("{} tweets: {}", tweets.len(), if fails { "failed" } else { "stored" });
    !fails
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (batches, events) = mpsc::channel(1_024);
    let worker = tokio::spawn(work(events));
    let layer = ScrapestWebhookLayer::new(SECRET).check()?;
    let app = Router::new().route("/", post(on_event).route_layer(layer)).with_state(batches);

    let send = |number: usize| {
        let request = testing::scrapest(SECRET).with_delivery_id(number.to_string()).sign();
        let app = app.clone();
        async move {
            let mut attempts = 1;
            loop {
                let request = request.clone().into_http::<Body>("/");
                let Ok(answer) = app.clone().oneshot(request).await;
                if answer.status().is_success() {
                    return attempts;
                }
                attempts += 1;
            }
        }
    };
    let attempts = join_all((0..40).map(send)).await;
    println!("{} of 40 deliveries needed a retry", attempts.iter().filter(|n| **n > 1).count());
    drop(app);
    let sizes = worker.await?;
    println!("batches of {sizes:?}");
    assert!(sizes[0] <= MOST && attempts.iter().filter(|n| **n > 1).count() == sizes[0]);
    assert_eq!(sizes.iter().sum::<usize>(), 40 + sizes[0]);
    Ok(())
}
