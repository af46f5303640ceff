//! A success whose transaction was not committed.

use axum::response::Response;
use scrapest_webhook::store::SqliteStore;
use scrapest_webhook::testing::SignedRequest;
use sqlx::SqlitePool;
use support::in_process::{app, send};
use support::{Folder, Handler, layer};

/// Returns the answer. Time must be paused, and is paused again afterwards.
pub async fn success(request: &SignedRequest) -> Response {
    // The store uses a separate thread, for which time must pass.
    tokio::time::resume();
    let folder = Folder::new();
    let path = folder.file("deliveries.db");
    let store = SqliteStore::new(&path).unwrap();
    store.ready().await.unwrap();
    let pool = SqlitePool::connect(&path).await.unwrap();
    let layer = layer().with_store(store.clone());
    let forgets_to_commit = Handler::new(move |delivery, _| {
        let (pool, store) = (pool.clone(), store.clone());
        async move {
            let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
            store.complete_in(&mut transaction, &delivery).await.unwrap();
            200
        }
    });
    let response = send(&app(layer, &forgets_to_commit), request).await;
    tokio::time::pause();
    response
}
