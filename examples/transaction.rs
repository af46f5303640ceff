//! Exactly once: the handler's row and the record of its success are written in one transaction, in one SQLite
//! file. Half of the transactions here fail just before their commit. The sender retries, and in the end each
//! tweet is stored once.
//!
//! ```sh
//! cargo run --example transaction
//! ```

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{Router, body::Body, extract::State, http::StatusCode, routing::post};
use scrapest_webhook::store::SqliteStore;
use scrapest_webhook::{Delivery, ScrapestWebhookLayer, scrapest, testing};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use tower::ServiceExt;

const SECRET: &str = "whsec_0123456789abcdef01234567";

#[derive(Clone)]
struct App {
    pool: SqlitePool,
    store: SqliteStore,
    /// Counts how often a run reached the commit. Only this example needs it.
    commits: Arc<AtomicUsize>,
}

async fn on_event(
    State(app): State<App>,
    delivery: Delivery,
    event: scrapest::Event,
) -> StatusCode {
    match record(&app, &delivery, &event).await {
        Ok(()) => StatusCode::NO_CONTENT,
        // Rolled back: neither the tweet nor the record exists, and the sender retries.
        Err(error) => {
            println!("attempt {} at {:?}: {error}", delivery.attempt(), delivery.id());
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

async fn record(
    app: &App,
    delivery: &Delivery,
    event: &scrapest::Event,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let text = event.tweet().and_then(|tweet| tweet.text.as_deref());
    let mut transaction = app.pool.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query("INSERT INTO tweets (text) VALUES (?)")
        .bind(text)
        .execute(&mut *transaction)
        .await?;
    app.store.complete_in(&mut transaction, delivery).await?;
    if app.commits.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
        return Err("lost before its commit".into());
    }
    transaction.commit().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("transaction-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("app.db");
    let options = SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePool::connect_with(options).await?;
    sqlx::query("CREATE TABLE tweets (text TEXT)").execute(&pool).await?;

    // The same file as the application's tables.
    let store = SqliteStore::new(file.to_str().ok_or("a path that is no text")?)?;
    let layer = ScrapestWebhookLayer::new(SECRET).with_store(store.clone()).check()?;
    let app = App { pool: pool.clone(), store, commits: Arc::default() };
    let router = Router::new().route("/", post(on_event).route_layer(layer)).with_state(app);

    for number in 1..=4 {
        let id = format!("delivery-{number}");
        let request = testing::scrapest(SECRET).with_delivery_id(id).sign();
        loop {
            let answer = router.clone().oneshot(request.clone().into_http::<Body>("/")).await?;
            if answer.status().is_success() {
                break;
            }
        }
        let again = router.clone().oneshot(request.into_http::<Body>("/")).await?;
        assert_eq!(again.status(), StatusCode::OK, "a duplicate");
    }
    let tweets: i64 = sqlx::query_scalar("SELECT count(*) FROM tweets").fetch_one(&pool).await?;
    println!("4 deliveries, {tweets} tweets");
    assert_eq!(tweets, 4);
    pool.close().await;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
