//! Completes a delivery in the transaction of its handler.

use sqlx::{Sqlite, Transaction};

use super::SqliteStore;
use super::batch::{Now, settle};
use super::statements::STANDING;
use crate::Delivery;
use crate::store::sql::{CompletionError, Question, Standing, Verb, judge};

impl SqliteStore {
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
    /// The transaction must be on the store's file, and its connection must be as durable as the store: in WAL mode
    /// with `synchronous=FULL`, which is SQLite's default. Begin it with `BEGIN IMMEDIATE`: a transaction that reads
    /// before it writes fails if another one has written meanwhile. Keep it short: SQLite has one writer at a time, and
    /// claims, renewals and completions of other deliveries wait for it, for at most 1 s.
    ///
    /// # Errors
    ///
    /// If another attempt has committed, if the transaction is on another file, or if SQLite refused; see
    /// [`CompletionErrorKind`](crate::store::CompletionErrorKind). Do not commit then.
    ///
    /// For a complete program run `cargo run --example transaction`.
    ///
    /// ```no_run
    /// # async fn record(
    /// #     pool: &sqlx::SqlitePool,
    /// #     store: &scrapest_webhook::store::SqliteStore,
    /// #     delivery: &scrapest_webhook::Delivery,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    /// sqlx::query("UPDATE counts SET tweets = tweets + 1").execute(&mut *transaction).await?;
    /// store.complete_in(&mut transaction, delivery).await?;
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn complete_in(
        &self,
        transaction: &mut Transaction<'_, Sqlite>,
        delivery: &Delivery,
    ) -> Result<(), CompletionError> {
        let held = delivery.held();
        let (keys, now) = (held.keys.all(), Now::read());
        let mut standings = Vec::with_capacity(keys.len());
        for (key, _) in keys {
            let found: Option<(bool, bool)> = sqlx::query_as(STANDING)
                .bind(&key.as_bytes()[..])
                .bind(now.0)
                .fetch_optional(&mut **transaction)
                .await
                .map_err(CompletionError::database)?;
            standings.extend(found.map(|(readable, completed)| match (readable, completed) {
                (false, _) => Standing::Unreadable,
                (true, true) => Standing::Completed,
                (true, false) => Standing::Open,
            }));
        }
        judge(&standings, keys.len())?;

        let verb = Verb::Complete { keep: held.keep };
        let question = Question { keys: keys.to_vec(), owner: held.owner, verb };
        let settled = settle(transaction, &[&question], verb, now).await;
        for settled in settled.map_err(CompletionError::database)? {
            settled.map_err(CompletionError::database)?;
        }
        delivery.run().complete_in();
        Ok(())
    }
}
