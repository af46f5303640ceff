//! The operations, as statements on a connection, written once for both databases.

/// Defines the operations for the connection type `$connection`, with rows `$row` and statements from `$sql`.
/// `$persistent` is whether a prepared statement may outlive its transaction.
macro_rules! verbs {
    ($connection:ty, $row:ty, $sql:ident, $persistent:literal) => {
        use std::time::Duration;

        use bytes::Bytes;
        use sqlx::Row;
        use time::OffsetDateTime;

        use crate::queue::engine::{Found, RunId, Settled, Settlement, Wanted, millis};
        use crate::queue::job::{Claimed, KeptHeaders, NewJob};
        use crate::queue::record::{Depth, JobRecord, JobState};
        use crate::queue::statements::{$sql as sql, BODY, TAKE_BACK};
        use crate::store::Key;

        type Answer<T> = Result<T, sqlx::Error>;

        macro_rules! ask {
            ($statement:expr) => { sqlx::query($statement).persistent($persistent) };
        }

        pub(super) async fn push(connection: &mut $connection, job: &NewJob) -> Answer<bool> {
            let pushed = ask!(sql::PUSH)
                .bind(&job.key.as_bytes()[..])
                .bind(&job.sender)
                .bind(&job.webhook)
                .bind(&job.delivery_id)
                .bind(&job.kind)
                .bind(job.timestamp)
                .bind(&job.headers.content_type)
                .bind(&job.headers.traceparent)
                .bind(&job.headers.tracestate)
                .bind(job.is_reconciled)
                .bind(&job.body[..])
                .execute(connection)
                .await?;
            Ok(pushed.rows_affected() > 0)
        }

        pub(super) async fn ready(connection: &mut $connection) -> Answer<()> {
            let probe = NewJob::probe();
            push(connection, &probe).await?;
            let take_back = ask!(TAKE_BACK).bind(&probe.key.as_bytes()[..]);
            take_back.execute(connection).await?;
            Ok(())
        }

        pub(super) async fn claim(connection: &mut $connection, wanted: Wanted) -> Answer<Found> {
            let Wanted { most, is_idle, lease, most_lost } = wanted;
            let mut found = Found::default();
            let reason = format!(
                "{most_lost} runs were lost: the process died in them, or could not renew their lease"
            );
            let buried =
                ask!(sql::BURY).bind(i64::from(most_lost)).bind(reason).fetch_all(&mut *connection);
            found.buried =
                buried.await?.iter().map(|row| row.try_get(0)).collect::<Answer<_>>()?;
            if is_idle {
                let lost = ask!(sql::CLAIM_LOST).bind(1_i64).bind(millis(lease));
                if let Some(row) = lost.fetch_optional(&mut *connection).await? {
                    found.jobs.push(claimed(&row)?);
                    found.is_alone = true;
                    return Ok(found);
                }
            } else {
                let is_due = ask!(sql::LOST_IS_DUE).fetch_one(&mut *connection).await?;
                if is_due.try_get(0)? {
                    // Starts no new jobs, so that the worker becomes idle and can run it.
                    return Ok(found);
                }
            }
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let rows = ask!(sql::CLAIM).bind(most).bind(millis(lease)).fetch_all(connection);
            found.jobs = rows.await?.iter().map(claimed).collect::<Answer<_>>()?;
            // The rows are returned in no particular order.
            found.jobs.sort_by_key(|job| (std::cmp::Reverse(job.created_ago), job.id));
            Ok(found)
        }

        pub(super) async fn renew(
            connection: &mut $connection,
            run: RunId,
            lease: Duration,
        ) -> Answer<bool> {
            let renew = ask!(sql::RENEW).bind(run.id).bind(run.fence).bind(millis(lease));
            Ok(renew.execute(connection).await?.rows_affected() > 0)
        }

        pub(super) async fn settle(
            connection: &mut $connection,
            run: RunId,
            how: &Settlement,
        ) -> Answer<Settled> {
            let is_settled = match how {
                Settlement::Done { keep_body } => {
                    let done = ask!(sql::DONE).bind(run.id).bind(run.fence).bind(*keep_body);
                    done.execute(connection).await?.rows_affected() > 0
                }
                Settlement::GivenBack => {
                    let give_back = ask!(sql::GIVE_BACK).bind(run.id).bind(run.fence);
                    give_back.execute(connection).await?.rows_affected() > 0
                }
                Settlement::Failed { wait, reason, is_dead, most_attempts } => {
                    let fail = ask!(sql::FAIL)
                        .bind(run.id)
                        .bind(run.fence)
                        .bind(millis(*wait))
                        .bind(reason)
                        .bind(*is_dead)
                        .bind(i64::from(*most_attempts));
                    match fail.fetch_optional(connection).await? {
                        Some(row) if row.try_get(0)? => return Ok(Settled::Dead),
                        failed => failed.is_some(),
                    }
                }
            };
            Ok(if is_settled { Settled::Done } else { Settled::Lost })
        }

        pub(super) async fn retry(connection: &mut $connection, id: i64) -> Answer<bool> {
            let retry = ask!(sql::RETRY).bind(id).execute(connection);
            Ok(retry.await?.rows_affected() > 0)
        }

        pub(super) async fn drop_job(connection: &mut $connection, id: i64) -> Answer<bool> {
            let dropped = ask!(sql::DROP).bind(id).execute(connection);
            Ok(dropped.await?.rows_affected() > 0)
        }

        pub(super) async fn tidy(
            connection: &mut $connection,
            keep_bodies: Duration,
            retention: Duration,
        ) -> Answer<()> {
            for (statement, time) in [(sql::ERASE, keep_bodies), (sql::FORGET, retention)] {
                ask!(statement).bind(millis(time)).execute(&mut *connection).await?;
            }
            Ok(())
        }

        pub(super) async fn depth(connection: &mut $connection) -> Answer<Depth> {
            let row = ask!(sql::DEPTH).fetch_one(connection).await?;
            let count = |place: usize| row.try_get(place).map(|count: i64| count.max(0) as u64);
            let (open, running) = (count(0)?, count(1)?);
            let oldest: Option<i64> = row.try_get(3)?;
            Ok(Depth {
                waiting: open.saturating_sub(running),
                running,
                dead: count(2)?,
                oldest: oldest.map(|age| Duration::from_millis(age.max(0) as u64)),
            })
        }

        pub(super) async fn body(connection: &mut $connection, id: i64) -> Answer<Option<Bytes>> {
            let row = ask!(BODY).bind(id).fetch_optional(connection).await?;
            let body: Option<Option<Vec<u8>>> = row.map(|row| row.try_get(0)).transpose()?;
            Ok(body.flatten().map(Bytes::from))
        }

        pub(super) async fn list(
            connection: &mut $connection,
            state: i64,
            after: i64,
            most: u32,
        ) -> Answer<Vec<JobRecord>> {
            let list = ask!(sql::LIST).bind(state).bind(after).bind(i64::from(most));
            list.fetch_all(connection).await?.iter().map(record).collect()
        }

        fn claimed(row: &$row) -> Answer<Claimed> {
            let body: Option<Vec<u8>> = row.try_get("body")?;
            let created_ago: i64 = row.try_get("created_ago")?;
            Ok(Claimed {
                id: row.try_get("id")?,
                fence: row.try_get("attempt")?,
                failed: count(row, "failed")?,
                lost: count(row, "lost")?,
                created_ago: Duration::from_millis(created_ago.max(0) as u64),
                delivery: NewJob {
                    key: key(row)?,
                    sender: row.try_get("sender")?,
                    webhook: row.try_get("webhook")?,
                    delivery_id: row.try_get("delivery_id")?,
                    kind: row.try_get("kind")?,
                    timestamp: row.try_get("sent_at")?,
                    is_reconciled: row.try_get("reconciled")?,
                    headers: KeptHeaders {
                        content_type: row.try_get("content_type")?,
                        traceparent: row.try_get("traceparent")?,
                        tracestate: row.try_get("tracestate")?,
                    },
                    body: body.map(Bytes::from).unwrap_or_default(),
                },
            })
        }

        fn record(row: &$row) -> Answer<JobRecord> {
            let time = |name: &str| {
                let millis: Option<i64> = row.try_get(name)?;
                let time = |millis| {
                    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
                };
                Answer::Ok(millis.and_then(time))
            };
            let standing: i64 = row.try_get("standing")?;
            let body_bytes: Option<i64> = row.try_get("body_bytes")?;
            Ok(JobRecord {
                id: row.try_get("id")?,
                state: JobState::of_number(standing),
                key: key(row)?,
                sender: row.try_get("sender")?,
                webhook_id: row.try_get("webhook")?,
                delivery_id: row.try_get("delivery_id")?,
                kind: row.try_get("kind")?,
                failed: count(row, "failed")?,
                lost: count(row, "lost")?,
                reason: row.try_get("reason")?,
                body_bytes: body_bytes.map(|bytes| bytes.max(0) as u64),
                stored_at: time("created_at")?,
                run_at: time("run_at")?,
                settled_at: time("settled_at")?,
            })
        }

        fn key(row: &$row) -> Answer<Key> {
            let bytes: Vec<u8> = row.try_get("key")?;
            // A row from elsewhere may have a key of any length.
            let mut key = [0; 32];
            let length = bytes.len().min(32);
            key[..length].copy_from_slice(&bytes[..length]);
            Ok(Key::from_bytes(key))
        }

        fn count(row: &$row, name: &str) -> Answer<u32> {
            let count: i64 = row.try_get(name)?;
            Ok(u32::try_from(count).unwrap_or(0))
        }
    };
}

pub(super) use verbs;
