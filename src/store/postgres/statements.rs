//! The SQL. Each text is one message of the simple query protocol and one transaction, so that it takes one round trip,
//! leaves no prepared statement behind, and works through a pooler in transaction mode.
//!
//! The time is `clock_timestamp()`, which goes on while a statement waits for a lock; `now()` stands still from
//! the start of the transaction. Only numbers and hexadecimal digits are ever put into a text.

use super::asking::Rows;
use crate::store::sql::Verb;

/// Whether the table is there. A role that may not create tables can use one that is.
pub(super) const MIGRATED: &str =
    "SELECT to_regclass('scrapest_webhook_deliveries') IS NOT NULL AS migrated";

/// Safe to run twice, and at once: `IF NOT EXISTS` alone is not, two may find that it does not.
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

/// Ends the backend of a connection that was given up: it may wait for what never comes, and take its connection from
/// another client.
pub(super) fn end_backend_of(tag: &str) -> String {
    format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user
            AND pid <> pg_backend_pid() AND query LIKE '%{tag}%'"
    )
}

/// A whole transaction. The settings are its own, whatever the server, the role or a pooler says: no statement waits for
/// long, an answer outlasts a crash, and a row is found by the index, also in a small table, of which the planner would
/// otherwise read everything.
pub(super) fn transaction(tag: &str, statements: &str) -> String {
    format!(
        "/* {tag} */ BEGIN ISOLATION LEVEL READ COMMITTED;
        SELECT WHERE set_config('statement_timeout', '1000', true) || set_config('enable_seqscan', 'off', true)
            || {DURABLE} IS NULL;
        {statements};
        COMMIT"
    )
}

/// Makes a transaction of somebody else outlast a crash.
pub(super) fn durable() -> String {
    format!("SELECT WHERE {DURABLE} IS NULL")
}

/// A setting that is stronger stays.
const DURABLE: &str = "set_config('synchronous_commit',
    CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)";

/// Not by `extract`, whose result is a decimal number and slow.
const UNIX_MILLIS: &str = "(date_part('epoch', clock_timestamp()) * 1000)::bigint";

/// Whether the record still counts; otherwise its key reads as absent.
const KNOWN: &str = "(r.lease_until > clock_timestamp() OR r.keep_until > clock_timestamp())";

/// An insert over a row that an open transaction has changed would wait for its end, also with `DO NOTHING`.
const ABSENT: &str =
    "(SELECT true FROM scrapest_webhook_deliveries AS d WHERE d.key = asked.key) IS NULL";

/// In progress and held by this owner.
fn held_by_asker() -> String {
    format!("(r.state = 0 AND r.owner = asked.owner AND {KNOWN})")
}

/// Each is about these rows.
impl Rows {
    /// As a relation `free (ctid, state, owner)`: of each asked key the row that is there and that no other transaction
    /// holds, locked from now on.
    ///
    /// A row that another transaction has changed since the statement began is locked as it is now, but found under its
    /// old place only: it is left to the next statement.
    fn free(condition: &str) -> String {
        format!(
            "LATERAL (SELECT ctid, state, owner FROM scrapest_webhook_deliveries AS d
            WHERE d.key = asked.key AND version = 1 AND {condition}
            FOR UPDATE SKIP LOCKED) AS free"
        )
    }

    /// Takes the keys that are new. Returns a row for each: key, owner, fence, attempt, whether it was taken over.
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

    /// Takes those of the keys that are there and may be taken. Returns what [`claim_new`](Self::claim_new) does.
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

    /// Returns what is recorded, without waiting for anything: key, whether it can be read, state, owner, fence,
    /// attempt, and what is left of the lease and of the retention, in seconds.
    pub(super) fn find(&self) -> String {
        format!(
            "SELECT r.key, r.version = 1 AND r.state IN (0, 1, 2) AS readable, r.state, r.owner,
                extract(epoch FROM r.lease_until - clock_timestamp())::float8 AS lease_left,
                extract(epoch FROM r.keep_until - clock_timestamp())::float8 AS keep_left
            FROM scrapest_webhook_deliveries AS r WHERE key = ANY ({})",
            self.keys()
        )
    }

    /// Renews, releases or completes the keys that are there. Returns each with whether its owner held it; without those
    /// that are left as they are.
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

    /// The owner stays in the record if it was the holder: then it is told so again when it repeats its question
    /// because the answer was lost. Of two that report a success the longer retention counts.
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

    /// Completes the keys that are not there. Returns each; nobody held it.
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

    /// Locks the rows of the keys until the end of the transaction, waiting for others, and returns what they are then.
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

/// How many records that have expired leave at most. Passes over what others hold or forget just now. Here `now()` will
/// do, and lets the index be used.
pub(super) fn forget(most: u32) -> String {
    format!(
        "DELETE FROM scrapest_webhook_deliveries WHERE key IN (
            SELECT key FROM scrapest_webhook_deliveries
            WHERE keep_until <= now() AND lease_until <= now() AND version = 1 AND state IN (0, 1, 2)
            ORDER BY keep_until LIMIT {most} FOR UPDATE SKIP LOCKED)"
    )
}
