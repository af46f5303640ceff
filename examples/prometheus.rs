//! Exports metrics to Prometheus: `/metrics` beside the webhooks of both senders and a queue.
//!
//! ```sh
//! SCRAPEST_WEBHOOK_SECRET=whsec_… SCRAPEBADGER_WEBHOOK_SECRET=whsec_… \
//!     cargo run --example prometheus --features metrics,queue-sqlite
//! curl http://127.0.0.1:3002/metrics
//! ```
//!
//! The alert rules are in `prometheus-rules.yml`, and a dashboard to import into Grafana is in
//! `grafana-dashboard.json`. Use the proxy to restrict access to `/metrics`.

use std::time::Duration;

use axum::routing::{get, post};
use axum::{Router, http::StatusCode};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use scrapest_webhook::metrics::{BYTES_BUCKETS, SECONDS_BUCKETS};
use scrapest_webhook::queue::{Job, JobError, Queue};
use scrapest_webhook::{
    ScrapeBadgerWebhookLayer, ScrapestWebhookLayer, Secret, scrapebadger, scrapest,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Installed before the first request. Buckets, because quantiles cannot be aggregated over machines.
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".into()), BYTES_BUCKETS)?
        .install_recorder()?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        loop {
            // Without this, recorded values would pile up while nobody scrapes.
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });

    let scrapest_layer =
        ScrapestWebhookLayer::try_new(Secret::from_env("SCRAPEST_WEBHOOK_SECRET")?)?.check()?;
    let scrapebadger_layer =
        ScrapeBadgerWebhookLayer::try_new(Secret::from_env("SCRAPEBADGER_WEBHOOK_SECRET")?)?
            .check()?;
    // The same sender again, but its deliveries are queued first and processed later.
    let url = std::env::var("QUEUE_URL").unwrap_or_else(|_| "sqlite:queue.db".into());
    let queue = Queue::open(&url).await?;
    let stopped = async { _ = tokio::signal::ctrl_c().await };
    let worker = tokio::spawn(queue.work(on_job).with_shutdown(stopped));
    let queue_layer = scrapest_layer.clone().with_namespace("queued");
    let app = Router::new()
        .route("/webhooks/queued", post(queue.accept()).route_layer(queue_layer))
        .route("/webhooks/scrapest", post(on_scrapest).route_layer(scrapest_layer.clone()))
        .route("/webhooks/scrapebadger", post(on_badger).route_layer(scrapebadger_layer.clone()))
        .route("/metrics", get(async move || metrics.render()));

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3002".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let stop = async { _ = tokio::signal::ctrl_c().await };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    let grace = Duration::from_secs(10);
    tokio::join!(scrapest_layer.drain(grace), scrapebadger_layer.drain(grace));
    worker.await?;
    Ok(())
}

async fn on_job(job: Job) -> Result<(), JobError> {
    let event: scrapest::Event = job.event()?;
    println!("{:?}", event.kind());
    Ok(())
}

async fn on_scrapest(event: scrapest::Event) -> StatusCode {
    println!("{:?}", event.kind());
    StatusCode::NO_CONTENT
}

async fn on_badger(event: scrapebadger::Event) -> StatusCode {
    println!("{:?}", event.kind());
    StatusCode::NO_CONTENT
}
