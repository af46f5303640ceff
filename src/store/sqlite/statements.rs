//! What SQLite is told. Times are in milliseconds since 1970, by the machine's clock.

/// Run each time the file is opened; safe for several at once.
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

/// Held by the owner ?2, at ?3; somebody who knows the record, but not a record that has expired.
macro_rules! held {
    () => {
        "(r.state = 0 AND r.owner = ?2 AND (r.lease_until > ?3 OR r.keep_until > ?3))"
    };
}

/// No row if the key is not to be had: ?1 key, ?2 owner, ?3 now, ?4 `lease_until`, ?5 `keep_until`.
///
/// What is returned is of the record as it is now. So one that was taken over from an owner whose lease had
/// ended is kept a millisecond longer, and by that it is known.
pub(super) const CLAIM: &str = concat!(
    "INSERT INTO scrapest_webhook_deliveries AS r
        (key, version, state, owner, fence, lease_until, keep_until, attempt)
    VALUES (?1, 1, 0, ?2, ?3, ?4, ?5, 1)
    ON CONFLICT (key) DO UPDATE SET
        state = 0,
        owner = ?2,
        fence = CASE WHEN ",
    held!(),
    " THEN r.fence ELSE max(min(r.fence, 9223372036854775806) + 1, ?3) END,
        attempt = CASE WHEN ",
    held!(),
    " THEN r.attempt WHEN r.lease_until > ?3 OR r.keep_until > ?3 THEN r.attempt + 1 ELSE 1 END,
        lease_until = ?4,
        keep_until = ?5 + (NOT ",
    held!(),
    " AND r.state = 0 AND r.keep_until > ?3)
    WHERE r.version = 1 AND (",
    held!(),
    " OR (r.state = 0 AND r.lease_until <= ?3)
        OR (r.state = 1 AND r.keep_until <= ?3)
        OR r.state = 2)
    RETURNING fence, attempt, keep_until > ?5"
);

/// Why the claim had no row. `lease_until` is of a record in progress that can be read.
pub(super) const FIND: &str = "SELECT
        version IS 1 AND state IS 1,
        CASE WHEN version = 1 AND state = 0 THEN CAST(lease_until AS INTEGER) END
    FROM scrapest_webhook_deliveries WHERE key = ?1";

/// ?1 key, ?2 now. Whether the record can be read, and whether it is completed.
pub(super) const STANDING: &str = "SELECT
        version IS 1 AND state IN (0, 1, 2),
        state IS 1 AND keep_until > ?2
    FROM scrapest_webhook_deliveries WHERE key = ?1";

/// ?1 key, ?2 owner, ?3 now, ?4 `lease_until`.
pub(super) const RENEW: &str = concat!(
    "UPDATE scrapest_webhook_deliveries AS r SET lease_until = ?4
    WHERE r.key = ?1 AND r.version = 1 AND ",
    held!()
);

/// ?1 key, ?2 owner, ?3 now, ?4 fence, ?5 `keep_until`. No row if the record cannot be read.
///
/// The owner stays in the record if it was the holder: then it is told so also when it asks again because
/// the answer was lost. Of two that report a success the longer retention counts.
pub(super) const COMPLETE: &str = concat!(
    "INSERT INTO scrapest_webhook_deliveries AS r
        (key, version, state, owner, fence, lease_until, keep_until, attempt)
    VALUES (?1, 1, 1, NULL, ?4, 0, ?5, 1)
    ON CONFLICT (key) DO UPDATE SET
        state = 1,
        owner = CASE WHEN ",
    held!(),
    " OR (r.state = 1 AND r.owner = ?2) THEN r.owner END,
        fence = max(r.fence, ?4),
        lease_until = 0,
        keep_until = CASE r.state WHEN 0 THEN ?5 ELSE max(r.keep_until, ?5) END
    WHERE r.version = 1 AND r.state IN (0, 1, 2)
    RETURNING owner IS NOT NULL"
);

/// ?1 key, ?2 owner, ?3 now.
pub(super) const RELEASE: &str = concat!(
    "UPDATE scrapest_webhook_deliveries AS r SET state = 2, owner = NULL, lease_until = 0
    WHERE r.key = ?1 AND r.version = 1 AND ",
    held!()
);

/// ?1 now, ?2 how many at most.
pub(super) const FORGET: &str = "DELETE FROM scrapest_webhook_deliveries WHERE key IN (
        SELECT key FROM scrapest_webhook_deliveries
        WHERE keep_until <= ?1 AND lease_until <= ?1 AND version = 1 AND state IN (0, 1, 2)
        ORDER BY keep_until LIMIT ?2)";
