//! An application with its own table, and its handler.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use scrapest_webhook::store::{
    AnyStore, CompletionError, CompletionErrorKind, PostgresStore, SqliteStore,
};
use scrapest_webhook::testing::{self, WebhookRequest};
use scrapest_webhook::{Delivery, ScrapestWebhookLayer};
use sqlx::{PgPool, SqlitePool};
use support::PATH;

const SECRET: &str = "whsec_canary_2e61c0d7b9f84a35";

/// Without a unique constraint.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS effects (id TEXT NOT NULL)";
const ROW: &str = "INSERT INTO effects (id) VALUES ($1)";
const ROWS: &str = "SELECT id FROM effects";

#[derive(Clone)]
pub(crate) enum Database {
    Postgres(PgPool, PostgresStore, String),
    Sqlite(SqlitePool, SqliteStore, String),
}

/// A point in the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    BeforeEffect,
    AfterEffect,
    BeforeCommit,
    AfterCommit,
}

/// Called at each point of a handler.
pub(crate) type At =
    Arc<dyn Fn(Point, u32) -> futures_util::future::BoxFuture<'static, ()> + Send + Sync>;

/// Whether the handler's transaction records the success, or the layer does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    InTransaction,
    /// The first attempt does not commit.
    WithoutCommit,
    Apart,
}

macro_rules! transact {
    ($transaction:expr, $store:expr, $delivery:expr, $at:expr, $record:expr) => {{
        let (delivery, attempt) = ($delivery, $delivery.attempt());
        let mut transaction = $transaction.map_err(Refused::Database)?;
        let row = sqlx::query(ROW).bind(delivery.id());
        row.execute(&mut *transaction).await.map_err(Refused::Database)?;
        $at(Point::AfterEffect, attempt).await;
        if $record != Record::Apart {
            $store.complete_in(&mut transaction, delivery).await.map_err(Refused::Completion)?;
        }
        $at(Point::BeforeCommit, attempt).await;
        if $record == Record::WithoutCommit && attempt == 1 {
            return Ok(());
        }
        transaction.commit().await.map_err(Refused::Database)?;
        $at(Point::AfterCommit, attempt).await;
        Ok(())
    }};
}

#[derive(Debug)]
pub(crate) enum Refused {
    Database(#[expect(dead_code, reason = "printed by `Debug`")] sqlx::Error),
    Completion(CompletionError),
}

impl Refused {
    pub(crate) fn kind(&self) -> Option<CompletionErrorKind> {
        match self {
            Self::Database(_) => None,
            Self::Completion(error) => Some(error.kind()),
        }
    }
}

impl Database {
    pub(crate) async fn create(url: &str) -> Self {
        let database = Self::open(url).await;
        match &database {
            Self::Postgres(pool, ..) => _ = sqlx::query(TABLE).execute(pool).await.unwrap(),
            Self::Sqlite(pool, store, _) => {
                store.ready().await.unwrap();
                sqlx::query(TABLE).execute(pool).await.unwrap();
            }
        }
        database
    }

    pub(crate) async fn open(url: &str) -> Self {
        if url.starts_with("sqlite:") {
            // The first process that opens the file creates it.
            let pool = SqlitePool::connect_lazy(&format!("{url}?mode=rwc")).unwrap();
            return Self::Sqlite(pool, SqliteStore::new(url).unwrap(), url.to_owned());
        }
        let pool = PgPool::connect_lazy(url).unwrap();
        Self::Postgres(pool.clone(), PostgresStore::from_pool(pool), url.to_owned())
    }

    pub(crate) fn url(&self) -> &str {
        let (Self::Postgres(_, _, url) | Self::Sqlite(_, _, url)) = self;
        url
    }

    pub(crate) fn layer(&self) -> ScrapestWebhookLayer {
        let store = match self {
            Self::Postgres(_, store, _) => AnyStore::new(store.clone()),
            Self::Sqlite(_, store, _) => AnyStore::new(store.clone()),
        };
        ScrapestWebhookLayer::new(SECRET).with_store(store)
    }

    /// Runs the whole handler.
    pub(crate) async fn handle(
        &self,
        delivery: &Delivery,
        at: &At,
        record: Record,
    ) -> Result<(), Refused> {
        at(Point::BeforeEffect, delivery.attempt()).await;
        match self {
            Self::Postgres(pool, store, _) => {
                transact!(pool.begin().await, store, delivery, at, record)
            }
            Self::Sqlite(pool, store, _) => {
                transact!(pool.begin_with("BEGIN IMMEDIATE").await, store, delivery, at, record)
            }
        }
    }

    /// The ids of all effects, sorted.
    pub(crate) async fn effects(&self) -> Vec<String> {
        let mut rows: Vec<String> = match self {
            Self::Postgres(pool, ..) => sqlx::query_scalar(ROWS).fetch_all(pool).await.unwrap(),
            Self::Sqlite(pool, ..) => sqlx::query_scalar(ROWS).fetch_all(pool).await.unwrap(),
        };
        rows.sort();
        rows
    }

    /// Ends every lease.
    pub(crate) async fn end_all_leases(&self) {
        match self {
            Self::Postgres(pool, ..) => {
                let end = "UPDATE scrapest_webhook_deliveries SET lease_until = 'epoch'";
                sqlx::query(end).execute(pool).await.unwrap();
            }
            Self::Sqlite(pool, ..) => {
                let end = "UPDATE scrapest_webhook_deliveries SET lease_until = 0";
                sqlx::query(end).execute(pool).await.unwrap();
            }
        }
    }
}

/// An application that uses this database.
pub(crate) fn app(
    database: &Database,
    layer: ScrapestWebhookLayer,
    at: At,
    record: Record,
) -> Router {
    let handler = post(on_delivery).route_layer(layer);
    Router::new().route(PATH, handler).with_state((database.clone(), at, record))
}

async fn on_delivery(
    State((database, at, record)): State<(Database, At, Record)>,
    delivery: Delivery,
) -> StatusCode {
    match database.handle(&delivery, &at, record).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(refused) if refused.kind() == Some(CompletionErrorKind::AlreadyCompleted) => {
            StatusCode::CONFLICT
        }
        Err(refused) if refused.kind() == Some(CompletionErrorKind::NotClaimed) => {
            StatusCode::PRECONDITION_FAILED
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub(crate) fn delivery(id: &str) -> WebhookRequest {
    testing::scrapest(SECRET).with_delivery_id(id)
}
