//! Runs that complete their delivery in a transaction, but do not commit it.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use futures_util::FutureExt;
use scrapest_webhook::Delivery;
use scrapest_webhook::store::CompletionErrorKind;
use support::PATH;
use support::logged::Logged;
use support::servers::postgres::Postgres;
use tracing::Level;

use crate::application::{At, Database, Point, Record, app, delivery};
use crate::zombies::{nowhere, send};

pub(crate) async fn a_success_without_its_commit_is_a_500_and_the_retry_runs(database: Database) {
    let (logged, _guard) = Logged::begin();
    let app = app(&database, database.layer(), nowhere(), Record::WithoutCommit);
    let request = delivery("one").sign();
    assert_eq!(send(&app, &request).await.unwrap(), 500);
    assert_eq!(database.effects().await, [""; 0]);
    let errors = logged.text(Level::ERROR);
    assert!(errors.contains("did not commit the transaction"), "{errors}");
    assert_eq!(send(&app, &request).await.unwrap(), 204, "the second attempt");
    assert_eq!(send(&app, &request).await.unwrap(), 200, "a duplicate");
    assert_eq!(database.effects().await, ["one"]);
}

pub(crate) async fn a_completion_after_the_answer_is_refused(database: Database) {
    let kept = Arc::new(Mutex::new(None));
    let keep = |State(kept): State<Arc<Mutex<Option<Delivery>>>>, delivery: Delivery| async move {
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(delivery);
        StatusCode::NO_CONTENT
    };
    let answers = post(keep).route_layer(database.layer());
    let app = Router::new().route(PATH, answers).with_state(Arc::clone(&kept));
    assert_eq!(send(&app, &delivery("one").sign()).await.unwrap(), 204);
    let delivery = kept.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap();
    let refused = database.handle(&delivery, &nowhere(), Record::InTransaction).await.unwrap_err();
    assert_eq!(refused.kind(), Some(CompletionErrorKind::AlreadyCompleted));
    assert_eq!(database.effects().await, [""; 0]);
}

pub(crate) async fn a_commit_that_cannot_be_confirmed(server: Postgres) {
    let database = Database::create(&server.url()).await;
    let server = Arc::new(Mutex::new(server));
    let killed = Arc::clone(&server);
    let dies: At = Arc::new(move |point, _| {
        if point == Point::AfterCommit {
            killed.lock().unwrap().kill();
        }
        async {}.boxed()
    });
    let app = app(&database, database.layer(), dies, Record::InTransaction);
    let request = delivery("one").sign();
    assert_eq!(send(&app, &request).await.unwrap(), 503);
    server.lock().unwrap().run();
    while send(&app, &request).await.unwrap() != 200 {}
    assert_eq!(database.effects().await, ["one"]);
}
