//! The queue through PgBouncer in transaction mode.

use support::servers::pgbouncer::PgBouncer;
use support::servers::postgres::Postgres;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_works_through_pgbouncer_in_transaction_mode() {
    let Some(server) = tokio::task::block_in_place(|| Postgres::start(&[])) else { return };
    let start = || PgBouncer::start(server.port(), "transaction", 3);
    let Some(pooler) = tokio::task::block_in_place(start) else { return };
    let queue = Queue::open(&server.url_through(pooler.port)).await.unwrap();
    queue.ready().await.unwrap();
    let attempts = Arc::new(AtomicUsize::new(0));
    let act = {
        let attempts = Arc::clone(&attempts);
        move |job: Job| {
            attempts.fetch_add(1, Ordering::SeqCst);
            async move {
                match job.attempt() {
                    1 => Err(scrapest_webhook::queue::JobError::new("once more")),
                    _ => Ok(()),
                }
            }
        }
    };
    let working = Working::start(&queue, |worker| worker, act);
    // More concurrent pushes than the pooler has connections.
    let pushing = (0..60).map(|number| {
        let queue = queue.clone();
        tokio::spawn(async move { push(&queue, &format!("pooled {number}")).await })
    });
    for push in pushing.collect::<Vec<_>>() {
        push.await.unwrap();
    }
    let done = until(&queue, |jobs| {
        jobs.len() == 60 && jobs.iter().all(|job| job.state == JobState::Done)
    });
    assert!(done.await.iter().all(|job| job.failed == 1));
    assert_eq!(attempts.load(Ordering::SeqCst), 120);
    assert!(working.stop().await);
}
