//! Completes a delivery in the transaction of its handler.

use sqlx::postgres::PgRow;
use sqlx::{Postgres, Row, Transaction};

use super::PostgresStore;
use super::asking::{Asking, Rows};
use super::connection::query;
use super::statements::durable;
use crate::Delivery;
use crate::store::Held;
use crate::store::sql::{CompletionError, Failure, Standing, Verb, judge};

impl PostgresStore {
    /// Completes the delivery in the handler's own transaction, so that the handler's writes and the record of its
    /// success are committed together. The effect happens **exactly once**, even after a crash or a lost lease.
    ///
    /// Call it last, commit, and answer 2xx. On an error roll back (dropping the transaction does that) and answer
    /// another status, so that the sender retries. After the commit the handler's answer does not matter: a retry gets
    /// 200.
    ///
    /// After this call only the commit makes the attempt succeed. If the handler answers 2xx without it, the sender
    /// gets 500, an error is logged, and the retry runs. Call it before the handler answers: after a 2xx the call fails
    /// because the delivery is already completed.
    ///
    /// The transaction must be on the store's database, so create the store with [`from_pool`](Self::from_pool) from
    /// the handler's pool. The commit is durable, as with `synchronous_commit=on`.
    ///
    /// The delivery's two rows are locked from this call to the commit. A second attempt that makes this call waits for
    /// the commit, and then fails. A duplicate finds the delivery in progress. The lease is not renewed meanwhile, so
    /// commit at once.
    ///
    /// `READ COMMITTED`, the default, is enough. With `REPEATABLE READ` and `SERIALIZABLE` the renewal of the lease,
    /// after a third of it, is a concurrent update of those rows. Begin such a transaction after the slow part of the
    /// handler, and expect error 40001, after which the handler may begin a new transaction.
    ///
    /// # Errors
    ///
    /// If another attempt has committed, if the transaction is on another database, or if the database refused; see
    /// [`CompletionErrorKind`](crate::store::CompletionErrorKind). Do not commit then.
    ///
    /// ```
    /// use axum::{extract::State, http::StatusCode};
    /// use scrapest_webhook::{Delivery, scrapest, store::PostgresStore};
    /// use sqlx::PgPool;
    ///
    /// # #[derive(Clone)]
    /// struct App { pool: PgPool, store: PostgresStore }
    ///
    /// async fn on_event(State(app): State<App>, delivery: Delivery, event: scrapest::Event) -> StatusCode {
    ///     match record(&app, &delivery, &event).await {
    ///         Ok(()) => StatusCode::NO_CONTENT,
    ///         Err(error) => {
    ///             tracing::error!(%error, "rolled back");
    ///             StatusCode::INTERNAL_SERVER_ERROR
    ///         }
    ///     }
    /// }
    ///
    /// async fn record(app: &App, delivery: &Delivery, event: &scrapest::Event) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    ///     let mut transaction = app.pool.begin().await?;
    ///     sqlx::query("INSERT INTO tweets (text) VALUES ($1)")
    ///         .bind(event.tweet().and_then(|tweet| tweet.text.as_deref()))
    ///         .execute(&mut *transaction)
    ///         .await?;
    ///     app.store.complete_in(&mut transaction, delivery).await?;
    ///     transaction.commit().await?;
    ///     Ok(())
    /// }
    /// # let _: axum::routing::MethodRouter<App> = axum::routing::post(on_event);
    /// ```
    pub async fn complete_in(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        delivery: &Delivery,
    ) -> Result<(), CompletionError> {
        let Held { keys, owner, keep, .. } = delivery.held();
        let mut asking = Asking::default();
        asking.add(keys.all(), *owner, Verb::Complete { keep: *keep });
        let failed = |error| CompletionError::database(Failure::caused("postgres", error));
        let found = query(transaction, &format!("{};{}", durable(), asking.each(Rows::hold)))
            .await
            .map_err(failed)?;
        let standing = |row: &PgRow| {
            let standing: &str = row.try_get("standing")?;
            Ok(match standing {
                "open" => Standing::Open,
                "completed" => Standing::Completed,
                _ => Standing::Unreadable,
            })
        };
        let standings: Result<Vec<_>, _> = found.iter().map(standing).collect();
        judge(&standings.map_err(failed)?, keys.all().len())?;
        query(transaction, &asking.each(Rows::change)).await.map_err(failed)?;
        delivery.run().complete_in();
        Ok(())
    }
}
