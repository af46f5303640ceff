//! The SQL. Each text is one message of the simple query protocol and one transaction, so that it takes one round trip,
//! leaves no prepared statement behind, and works through a pooler in transaction mode.
//!
//! The time is `clock_timestamp()`, which goes on while a statement waits for a lock; `now()` stands still from
//! the start of the transaction. Only numbers and hexadecimal digits are ever put into a text.

use std::fmt::{Display, Write};
use std::time::Duration;

use crate::store::sql::{Question, Verb, fence_to_sql};
use crate::store::{Fence, Key, Owner};

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

/// A whole transaction. The settings are its own, whatever the server, the role or a pooler says: an answer must outlast
/// a crash (a setting that is stronger stays), and no statement waits for long.
pub(super) fn transaction(tag: &str, statements: &str) -> String {
    format!(
        "/* {tag} */ BEGIN ISOLATION LEVEL READ COMMITTED;
        SET LOCAL statement_timeout = 1000;
        {statements};
        COMMIT"
    )
}

/// Evaluated once a statement.
const DURABLY: &str = "(SELECT set_config('synchronous_commit',
    CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)
    ) AS durably";

const UNIX_MILLIS: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// Whether the record still counts; otherwise its key reads as absent.
const KNOWN: &str = "(r.lease_until > clock_timestamp() OR r.keep_until > clock_timestamp())";

/// An insert over a row that an open transaction has changed would wait for its end, also with `DO NOTHING`.
const ABSENT: &str =
    "NOT EXISTS (SELECT FROM scrapest_webhook_deliveries AS d WHERE d.key = asked.key)";

/// In progress and held by this owner.
fn held_by_asker() -> String {
    format!("(r.state = 0 AND r.owner = asked.owner AND {KNOWN})")
}

/// One row per key that something is asked about.
#[derive(Debug, Default)]
pub(super) struct Rows {
    keys: String,
    owners: String,
    fences: String,
    leases: String,
    keeps: String,
}

impl Rows {
    pub(super) fn of<'a>(questions: impl IntoIterator<Item = &'a Question>) -> Self {
        let mut rows = Self::default();
        for question in questions {
            rows.add(&question.keys, question.owner, question.verb);
        }
        rows
    }

    pub(super) fn add(&mut self, keys: &[(Key, Fence)], owner: Owner, verb: Verb) {
        let (lease, keep) = match verb {
            Verb::Claim { lease, keep } => (lease, keep),
            Verb::Renew { lease } => (lease, Duration::ZERO),
            Verb::Complete { keep } => (Duration::ZERO, keep),
            Verb::Release | Verb::Forget { .. } => (Duration::ZERO, Duration::ZERO),
        };
        for (key, fence) in keys {
            push(&mut self.keys, key);
            push(&mut self.owners, Hex(&owner.to_bytes()));
            push(&mut self.fences, fence_to_sql(*fence));
            push(&mut self.leases, seconds(lease));
            push(&mut self.keeps, seconds(keep));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// As a relation `asked (key, owner, fence, lease, keep)`.
    fn asked(&self) -> String {
        let Self { keys, owners, fences, leases, keeps } = self;
        format!(
            "(SELECT decode(key, 'hex') AS key, decode(owner, 'hex') AS owner, fence,
                make_interval(secs => lease) AS lease, make_interval(secs => keep) AS keep
            FROM unnest('{{{keys}}}'::text[], '{{{owners}}}'::text[], '{{{fences}}}'::bigint[],
                '{{{leases}}}'::float8[], '{{{keeps}}}'::float8[])
                AS a (key, owner, fence, lease, keep)) AS asked"
        )
    }

    /// As a relation `free (key, state, owner)`: their rows that are there and that no other transaction holds, locked
    /// from now on. In the order of the keys, though it never waits.
    fn free(&self, condition: &str) -> String {
        format!(
            "(SELECT key, state, owner FROM scrapest_webhook_deliveries
            WHERE key = ANY (ARRAY(SELECT decode(key, 'hex') FROM unnest('{{{}}}'::text[]) AS k (key)))
                AND version = 1 AND {condition}
            ORDER BY key FOR UPDATE SKIP LOCKED) AS free",
            self.keys
        )
    }

    /// Takes the keys that are new. Returns a row for each: key, owner, fence, attempt, whether it was taken over.
    pub(super) fn claim_new(&self) -> String {
        format!(
            "INSERT INTO scrapest_webhook_deliveries AS r
                (key, version, state, owner, fence, lease_until, keep_until, attempt)
            SELECT asked.key, 1, 0, asked.owner, {UNIX_MILLIS},
                clock_timestamp() + asked.lease, clock_timestamp() + asked.keep, 1
            FROM {}, {DURABLY} WHERE {ABSENT} ORDER BY asked.key
            ON CONFLICT (key) DO NOTHING
            RETURNING r.key, r.owner, r.fence, r.attempt, false AS taken_over",
            self.asked()
        )
    }

    /// Takes those of the keys that are there and may be taken. Returns what [`claim_new`](Self::claim_new) does.
    pub(super) fn claim_known(&self) -> String {
        let (asked, held, free) = (self.asked(), held_by_asker(), self.free("true"));
        format!(
            "UPDATE scrapest_webhook_deliveries AS r SET
                state = 0,
                owner = asked.owner,
                fence = CASE WHEN {held} THEN r.fence
                    ELSE greatest(least(r.fence, 9223372036854775806) + 1, {UNIX_MILLIS}) END,
                attempt = CASE WHEN {held} THEN r.attempt WHEN {KNOWN} THEN r.attempt + 1 ELSE 1 END,
                lease_until = clock_timestamp() + asked.lease,
                keep_until = clock_timestamp() + asked.keep
            FROM {asked}, {free}, {DURABLY}
            WHERE r.key = asked.key AND r.key = free.key AND r.version = 1 AND ({held}
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
            FROM scrapest_webhook_deliveries AS r
            WHERE key = ANY (ARRAY(SELECT decode(key, 'hex') FROM unnest('{{{}}}'::text[]) AS k (key)))",
            self.keys
        )
    }

    /// Extends leases. Returns the keys whose owner held them.
    pub(super) fn renew(&self) -> String {
        self.change_held("lease_until = clock_timestamp() + asked.lease")
    }

    /// Makes keys retryable. Returns the keys whose owner held them.
    pub(super) fn release(&self) -> String {
        self.change_held("state = 2, owner = NULL, lease_until = 'epoch'")
    }

    fn change_held(&self, change: &str) -> String {
        let (asked, held, free) = (self.asked(), held_by_asker(), self.free("state = 0"));
        format!(
            "UPDATE scrapest_webhook_deliveries AS r SET {change} FROM {asked}, {free}, {DURABLY}
            WHERE r.key = asked.key AND r.key = free.key AND r.version = 1 AND {held}
            RETURNING r.key, true AS held"
        )
    }

    /// Completes the keys that are there. Returns each with whether its owner held it.
    ///
    /// The owner stays in the record if it was the holder: then it is told so again when it repeats its question
    /// because the answer was lost. Of two that report a success the longer retention counts.
    pub(super) fn complete_known(&self) -> String {
        let (asked, held, free) = (self.asked(), held_by_asker(), self.free("state IN (0, 1, 2)"));
        format!(
            "UPDATE scrapest_webhook_deliveries AS r SET
                state = 1,
                owner = CASE WHEN {held} OR (r.state = 1 AND r.owner = asked.owner) THEN r.owner END,
                fence = greatest(r.fence, asked.fence),
                lease_until = 'epoch',
                keep_until = greatest(
                    CASE WHEN r.state <> 0 THEN r.keep_until END,
                    clock_timestamp() + asked.keep
                )
            FROM {asked}, {free}, {DURABLY} WHERE r.key = asked.key AND r.key = free.key
            RETURNING r.key, r.owner IS NOT NULL AS held"
        )
    }

    /// Completes the keys that are not there. Returns each; nobody held it.
    pub(super) fn complete_new(&self) -> String {
        format!(
            "INSERT INTO scrapest_webhook_deliveries AS r
                (key, version, state, owner, fence, lease_until, keep_until, attempt)
            SELECT asked.key, 1, 1, NULL, asked.fence, 'epoch', clock_timestamp() + asked.keep, 1
            FROM {}, {DURABLY} WHERE {ABSENT} ORDER BY asked.key
            ON CONFLICT (key) DO NOTHING RETURNING r.key, false AS held",
            self.asked()
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
            FROM scrapest_webhook_deliveries
            WHERE key = ANY (ARRAY(SELECT decode(key, 'hex') FROM unnest('{{{}}}'::text[]) AS k (key)))
            ORDER BY key FOR UPDATE",
            self.keys
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

fn push(list: &mut String, value: impl Display) {
    let comma = if list.is_empty() { "" } else { "," };
    // Writing to a string cannot fail.
    _ = write!(list, "{comma}{value}");
}

/// As PostgreSQL takes it. A thousand years stand for ever: it has no later dates than 294276.
fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64().min(1_000.0 * 365.0 * 86_400.0)
}

struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
