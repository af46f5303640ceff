//! Two concurrent attempts at one delivery whose leases do not keep them apart, and faults of a handler.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures_util::FutureExt;
use scrapest_webhook::testing::SignedRequest;
use support::PATH;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::application::{At, Database, Point, Record, app, delivery};

/// Stops the first attempt at a point, and signals when the attempt has arrived.
#[derive(Clone)]
struct Gate {
    point: Point,
    reached: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn at(point: Point) -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self { point, reached: closed(), open: closed() }
    }

    fn of_attempt(&self, held_up: u32) -> At {
        let gate = self.clone();
        Arc::new(move |point, attempt| {
            let gate = gate.clone();
            async move {
                if (point, attempt) == (gate.point, held_up) {
                    gate.reached.add_permits(1);
                    gate.open.acquire().await.unwrap().forget();
                }
            }
            .boxed()
        })
    }

    async fn is_reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    fn open(&self) {
        self.open.add_permits(1);
    }
}

pub(crate) fn nowhere() -> At {
    Arc::new(|_, _| async {}.boxed())
}

/// Sends the request and returns the status.
pub(crate) fn send(app: &Router, request: &SignedRequest) -> JoinHandle<u16> {
    let answer = app.clone().oneshot(request.clone().into_http::<Body>(PATH));
    tokio::spawn(async move { answer.await.unwrap().status().as_u16() })
}

/// Starts a first attempt that hangs at the gate. It renews its lease once a minute, so it does not notice when
/// a test ends the lease.
async fn hung(database: &Database, gate: &Gate) -> (Router, SignedRequest, JoinHandle<u16>) {
    let layer = database.layer().with_lease(Duration::from_secs(180));
    let layer =
        layer.with_run_limit(Duration::from_secs(30)).with_answer_deadline(Duration::from_secs(20));
    let app = app(database, layer, gate.of_attempt(1), Record::InTransaction);
    let request = delivery("one").sign();
    let first = send(&app, &request);
    gate.is_reached().await;
    (app, request, first)
}

pub(crate) async fn a_late_attempt_that_was_taken_over_rolls_back(database: Database) {
    let gate = Gate::at(Point::BeforeEffect);
    let (app, request, first) = hung(&database, &gate).await;
    database.end_all_leases().await;
    assert_eq!(send(&app, &request).await.unwrap(), 204);
    gate.open();
    assert_eq!(first.await.unwrap(), 409, "it is told that another was the first");
    assert_eq!(database.effects().await, ["one"]);
    assert_eq!(send(&app, &request).await.unwrap(), 200, "a duplicate");
}

pub(crate) async fn an_attempt_that_was_taken_over_may_commit_first(database: Database) {
    let (early, late) = (Gate::at(Point::BeforeEffect), Gate::at(Point::BeforeEffect));
    let (_, request, first) = hung(&database, &early).await;
    database.end_all_leases().await;
    let layer = database.layer().with_answer_deadline(Duration::from_secs(20));
    let other = app(&database, layer, late.of_attempt(2), Record::InTransaction);
    let second = send(&other, &request);
    late.is_reached().await;
    early.open();
    assert_eq!(first.await.unwrap(), 204);
    late.open();
    assert_eq!(second.await.unwrap(), 409);
    assert_eq!(database.effects().await, ["one"]);
}

pub(crate) async fn concurrent_transactions_wait_for_each_other(database: Database) {
    assert_eq!(two_at_once(&database).await, (204, 409));
    assert_eq!(database.effects().await, ["one"]);
}

pub(crate) async fn the_server_rejects_the_second_of_two_concurrent_transactions(
    database: Database,
) {
    assert_eq!(two_at_once(&database).await, (204, 500));
    assert_eq!(database.effects().await, ["one"]);
}

pub(crate) async fn a_renewal_during_the_transaction_fails_the_attempt(database: Database) {
    let gate = Gate::at(Point::AfterEffect);
    let (app, request, first) = hung(&database, &gate).await;
    // This changes the rows like a renewal.
    database.end_all_leases().await;
    gate.open();
    assert_eq!(first.await.unwrap(), 500);
    assert_eq!(send(&app, &request).await.unwrap(), 204);
    assert_eq!(database.effects().await, ["one"]);
}

/// The second attempt starts, is overtaken by the first, and waits for it. Returns both statuses.
async fn two_at_once(database: &Database) -> (u16, u16) {
    let (early, late) = (Gate::at(Point::BeforeCommit), Gate::at(Point::BeforeEffect));
    let layer = || database.layer().with_answer_deadline(Duration::from_secs(20));
    let before = Gate::at(Point::BeforeEffect);
    let at: At = {
        let (before, early) = (before.of_attempt(1), early.of_attempt(1));
        Arc::new(move |point, attempt| {
            let (before, early) = (before(point, attempt), early(point, attempt));
            async move {
                before.await;
                early.await;
            }
            .boxed()
        })
    };
    let request = delivery("one").sign();
    let first = send(&app(database, layer(), at, Record::InTransaction), &request);
    before.is_reached().await;
    database.end_all_leases().await;
    let second = send(&app(database, layer(), late.of_attempt(2), Record::InTransaction), &request);
    late.is_reached().await;
    before.open();
    early.is_reached().await;
    late.open();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!second.is_finished(), "it does not know yet");
    early.open();
    (first.await.unwrap(), second.await.unwrap())
}

pub(crate) async fn an_error_after_the_commit_undoes_nothing(database: Database) {
    let panics: At = Arc::new(|point, _| {
        async move { assert!(point != Point::AfterCommit, "as the test wants it") }.boxed()
    });
    let app = app(&database, database.layer(), panics, Record::InTransaction);
    let request = delivery("one").sign();
    assert_eq!(send(&app, &request).await.unwrap(), 500);
    assert_eq!(send(&app, &request).await.unwrap(), 200, "a duplicate");
    let replay = request.with_header("x-scrapest-delivery-id", "another");
    assert_eq!(send(&app, &replay).await.unwrap(), 200, "a replay");
    assert_eq!(database.effects().await, ["one"]);
}

pub(crate) async fn a_rollback_lets_the_retry_run(database: Database) {
    for point in [Point::BeforeEffect, Point::AfterEffect, Point::BeforeCommit] {
        let fails: At = Arc::new(move |at, attempt| {
            async move { assert!((at, attempt) != (point, 1), "as the test wants it") }.boxed()
        });
        let app = app(&database, database.layer(), fails, Record::InTransaction);
        let request = delivery(&format!("{point:?}")).sign();
        assert_eq!(send(&app, &request).await.unwrap(), 500);
        assert_eq!(send(&app, &request).await.unwrap(), 204);
    }
    assert_eq!(database.effects().await, ["AfterEffect", "BeforeCommit", "BeforeEffect"]);
}

pub(crate) async fn a_transaction_on_another_database_is_refused(database: Database) {
    let other = match &database {
        Database::Postgres(pool, ..) => {
            sqlx::query("CREATE DATABASE other").execute(pool).await.unwrap();
            Database::create(&database.url().replace("/postgres?", "/other?")).await
        }
        Database::Sqlite(..) => Database::create(&format!("{}.other", database.url())).await,
    };
    // Another receiver uses it, so that the table exists.
    let neighbour = app(&other, other.layer(), nowhere(), Record::InTransaction);
    assert_eq!(send(&neighbour, &delivery("its own").sign()).await.unwrap(), 204);

    let wrong = app(&other, database.layer(), nowhere(), Record::InTransaction);
    assert_eq!(send(&wrong, &delivery("one").sign()).await.unwrap(), 412);
    assert_eq!(other.effects().await, ["its own"]);
}
