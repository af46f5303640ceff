//! The SQL. Times are in milliseconds since 1970, by the machine's clock.

/// Runs each time the file is opened. Safe to run concurrently.
pub(super) const SCHEMA: [&str; 2] = [
    // state: 0 in progress, 1 completed, 2 retryable
    "CREATE TABLE IF NOT EXISTS scrapest_webhook_deliveries (
        key BLOB PRIMARY KEY NOT NULL,
        version INTEGER NOT NULL,
        state INTEGER NOT NULL,
        owner BLOB,
        fence INTEGER NOT NULL,
        lease_until INTEGER NOT NULL,
        keep_until INTEGER NOT NULL,
        attempt INTEGER NOT NULL
    ) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS scrapest_webhook_deliveries_keep_until
        ON scrapest_webhook_deliveries (keep_until)",
];

/// The rows `asked (key, owner, fence)`, bound to ?1 as JSON: `[["hex of the key","hex of the owner",fence], …]`. A key
/// must not occur twice. A statement has many keys because each one is a round trip to the connection's thread.
macro_rules! asked {
    () => {
        "(SELECT unhex(value ->> 0) AS key, unhex(value ->> 1) AS owner, value ->> 2 AS fence
        FROM json_each(?1)) AS asked"
    };
}

/// The record is held by this owner and has not expired at ?2.
macro_rules! held {
    ($owner:literal) => {
        concat!(
            "(r.state = 0 AND r.owner = ",
            $owner,
            " AND (r.lease_until > ?2 OR r.keep_until > ?2))"
        )
    };
}

/// ?1 asked, ?2 now, ?3 `lease_until`, ?4 `keep_until`. Returns no row for a key that cannot be claimed.
///
/// `RETURNING` only sees the new record. So a record that was taken over from an owner whose lease had ended is kept a
/// millisecond longer, which marks it.
pub(super) const CLAIM: &str = concat!(
    "INSERT INTO scrapest_webhook_deliveries AS r
        (key, version, state, owner, fence, lease_until, keep_until, attempt)
    SELECT key, 1, 0, owner, ?2, ?3, ?4, 1 FROM ",
    asked!(),
    " WHERE true
    ON CONFLICT (key) DO UPDATE SET
        state = 0,
        owner = excluded.owner,
        fence = CASE WHEN ",
    held!("excluded.owner"),
    " THEN r.fence ELSE max(min(r.fence, 9223372036854775806) + 1, ?2) END,
        attempt = CASE WHEN ",
    held!("excluded.owner"),
    " THEN r.attempt WHEN r.lease_until > ?2 OR r.keep_until > ?2 THEN r.attempt + 1 ELSE 1 END,
        lease_until = ?3,
        keep_until = ?4 + (NOT ",
    held!("excluded.owner"),
    " AND r.state = 0 AND r.keep_until > ?2)
    WHERE r.version = 1 AND (",
    held!("excluded.owner"),
    " OR (r.state = 0 AND r.lease_until <= ?2)
        OR (r.state = 1 AND r.keep_until <= ?2)
        OR r.state = 2)
    RETURNING key, fence, attempt, keep_until > ?4"
);

/// Finds out why a claim returned no row. `lease_until` is NULL unless the record is in progress and can be read.
pub(super) const FIND: &str = "SELECT
        version IS 1 AND state IS 1,
        CASE WHEN version = 1 AND state = 0 THEN CAST(lease_until AS INTEGER) END
    FROM scrapest_webhook_deliveries WHERE key = ?1";

/// ?1 key, ?2 now. Returns whether the record can be read, and whether it is completed.
pub(super) const STANDING: &str = "SELECT
        version IS 1 AND state IN (0, 1, 2),
        state IS 1 AND keep_until > ?2
    FROM scrapest_webhook_deliveries WHERE key = ?1";

/// ?1 asked, ?2 now, ?3 `lease_until`. Returns a row for each key that was held.
pub(super) const RENEW: &str = concat!(
    "UPDATE scrapest_webhook_deliveries AS r SET lease_until = ?3 FROM ",
    asked!(),
    " WHERE r.key = asked.key AND r.version = 1 AND ",
    held!("asked.owner"),
    " RETURNING key, true"
);

/// ?1 asked, ?2 now, ?3 `keep_until`. Returns for each readable record whether it was held.
///
/// The owner stays in the record if it was the holder, so that it gets the same answer when it asks again because the
/// answer was lost. If two owners complete a key, the longer retention counts.
pub(super) const COMPLETE: &str = concat!(
    "UPDATE scrapest_webhook_deliveries AS r SET
        state = 1,
        owner = CASE WHEN ",
    held!("asked.owner"),
    " OR (r.state = 1 AND r.owner = asked.owner) THEN r.owner END,
        fence = max(r.fence, asked.fence),
        lease_until = 0,
        keep_until = CASE r.state WHEN 0 THEN ?3 ELSE max(r.keep_until, ?3) END
    FROM ",
    asked!(),
    " WHERE r.key = asked.key AND r.version = 1 AND r.state IN (0, 1, 2)
    RETURNING key, owner IS NOT NULL"
);

/// ?1 asked, ?2 `keep_until`. Returns a row for each key that had no record, and so was not held.
pub(super) const COMPLETE_NEW: &str = concat!(
    "INSERT INTO scrapest_webhook_deliveries AS r
        (key, version, state, owner, fence, lease_until, keep_until, attempt)
    SELECT key, 1, 1, NULL, fence, 0, ?2, 1 FROM ",
    asked!(),
    " WHERE true ON CONFLICT (key) DO NOTHING RETURNING key, false"
);

/// ?1 asked, ?2 now. Returns a row for each key that was held.
pub(super) const RELEASE: &str = concat!(
    "UPDATE scrapest_webhook_deliveries AS r SET state = 2, owner = NULL, lease_until = 0 FROM ",
    asked!(),
    " WHERE r.key = asked.key AND r.version = 1 AND ",
    held!("asked.owner"),
    " RETURNING key, true"
);

/// ?1 now, ?2 the largest number of records to delete.
pub(super) const FORGET: &str = "DELETE FROM scrapest_webhook_deliveries WHERE key IN (
        SELECT key FROM scrapest_webhook_deliveries
        WHERE keep_until <= ?1 AND lease_until <= ?1 AND version = 1 AND state IN (0, 1, 2)
        ORDER BY keep_until LIMIT ?2)";
