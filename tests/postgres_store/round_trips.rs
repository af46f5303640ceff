//! Both keys of a delivery share a question.

use support::{Axum, Framework, Handler, Server, genuine, layer};

use super::*;

/// Sends a delivery. Returns how many messages it took.
async fn last_delivery(server: &Postgres, receiver: &Server, status: u16) -> usize {
    let before = messages(server);
    assert_eq!(receiver.send(&genuine().sign()).await.status, status);
    messages(server) - before
}

/// Counts the store's messages in the server's log, which has each before its answer.
fn messages(server: &Postgres) -> usize {
    let log = server.log();
    let of_store = log.lines().filter(|line| line.starts_with("scrapest-webhook LOG:"));
    of_store.filter(|line| line.contains(" statement: ") || line.contains(" execute ")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_takes_one_query_to_claim_and_one_to_complete_or_release() {
    let server = server!("log_statement=all", "log_line_prefix=%a ");
    let handler = Handler::new(|_, before| async move { if before % 2 == 0 { 200 } else { 500 } });
    let receiver = Axum::serve(layer().with_store(store(&server).await), handler.clone()).await;
    // The first deliveries may take more messages.
    last_delivery(&server, &receiver, 200).await;
    last_delivery(&server, &receiver, 500).await;
    for _ in 0..5 {
        assert_eq!(last_delivery(&server, &receiver, 200).await, 2, "{}", server.log());
        assert_eq!(last_delivery(&server, &receiver, 500).await, 2, "{}", server.log());
    }
    let count = "SELECT count(*) FROM scrapest_webhook_deliveries";
    let records: i64 =
        sqlx::query_scalar(count).fetch_one(&mut connection(&server).await).await.unwrap();
    assert_eq!(records, 2 * handler.runs() as i64, "each delivery must have both records");
}
