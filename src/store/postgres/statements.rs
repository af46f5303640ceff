//! What PostgreSQL is told.
//!
//! The time is `clock_timestamp()`, which goes on while a statement waits for a lock; `now()` stands still from
//! the start of the transaction. Durations are in seconds.

/// Whether there is nothing to do. A role that may not create tables can be given one that exists.
pub(super) const MIGRATED: &str = "SELECT to_regclass('scrapest_webhook_deliveries') IS NOT NULL";

/// Safe to run twice, and at once: `IF NOT EXISTS` alone is not, two may find that it does not. Sent as
/// one string, which is one transaction, so that the lock is held to its end.
pub(super) const MIGRATE: &str = "
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
        ON scrapest_webhook_deliveries (keep_until);";

/// Of the transaction, whatever the server, the role or the pool says: an answer must outlast a crash.
/// Evaluated once a statement; a setting that is stronger stays.
macro_rules! durably {
    () => {
        "set_config('synchronous_commit', CASE current_setting('synchronous_commit')
            WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true) AS durably"
    };
}

macro_rules! unix_millis {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

/// Whether the record still counts; otherwise its key reads as absent.
macro_rules! known {
    () => {
        "(r.lease_until > clock_timestamp() OR r.keep_until > clock_timestamp())"
    };
}

/// In progress and held by this owner.
macro_rules! held_by {
    ($owner:literal) => {
        concat!("(r.state = 0 AND r.owner = ", $owner, " AND ", known!(), ")")
    };
}

/// Keys and owners as arrays, without two of one key; the lease; the retention. A key that is not to be had
/// has no row. In the order of the keys, so that two statements do not wait for each other. Whether a record was
/// taken over from an owner whose lease had ended is asked of the record as it was when the statement began,
/// and only of one that is not new.
pub(super) const CLAIM: &str = concat!(
    "INSERT INTO scrapest_webhook_deliveries AS r
        (key, version, state, owner, fence, lease_until, keep_until, attempt)
    SELECT asked.key, 1, 0, asked.owner, ",
    unix_millis!(),
    ", clock_timestamp() + make_interval(secs => $3), clock_timestamp() + make_interval(secs => $4), 1
    FROM unnest($1::bytea[], $2::bytea[]) AS asked (key, owner), ",
    durably!(),
    " ORDER BY asked.key
    ON CONFLICT (key) DO UPDATE SET
        state = 0,
        owner = excluded.owner,
        fence = CASE WHEN ",
    held_by!("excluded.owner"),
    " THEN r.fence ELSE greatest(least(r.fence, 9223372036854775806) + 1, ",
    unix_millis!(),
    ") END,
        attempt = CASE WHEN ",
    held_by!("excluded.owner"),
    " THEN r.attempt WHEN ",
    known!(),
    " THEN r.attempt + 1 ELSE 1 END,
        lease_until = clock_timestamp() + make_interval(secs => $3),
        keep_until = clock_timestamp() + make_interval(secs => $4)
    WHERE r.version = 1 AND (",
    held_by!("excluded.owner"),
    " OR (r.state = 0 AND r.lease_until <= clock_timestamp())
        OR (r.state = 1 AND r.keep_until <= clock_timestamp())
        OR r.state = 2)
    RETURNING r.key, r.fence, r.attempt, CASE WHEN r.attempt > 1 THEN EXISTS (
        SELECT FROM scrapest_webhook_deliveries AS old
        WHERE old.key = r.key AND old.state = 0 AND old.owner <> r.owner
    ) ELSE false END"
);

/// Why claims had no row. A statement of its own, after that: within it, a row that another had just
/// inserted cannot be seen.
pub(super) const FIND: &str = "SELECT key,
        CASE
            WHEN version <> 1 OR state NOT IN (0, 1, 2) THEN 'unreadable'
            WHEN state = 0 AND lease_until > clock_timestamp() THEN 'in progress'
            WHEN state = 1 AND keep_until > clock_timestamp() THEN 'completed'
            ELSE 'free'
        END,
        owner, fence, attempt,
        extract(epoch FROM lease_until - clock_timestamp())::float8
    FROM scrapest_webhook_deliveries WHERE key = ANY($1)";

/// Keys, owners and fences as arrays, without two of one key; the retention. A record that cannot be read
/// has no row.
///
/// The owner stays in the record if it was the holder: then it is told so also when it asks again because
/// the answer was lost. Nobody was the holder of what is recorded as attempt 0. Of two that report a
/// success the longer retention counts.
pub(super) const COMPLETE: &str = concat!(
    "INSERT INTO scrapest_webhook_deliveries AS r
        (key, version, state, owner, fence, lease_until, keep_until, attempt)
    SELECT done.key, 1, 1, done.owner, done.fence, 'epoch', clock_timestamp() + make_interval(secs => $4), 0
    FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) AS done (key, owner, fence), ",
    durably!(),
    " ORDER BY done.key
    ON CONFLICT (key) DO UPDATE SET
        state = 1,
        owner = CASE WHEN ",
    held_by!("excluded.owner"),
    " OR (r.state = 1 AND r.owner = excluded.owner) THEN r.owner END,
        fence = greatest(r.fence, excluded.fence),
        lease_until = 'epoch',
        keep_until = greatest(
            CASE WHEN r.state <> 0 THEN r.keep_until END,
            clock_timestamp() + make_interval(secs => $4)
        )
    WHERE r.version = 1 AND r.state IN (0, 1, 2)
    RETURNING r.key, r.owner IS NOT NULL AND r.attempt > 0"
);

/// Keys. Their rows are held until the end of the transaction, taken in the order of the keys as by every
/// other statement, and read as they are then.
pub(super) const HOLD: &str = "SELECT
        CASE
            WHEN version <> 1 OR state NOT IN (0, 1, 2) THEN 'unreadable'
            WHEN state = 1 AND keep_until > clock_timestamp() THEN 'completed'
            ELSE 'open'
        END
    FROM scrapest_webhook_deliveries WHERE key = ANY($1) ORDER BY key FOR UPDATE";

/// Key, owner, lease.
pub(super) const RENEW: &str = concat!(
    "UPDATE scrapest_webhook_deliveries AS r
    SET lease_until = clock_timestamp() + make_interval(secs => $3) FROM ",
    durably!(),
    " WHERE r.key = $1 AND r.version = 1 AND ",
    held_by!("$2")
);

/// Key, owner.
pub(super) const RELEASE: &str = concat!(
    "UPDATE scrapest_webhook_deliveries AS r
    SET state = 2, owner = NULL, lease_until = 'epoch' FROM ",
    durably!(),
    " WHERE r.key = $1 AND r.version = 1 AND ",
    held_by!("$2")
);

/// How many at most. Passes over what others hold or forget just now. Here `now()` will do, and lets the index
/// be used.
pub(super) const FORGET: &str = "DELETE FROM scrapest_webhook_deliveries WHERE key IN (
        SELECT key FROM scrapest_webhook_deliveries
        WHERE keep_until <= now() AND lease_until <= now() AND version = 1 AND state IN (0, 1, 2)
        ORDER BY keep_until LIMIT $1 FOR UPDATE SKIP LOCKED)";
