//! The table and its statements, written once for both databases. The databases differ in the clock, the lock and
//! the types.
//!
//! Times are milliseconds since 1970 by the clock of the database, durations are milliseconds.
//!
//! * A claim adds one to `attempt` and sets `run_at` to the end of the lease. So there is no table of workers and
//!   no sweep: a job that is `running` and due is one whose run was lost.
//! * `attempt` is the fence: a run may renew and settle only while its claim is the latest.
//! * `version` is 1. Rows with any other version were written by another version of this crate, and are left
//!   unchanged.
//! * After a lost run, a job is claimed `alone` until one of its runs has ended.

macro_rules! table {
    ($id:literal, $bytes:literal) => {
        concat!(
            "CREATE TABLE IF NOT EXISTS scrapest_webhook_jobs (
            id ",
            $id,
            ",
            version bigint NOT NULL,
            key ",
            $bytes,
            " NOT NULL UNIQUE,
            sender text NOT NULL,
            webhook text,
            delivery_id text,
            kind text,
            sent_at bigint,
            content_type text,
            traceparent text,
            tracestate text,
            reconciled boolean NOT NULL,
            body ",
            $bytes,
            ",
            -- 0 open, 1 done, 2 dead
            state bigint NOT NULL,
            running boolean NOT NULL,
            alone boolean NOT NULL,
            attempt bigint NOT NULL,
            failed bigint NOT NULL,
            lost bigint NOT NULL,
            created_at bigint NOT NULL,
            -- open: when it is due, or when the lease of its run ends
            run_at bigint NOT NULL,
            settled_at bigint,
            reason text
        )"
        )
    };
}

#[cfg(feature = "queue-sqlite")]
pub(super) const TABLE_SQLITE: &str = table!("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB");
#[cfg(feature = "queue-postgres")]
pub(super) const TABLE_POSTGRES: &str =
    table!("bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "bytea");

pub(super) const INDEXES: [&str; 4] = [
    "CREATE INDEX IF NOT EXISTS scrapest_webhook_jobs_due
        ON scrapest_webhook_jobs (run_at, id) WHERE state = 0",
    "CREATE INDEX IF NOT EXISTS scrapest_webhook_jobs_done
        ON scrapest_webhook_jobs (settled_at) WHERE state = 1",
    "CREATE INDEX IF NOT EXISTS scrapest_webhook_jobs_kept
        ON scrapest_webhook_jobs (settled_at) WHERE state = 1 AND body IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS scrapest_webhook_jobs_dead
        ON scrapest_webhook_jobs (id) WHERE state = 2",
];

/// Whether the table exists. A role that may not create tables can use an existing one.
#[cfg(feature = "queue-postgres")]
pub(super) const MIGRATED: &str = "SELECT to_regclass('scrapest_webhook_jobs') IS NOT NULL";

/// Held until the end of the transaction: two concurrent `IF NOT EXISTS` can conflict.
#[cfg(feature = "queue-postgres")]
pub(super) const MIGRATING: &str = "SELECT pg_advisory_xact_lock(8390876185714271586)";

/// Selects the job only while this run may still settle it.
macro_rules! of_run {
    () => {
        "WHERE id = $1 AND attempt = $2 AND version = 1"
    };
}

macro_rules! claim {
    ($now:literal, $lock:literal, $which:literal) => {
        concat!(
            "WITH due AS MATERIALIZED (
                SELECT id FROM scrapest_webhook_jobs
                WHERE state = 0 AND version = 1 AND run_at <= ",
            $now,
            " AND ",
            $which,
            " ORDER BY run_at, id LIMIT $1 ",
            $lock,
            ")
            UPDATE scrapest_webhook_jobs SET
                attempt = attempt + 1,
                lost = lost + CASE WHEN running THEN 1 ELSE 0 END,
                alone = alone OR running,
                running = TRUE,
                run_at = ",
            $now,
            " + $2
            WHERE id IN (SELECT id FROM due)
            RETURNING id, attempt, failed, lost, ",
            $now,
            " - created_at AS created_ago, key, sender, webhook, delivery_id, kind, sent_at,
                content_type, traceparent, tracestate, reconciled, body"
        )
    };
}

macro_rules! statements {
    ($name:ident, $now:literal, $lock:literal) => {
        pub(super) mod $name {
            /// $1 to $10 the fields of the job, $11 the body. An existing key is left unchanged.
            pub(in crate::queue) const PUSH: &str = concat!(
                "INSERT INTO scrapest_webhook_jobs
                    (version, key, sender, webhook, delivery_id, kind, sent_at, content_type,
                     traceparent, tracestate, reconciled, body, state, running, alone, attempt, failed, lost,
                     created_at, run_at)
                VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, FALSE, FALSE, 0, 0, 0, ",
                $now,
                ", ",
                $now,
                ") ON CONFLICT (key) DO NOTHING"
            );

            /// Whether a job that must run alone is due.
            pub(in crate::queue) const LOST_IS_DUE: &str = concat!(
                "SELECT EXISTS (SELECT 1 FROM scrapest_webhook_jobs
                    WHERE state = 0 AND version = 1 AND run_at <= ",
                $now,
                " AND (running OR alone))"
            );

            /// $1 the maximum number of jobs, $2 lease.
            pub(in crate::queue) const CLAIM: &str =
                claim!($now, $lock, "NOT running AND NOT alone");
            pub(in crate::queue) const CLAIM_LOST: &str =
                claim!($now, $lock, "(running OR alone)");

            /// $1 the number of lost runs that makes a job dead, $2 the reason.
            pub(in crate::queue) const BURY: &str = concat!(
                "WITH lost AS MATERIALIZED (
                    SELECT id FROM scrapest_webhook_jobs
                    WHERE state = 0 AND version = 1 AND running AND lost + 1 >= $1 AND run_at <= ",
                $now,
                " ORDER BY run_at, id LIMIT 16 ",
                $lock,
                ")
                UPDATE scrapest_webhook_jobs SET
                    state = 2, running = FALSE, alone = TRUE, lost = lost + 1, reason = $2,
                    settled_at = ",
                $now,
                " WHERE id IN (SELECT id FROM lost) RETURNING id"
            );

            /// $1 id, $2 attempt, $3 lease.
            pub(in crate::queue) const RENEW: &str = concat!(
                "UPDATE scrapest_webhook_jobs SET run_at = ",
                $now,
                " + $3 ",
                of_run!(),
                " AND state = 0 AND running"
            );

            /// $1 id, $2 attempt, $3 whether the body is kept for now. May be repeated.
            pub(in crate::queue) const DONE: &str = concat!(
                "UPDATE scrapest_webhook_jobs SET
                    state = 1, running = FALSE, alone = FALSE, reason = NULL,
                    body = CASE WHEN $3 THEN body END, settled_at = ",
                $now,
                " ",
                of_run!(),
                " AND (state = 1 OR (state = 0 AND running))"
            );

            /// $1 id, $2 attempt, $3 the wait, $4 reason, $5 whether it is dead, $6 the number of failures that
            /// makes it dead. Returns whether it is dead now.
            pub(in crate::queue) const FAIL: &str = concat!(
                "UPDATE scrapest_webhook_jobs SET
                    failed = failed + 1, running = FALSE, alone = FALSE, reason = $4,
                    run_at = ",
                $now,
                " + $3,
                    state = CASE WHEN $5 OR failed + 1 >= $6 THEN 2 ELSE 0 END,
                    settled_at = CASE WHEN $5 OR failed + 1 >= $6 THEN ",
                $now,
                " END ",
                of_run!(),
                " AND state = 0 AND running RETURNING state = 2"
            );

            /// $1 id, $2 attempt. The run does not count as an attempt.
            pub(in crate::queue) const GIVE_BACK: &str = concat!(
                "UPDATE scrapest_webhook_jobs SET running = FALSE, run_at = ",
                $now,
                " ",
                of_run!(),
                " AND state = 0 AND running"
            );

            /// $1 id.
            pub(in crate::queue) const RETRY: &str = concat!(
                "UPDATE scrapest_webhook_jobs SET
                    state = 0, failed = 0, lost = 0, settled_at = NULL, run_at = ",
                $now,
                " WHERE id = $1 AND version = 1 AND NOT running AND state IN (0, 2)"
            );

            /// $1 id. The key is kept, so that the delivery does not become a job again.
            pub(in crate::queue) const DROP: &str = concat!(
                "UPDATE scrapest_webhook_jobs SET
                    state = 1, body = NULL, reason = 'dropped by hand', settled_at = ",
                $now,
                " WHERE id = $1 AND version = 1 AND NOT running AND state IN (0, 2)"
            );

            /// $1 how long the bodies of done jobs are kept.
            pub(in crate::queue) const ERASE: &str = concat!(
                "UPDATE scrapest_webhook_jobs SET body = NULL WHERE id IN (
                    SELECT id FROM scrapest_webhook_jobs
                    WHERE state = 1 AND body IS NOT NULL AND version = 1 AND settled_at <= ",
                $now,
                " - $1 ORDER BY settled_at LIMIT 100)"
            );

            /// $1 how long the keys of done jobs are kept.
            pub(in crate::queue) const FORGET: &str = concat!(
                "DELETE FROM scrapest_webhook_jobs WHERE id IN (
                    SELECT id FROM scrapest_webhook_jobs
                    WHERE state = 1 AND version = 1 AND settled_at <= ",
                $now,
                " - $1 ORDER BY settled_at LIMIT 1000)"
            );

            /// The number of open, running and dead jobs, and the age of the oldest open one.
            pub(in crate::queue) const DEPTH: &str = concat!(
                "SELECT
                    (SELECT count(*) FROM scrapest_webhook_jobs WHERE state = 0 AND version = 1),
                    (SELECT count(*) FROM scrapest_webhook_jobs
                        WHERE state = 0 AND version = 1 AND running AND run_at > ",
                $now,
                "),
                    (SELECT count(*) FROM scrapest_webhook_jobs WHERE state = 2 AND version = 1),
                    (SELECT ",
                $now,
                " - min(created_at) FROM scrapest_webhook_jobs WHERE state = 0 AND version = 1)"
            );

            /// $1 the state: 0 waiting, 1 running, 2 done, 3 dead, 4 unreadable, or -1 for all; $2 the id to start
            /// after, $3 the maximum number of jobs.
            pub(in crate::queue) const LIST: &str = concat!(
                "SELECT * FROM (
                    SELECT id, key, sender, webhook, delivery_id, kind, attempt, failed, lost, reason,
                        CAST(octet_length(body) AS bigint) AS body_bytes, created_at, run_at, settled_at,
                        CAST(CASE WHEN version <> 1 THEN 4
                            WHEN state = 0 AND running AND run_at > ",
                $now,
                " THEN 1 WHEN state = 0 THEN 0 WHEN state = 1 THEN 2 WHEN state = 2 THEN 3
                            ELSE 4 END AS bigint) AS standing
                    FROM scrapest_webhook_jobs WHERE id > $2) AS jobs
                WHERE $1 = -1 OR standing = $1 ORDER BY id LIMIT $3"
            );
        }
    };
}

#[cfg(feature = "queue-sqlite")]
statements!(sqlite, "CAST(unixepoch('subsec') * 1000 AS INTEGER)", "");
// Not `clock_timestamp()`, which may change from row to row, so that no index can be used.
#[cfg(feature = "queue-postgres")]
statements!(
    postgres,
    "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS bigint)",
    "FOR UPDATE SKIP LOCKED"
);

/// $1 id.
pub(super) const BODY: &str = "SELECT body FROM scrapest_webhook_jobs WHERE id = $1";

/// $1 key. Removes the row of a probe, in the same transaction.
pub(super) const TAKE_BACK: &str = "DELETE FROM scrapest_webhook_jobs WHERE key = $1";
