//! The SQL. Each text is one message of the simple query protocol and one transaction, so that it takes one round trip,
//! leaves no prepared statement behind, and works through a pooler in transaction mode.
//!
//! The time is `clock_timestamp()`, which advances while a statement waits for a lock; `now()` is the start of the
//! transaction. Only numbers and hexadecimal digits are ever put into a text.

use super::asking::Rows;
use crate::store::sql::Verb;

/// Finds out whether the table exists. A role that may not create tables can use an existing one.
pub(super) const MIGRATED: &str =
    "SELECT to_regclass('scrapest_webhook_deliveries') IS NOT NULL AS migrated";

/// Safe to run repeatedly and concurrently. `IF NOT EXISTS` alone is not: two sessions may both find no table.
pub(super) const MIGRATE: &str = "BEGIN;
    SET LOCAL statement_timeout = 5000;
    SET LOCAL client_min_messages = warning;
    SELECT pg_advisory_xact_lock(8390876185714271585);
    CREATE TABLE IF NOT EXISTS scrapest_webhook_deliveries (
        key bytea PRIMARY KEY,
        version smallint NOT NULL,
        -- 0 in progress, 1 completed, 2 retryable
        state smallint NOT NULL,
        owner bytea,
        fence bigint NOT NULL,
        lease_until timestamptz NOT NULL,
        keep_until timestamptz NOT NULL,
        attempt bigint NOT NULL
    );
    CREATE INDEX IF NOT EXISTS scrapest_webhook_deliveries_keep_until
        ON scrapest_webhook_deliveries (keep_until);
    COMMIT";

/// Ends the backend of a connection that was given up. It may wait forever, and take up a connection that another
/// client needs.
pub(super) fn end_backend_of(tag: &str) -> String {
    format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user
            AND pid <> pg_backend_pid() AND query LIKE '%{tag}%'"
    )
}

/// Returns a whole transaction. It overrides the settings of the server, the role and a pooler: no statement waits for
/// long, a change that was answered survives a crash, and rows are found by the index even in a small table, which the
/// planner would otherwise read whole.
pub(super) fn transaction(tag: &str, statements: &str) -> String {
    format!(
        "/* {tag} */ BEGIN ISOLATION LEVEL READ COMMITTED;
        SELECT WHERE set_config('statement_timeout', '1000', true) || set_config('enable_seqscan', 'off', true)
            || {DURABLE} IS NULL;
        {statements};
        COMMIT"
    )
}

/// Makes the transaction of a handler survive a crash.
pub(super) fn durable() -> String {
    format!("SELECT WHERE {DURABLE} IS NULL")
}

/// Sets `synchronous_commit`, but keeps a stronger setting.
const DURABLE: &str = "set_config('synchronous_commit',
    CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)";

/// Not with `extract`, whose decimal result is slow.
const UNIX_MILLIS: &str = "(date_part('epoch', clock_timestamp()) * 1000)::bigint";

/// The record has not expired. The key of an expired record counts as absent.
const KNOWN: &str = "(r.lease_until > clock_timestamp() OR r.keep_until > clock_timestamp())";

/// Without this condition, an insert waits for an open transaction that has changed the row, even with `DO NOTHING`.
const ABSENT: &str =
    "(SELECT true FROM scrapest_webhook_deliveries AS d WHERE d.key = asked.key) IS NULL";

/// Returns the condition that the record is in progress and held by the asking owner.
fn held_by_asker() -> String {
    format!("(r.state = 0 AND r.owner = asked.owner AND {KNOWN})")
}

/// The statements about these rows.
impl Rows {
    /// Returns a relation `free (ctid, state, owner)` with the existing row of each asked key. It locks the rows, and
    /// leaves out those that another transaction has locked.
    ///
    /// A row that another transaction has changed since the statement began is locked, but the statement cannot find
    /// its new version by `ctid`. The next statement can.
    fn free(condition: &str) -> String {
        format!(
            "LATERAL (SELECT ctid, state, owner FROM scrapest_webhook_deliveries AS d
            WHERE d.key = asked.key AND version = 1 AND {condition}
            FOR UPDATE SKIP LOCKED) AS free"
        )
    }

    /// Claims the new keys. Returns a row for each: key, owner, fence, attempt, whether it was taken over.
    pub(super) fn claim_new(&self) -> String {
        let (asked, Self { lease, keep, .. }) = (self.asked(), self);
        format!(
            "INSERT INTO scrapest_webhook_deliveries AS r
                (key, version, state, owner, fence, lease_until, keep_until, attempt)
            SELECT key, 1, 0, owner, {UNIX_MILLIS}, clock_timestamp() + {lease}, clock_timestamp() + {keep}, 1
            FROM {asked} WHERE {ABSENT} ORDER BY key
            ON CONFLICT (key) DO NOTHING
            RETURNING r.key, r.owner, r.fence, r.attempt, false AS taken_over"
        )
    }

    /// Claims the known keys that are free. Returns the same columns as [`claim_new`](Self::claim_new).
    pub(super) fn claim_known(&self) -> String {
        let (asked, held, free) = (self.asked(), held_by_asker(), Self::free("true"));
        let Self { lease, keep, .. } = self;
        format!(
            "UPDATE scrapest_webhook_deliveries AS r SET
                state = 0,
                owner = asked.owner,
                fence = CASE WHEN {held} THEN r.fence
                    ELSE greatest(least(r.fence, 9223372036854775806) + 1, {UNIX_MILLIS}) END,
                attempt = CASE WHEN {held} THEN r.attempt WHEN {KNOWN} THEN r.attempt + 1 ELSE 1 END,
                lease_until = clock_timestamp() + {lease},
                keep_until = clock_timestamp() + {keep}
            FROM {asked}, {free}
            WHERE r.ctid = free.ctid AND ({held}
                OR (r.state = 0 AND r.lease_until <= clock_timestamp())
                OR (r.state = 1 AND r.keep_until <= clock_timestamp())
                OR r.state = 2)
            RETURNING r.key, r.owner, r.fence, r.attempt,
                free.state = 0 AND free.owner <> r.owner AS taken_over"
        )
    }

    /// Finds the records, without waiting for locks. Returns a row for each: key, whether it can be read, state, owner,
    /// and the rest of the lease and of the retention, in seconds.
    pub(super) fn find(&self) -> String {
        format!(
            "SELECT r.key, r.version = 1 AND r.state IN (0, 1, 2) AS readable, r.state, r.owner,
                extract(epoch FROM r.lease_until - clock_timestamp())::float8 AS lease_left,
                extract(epoch FROM r.keep_until - clock_timestamp())::float8 AS keep_left
            FROM scrapest_webhook_deliveries AS r WHERE key = ANY ({})",
            self.keys()
        )
    }

    /// Renews, releases or completes the keys that have a record. Returns a row for each key that was changed: key,
    /// whether its owner held it.
    pub(super) fn change(&self) -> String {
        match self.verb {
            Verb::Renew { .. } => {
                self.change_held(&format!("lease_until = clock_timestamp() + {}", self.lease))
            }
            Verb::Complete { .. } => self.complete_known(),
            Verb::Release | Verb::Claim { .. } | Verb::Forget { .. } => {
                self.change_held("state = 2, owner = NULL, lease_until = 'epoch'")
            }
        }
    }

    fn change_held(&self, change: &str) -> String {
        let (asked, held, free) = (self.asked(), held_by_asker(), Self::free("state = 0"));
        format!(
            "UPDATE scrapest_webhook_deliveries AS r SET {change} FROM {asked}, {free}
            WHERE r.ctid = free.ctid AND {held}
            RETURNING r.key, true AS held"
        )
    }

    /// Completes the keys that have a record. The owner stays in the record if it was the holder, so that it gets the
    /// same answer when it asks again because the answer was lost. If two owners complete a key, the longer retention
    /// counts.
    fn complete_known(&self) -> String {
        let (asked, held, free) = (self.asked(), held_by_asker(), Self::free("state IN (0, 1, 2)"));
        let keep = &self.keep;
        format!(
            "UPDATE scrapest_webhook_deliveries AS r SET
                state = 1,
                owner = CASE WHEN {held} OR (r.state = 1 AND r.owner = asked.owner) THEN r.owner END,
                fence = greatest(r.fence, asked.fence),
                lease_until = 'epoch',
                keep_until = greatest(CASE WHEN r.state <> 0 THEN r.keep_until END, clock_timestamp() + {keep})
            FROM {asked}, {free} WHERE r.ctid = free.ctid
            RETURNING r.key, r.owner IS NOT NULL AS held"
        )
    }

    /// Completes the keys that have no record. Returns a row for each: key, and that its owner did not hold it.
    pub(super) fn complete_new(&self) -> String {
        let (asked, keep) = (self.asked(), &self.keep);
        format!(
            "INSERT INTO scrapest_webhook_deliveries AS r
                (key, version, state, owner, fence, lease_until, keep_until, attempt)
            SELECT key, 1, 1, NULL, fence, 'epoch', clock_timestamp() + {keep}, 1
            FROM {asked} WHERE {ABSENT} ORDER BY key
            ON CONFLICT (key) DO NOTHING RETURNING r.key, false AS held"
        )
    }

    /// Waits for other transactions, locks the rows of the keys until this one ends, and returns their standings.
    pub(super) fn hold(&self) -> String {
        format!(
            "SELECT CASE
                WHEN version <> 1 OR state NOT IN (0, 1, 2) THEN 'unreadable'
                WHEN state = 1 AND keep_until > clock_timestamp() THEN 'completed'
                ELSE 'open'
            END AS standing
            FROM scrapest_webhook_deliveries WHERE key = ANY ({}) ORDER BY key FOR UPDATE",
            self.keys()
        )
    }
}

/// Deletes at most `most` expired records, without those that another transaction has locked. `now()` is exact enough
/// here, and allows the use of the index.
pub(super) fn forget(most: u32) -> String {
    format!(
        "DELETE FROM scrapest_webhook_deliveries WHERE key IN (
            SELECT key FROM scrapest_webhook_deliveries
            WHERE keep_until <= now() AND lease_until <= now() AND version = 1 AND state IN (0, 1, 2)
            ORDER BY keep_until LIMIT {most} FOR UPDATE SKIP LOCKED)"
    )
}
