//! A delivery that is completed in the transaction of its handler.

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
    /// Completes the delivery in a transaction of the handler's own, so that what the handler writes in it and
    /// the record of its success are committed together: the effect happens **exactly once**, whatever
    /// crashes when, and whether or not the lease was lost meanwhile.
    ///
    /// Call it last, commit, and answer 2xx. On an error roll back, which dropping the transaction does, and
    /// answer something else, so that the sender tries again. What the handler answers after the
    /// commit cannot undo it: a retry then gets 200.
    ///
    /// From this call on the attempt succeeds by the commit. If the handler answers 2xx without it, the sender
    /// gets 500, an error is logged, and the retry runs. Call it before the handler answers: after a 2xx it is
    /// refused as already completed.
    ///
    /// The transaction must be on the database of the store; make the store
    /// [`from_pool`](Self::from_pool) of the one that the handler uses. It is made durable, as by
    /// `synchronous_commit=on`.
    ///
    /// The delivery's two rows are locked from here to the commit. A second attempt that calls this waits for the
    /// commit, and is then refused. A duplicate finds the delivery in progress. The lease is not renewed meanwhile, so
    /// nothing slow belongs in between.
    ///
    /// `READ COMMITTED`, the default, is enough. At `REPEATABLE READ` and `SERIALIZABLE` the renewal of the
    /// lease, after a third of it, is a concurrent update of those rows: begin such a transaction once
    /// the slow part of the handler is done, and expect error 40001, upon which the handler may begin it anew.
    ///
    /// # Errors
    ///
    /// [`CompletionErrorKind`](crate::store::CompletionErrorKind) says which: another attempt has committed,
    /// the transaction is on another database, or the database refused. Nothing is to be committed then.
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
