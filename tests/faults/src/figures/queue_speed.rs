//! Measures the queue: the p99 of the 202 at 200 deliveries per second, and the time from the push to the start
//! of the run by an idle worker, in the same process and in another.

use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::routing::post;
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rand::RngExt;
use scrapest_webhook::ScrapestWebhookLayer;
use scrapest_webhook::queue::{Depth, Job, Queue};
use scrapest_webhook::testing;
use support::Folder;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tower::ServiceExt;

use super::{Options, Violations};
use crate::sender::{SCRAPEST, SECRET};
use crate::servers::Store;

const RATE: u64 = 200;

/// Measures and prints, but does not judge, because a busy machine is not a defect.
pub async fn run(options: &Options) -> Result<Violations> {
    for &store in &options.stores {
        if matches!(store, Store::Sqlite | Store::Postgres) {
            let folder = Folder::new();
            let server = tokio::task::block_in_place(|| store.start(&folder))?;
            let seconds = if options.full { 20 } else { 3 };
            answers(store, &server.url(), seconds).await?;
            let samples = if options.full { 200 } else { 20 };
            starts(store, &server.url(), samples).await?;
        }
    }
    Ok(Vec::new())
}

fn app(queue: &Queue) -> Router {
    let layer = ScrapestWebhookLayer::new(SECRET);
    Router::new().route(SCRAPEST.path, post(queue.accept()).route_layer(layer))
}

/// Over sockets, while a worker processes the jobs.
async fn answers(store: Store, url: &str, seconds: u64) -> Result<()> {
    let queue = Queue::open(url).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(axum::serve(listener, app(&queue)).into_future());
    let working = tokio::spawn(queue.work(|_: Job| async { Ok(()) }));
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let mut ticks = interval(Duration::from_micros(1_000_000 / RATE));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (took, mut times) = mpsc::unbounded_channel();
    for number in 0..RATE * seconds {
        // From the due time, so that waiting behind a stall counts.
        let due = ticks.tick().await;
        let request = SCRAPEST.request(address, &format!("speed-{number}"), None);
        let (client, took) = (client.clone(), took.clone());
        tokio::spawn(async move {
            let status = client.request(request).await.map(|answer| answer.status().as_u16());
            _ = took.send((status.unwrap_or(0), due.elapsed()));
        });
    }
    drop(took);
    let (mut histogram, mut others) = (Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?, 0);
    while let Some((status, time)) = times.recv().await {
        histogram.saturating_record(u64::try_from(time.as_micros())?);
        others += u32::from(status != 202);
    }
    println!("queue {store:?}, 202 at {RATE}/s: {}, {others} other answers", show(&histogram));
    serving.abort();
    working.abort();
    Ok(())
}

/// From the request to the start of the handler, including the storage; each sample after a pause.
async fn starts(store: Store, url: &str, samples: usize) -> Result<()> {
    let (receiver, elsewhere) = (Queue::open(url).await?, Queue::open(url).await?);
    for (place, queue) in [("the same process", &receiver), ("another process", &elsewhere)] {
        let (said, mut started) = mpsc::unbounded_channel();
        let working = tokio::spawn(queue.work(move |job: Job| {
            _ = said.send((job.delivery_id().map(str::to_owned), Instant::now()));
            async { Ok(()) }
        }));
        // The worker is not idle until the jobs of the first measurement are done.
        while receiver.depth().await? != Depth::default() {
            sleep(Duration::from_millis(100)).await;
        }
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
        for number in 0..samples {
            sleep(Duration::from_millis(rand::rng().random_range(50..350))).await;
            let id = format!("{place}-{number}");
            let request = testing::scrapest(SECRET).with_delivery_id(&id);
            let request = request.sign().into_http::<Body>(SCRAPEST.path);
            let pushed = Instant::now();
            let answer = app(&receiver).oneshot(request).await?;
            anyhow::ensure!(answer.status() == 202, "{}", answer.status());
            let begun = loop {
                let (of, begun) = started.recv().await.context("the worker works")?;
                if of.as_deref() == Some(id.as_str()) {
                    break begun;
                }
            };
            let waited = begun.saturating_duration_since(pushed);
            histogram.saturating_record(u64::try_from(waited.as_micros())?);
        }
        println!("queue {store:?}, push to start in {place}: {}", show(&histogram));
        working.abort();
    }
    Ok(())
}

fn show(histogram: &Histogram<u64>) -> String {
    let millis = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
    let most = histogram.max() as f64 / 1_000.0;
    format!("p50 {:.1} ms, p99 {:.1} ms, max {most:.1} ms", millis(0.5), millis(0.99))
}
