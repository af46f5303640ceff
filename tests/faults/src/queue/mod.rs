//! A receiver that stores deliveries in a queue, and the queue's workers, as processes that can be killed.

mod process;

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::routing::post;
use clap::ValueEnum;
use scrapest_webhook::ScrapestWebhookLayer;
use scrapest_webhook::queue::{Backoff, Job, JobError, Queue};
use tokio::net::TcpListener;

pub use self::process::Process;
use crate::journal::Journal;
use crate::sender::SECRET;

/// Short, so that the jobs of a killed worker are soon taken over.
const LEASE: Duration = Duration::from_secs(2);
const CONCURRENCY: usize = 8;
/// Before the effect, and again after it, where a kill does most harm.
const WORK: Duration = Duration::from_millis(5);
/// The first attempt fails for one in this many jobs.
const FAILS: u64 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Answers 202 after storing the delivery.
    Accept,
    /// Runs jobs, and writes an effect to the journal.
    Work,
}

#[derive(clap::Args, Debug)]
pub struct Arguments {
    #[arg(long)]
    role: Role,
    #[arg(long)]
    url: String,
    #[arg(long)]
    journal: PathBuf,
}

/// Runs until it is killed or its parent has ended.
#[tokio::main]
pub async fn run(arguments: Arguments) -> Result<()> {
    std::thread::spawn(|| {
        _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let queue = Queue::open(&arguments.url).await?;
    match arguments.role {
        Role::Accept => accept(&queue).await,
        Role::Work => {
            work(&queue, Arc::new(Journal::open(&arguments.journal)?)).await;
            Ok(())
        }
    }
}

/// With a memory store, which a kill empties: the queue must make each delivery only one job.
async fn accept(queue: &Queue) -> Result<()> {
    let layer = ScrapestWebhookLayer::new(SECRET);
    let app = Router::new().route("/scrapest", post(queue.accept()).route_layer(layer));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn work(queue: &Queue, journal: Arc<Journal>) {
    println!("listening on 127.0.0.1:0");
    let worker = queue.work(move |job: Job| {
        let journal = Arc::clone(&journal);
        async move {
            let id = job.delivery_id().unwrap_or_default().to_owned();
            tokio::time::sleep(WORK).await;
            let number: u64 = id.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(1);
            if number.is_multiple_of(FAILS) && job.attempt() == 1 {
                return Err(JobError::new("not the first time"));
            }
            journal.note(format_args!("effect {id}"));
            tokio::time::sleep(WORK).await;
            Ok(())
        }
    });
    worker
        .with_lease(LEASE)
        .with_concurrency(CONCURRENCY)
        .with_poll_interval(Duration::from_millis(50))
        .with_backoff(Backoff::new(Duration::from_millis(100), Duration::from_secs(2)))
        .await;
}
