//! Both keys of a delivery share a question and a commit.

use support::{Axum, Framework, Handler, Server, genuine, layer};

use super::*;

/// Sends a delivery. Returns how many commits it took.
async fn last_delivery(folder: &Folder, receiver: &Server, status: u16) -> u32 {
    let before = commits(folder);
    assert_eq!(receiver.send(&genuine().sign()).await.status, status);
    commits(folder) - before
}

/// Counts the transactions that have written to the file. The counter is the third word of the shared memory, see
/// <https://www.sqlite.org/walformat.html>.
fn commits(folder: &Folder) -> u32 {
    let memory = std::fs::read(folder.file("deliveries.db-shm")).unwrap();
    u32::from_ne_bytes(memory[8..12].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_takes_one_commit_to_claim_and_one_to_complete_or_release() {
    let folder = Folder::new();
    let handler = Handler::new(|_, before| async move { if before % 2 == 0 { 200 } else { 500 } });
    let receiver = Axum::serve(layer().with_store(store(&folder)), handler.clone()).await;
    // The first deliveries may take more commits.
    assert_eq!(receiver.send(&genuine().sign()).await.status, 200);
    assert_eq!(receiver.send(&genuine().sign()).await.status, 500);
    for _ in 0..5 {
        assert_eq!(last_delivery(&folder, &receiver, 200).await, 2);
        assert_eq!(last_delivery(&folder, &receiver, 500).await, 2);
    }
    let count = "SELECT count(*) FROM scrapest_webhook_deliveries";
    let records: i64 =
        sqlx::query_scalar(count).fetch_one(&mut other(&folder).await).await.unwrap();
    assert_eq!(records, 2 * handler.runs() as i64, "each delivery must have both records");
}
