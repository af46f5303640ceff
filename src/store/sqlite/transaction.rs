//! A delivery that is completed in the transaction of its handler.

use sqlx::{Sqlite, Transaction};

use super::SqliteStore;
use super::batch::{Now, settle};
use super::statements::STANDING;
use crate::Delivery;
use crate::store::sql::{CompletionError, Question, Standing, Verb, judge};

impl SqliteStore {
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
    /// The transaction must be on the file of the store, and its connection as durable as that: in WAL mode
    /// with `synchronous=FULL`, which is SQLite's default. Begin it with `BEGIN IMMEDIATE`; one that begins to
    /// write after it has read fails where another has written meanwhile. And keep it short: SQLite has one
    /// writer at a time, and claims, renewals and completions of other deliveries wait for it, for 1 s.
    ///
    /// # Errors
    ///
    /// [`CompletionErrorKind`](crate::store::CompletionErrorKind) says which: another attempt has committed,
    /// the transaction is on another file, or SQLite refused. Nothing is to be committed then.
    ///
    /// `cargo run --example transaction` shows it.
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
