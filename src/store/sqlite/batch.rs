//! Answers what was asked, in one transaction for all that was asked at once: one sync of the disk.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::file::File;
use super::statements::{CLAIM, COMPLETE, FIND, FORGET, RELEASE, RENEW};
use crate::store::sql::{
    Answer, Asked, Batches, Failure, Question, UNREADABLE, Unreadable, Verb, fence_from_sql,
    fence_to_sql, tell_all,
};
use crate::store::{Claims, Fence, Key, Owner, Settled, StoreError};

/// How many questions share a transaction at most: so many that the sync is nothing beside them.
const AT_ONCE: usize = 256;

/// How many expired records leave with one claimed key. More than the one it adds, so that they become fewer;
/// few, so that no claim waits for many.
const LEAVE_AT_ONCE: i64 = 4;

/// Answers until the store is dropped.
pub(super) async fn work(mut file: File, mut batches: Batches) {
    while let Some(mut batch) = batches.next(AT_ONCE).await {
        let answered = answer(&mut file, &mut batch).await;
        tell_all(batch, answered);
    }
}

async fn answer(file: &mut File, batch: &mut [Asked]) -> Result<(), Failure> {
    let transacted = transact(file.connection().await?, batch).await;
    transacted.map_err(|error| file.failed(error))
}

/// Nothing is told before this has returned: then it is on the disk.
async fn transact(
    connection: &mut SqliteConnection,
    batch: &mut [Asked],
) -> Result<(), sqlx::Error> {
    // Immediate: a transaction that begins to write after it has read can only fail if another wrote between.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Under the lock, so that time does not go back from one writer to the next.
    let now = Now::read();
    let mut claimed = 0;
    for asked in batch {
        let Question { keys, owner, verb } = &asked.question;
        let answer = match *verb {
            Verb::Claim { lease, keep } => {
                claimed += i64::try_from(keys.len()).unwrap_or(0);
                Ok(claim_all(&mut transaction, keys, *owner, lease, keep, now).await?)
            }
            verb => settle_all(&mut transaction, keys, *owner, verb, now)
                .await?
                .map(Answer::Settled)
                .map_err(StoreError::new),
        };
        asked.note(answer);
    }
    if claimed > 0 {
        let forget = sqlx::query(FORGET).bind(now.0).bind(claimed * LEAVE_AT_ONCE);
        forget.execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

async fn claim_all(
    connection: &mut SqliteConnection,
    asked: &[(Key, Fence)],
    owner: Owner,
    lease: Duration,
    keep: Duration,
    now: Now,
) -> Result<Answer, sqlx::Error> {
    let mut keys = asked.to_vec();
    let (mut attempt, mut taken_over) = (0, 0);
    for (place, (key, fence)) in keys.iter_mut().enumerate() {
        let got: Option<(i64, i64, bool)> = sqlx::query_as(CLAIM)
            .bind(&key.as_bytes()[..])
            .bind(&owner.to_bytes()[..])
            .bind(now.0)
            .bind(now.plus(lease))
            .bind(now.plus(keep))
            .fetch_optional(&mut *connection)
            .await?;
        let Some((got, number, over)) = got else {
            let claims = find(connection, key, place, now).await?;
            settle_all(connection, &asked[..place], owner, Verb::Release, now).await?.ok();
            return Ok(Answer::Claims { claims, keys, taken_over: 0 });
        };
        (*fence, attempt) = (fence_from_sql(got), number);
        taken_over += u64::from(over);
    }
    let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
    Ok(Answer::Claims { claims: Claims::Acquired { attempt }, keys, taken_over })
}

/// Why a key was not to be had.
async fn find(
    connection: &mut SqliteConnection,
    key: &Key,
    place: usize,
    now: Now,
) -> Result<Claims, sqlx::Error> {
    let (completed, lease_until): (bool, Option<i64>) =
        sqlx::query_as(FIND).bind(&key.as_bytes()[..]).fetch_one(connection).await?;
    let retry_after = lease_until.map_or(UNREADABLE, |until| now.until(until));
    Ok(if completed {
        Claims::Completed { place }
    } else {
        Claims::InProgress { place, retry_after }
    })
}

/// Each key for itself.
pub(super) async fn settle_all(
    connection: &mut SqliteConnection,
    keys: &[(Key, Fence)],
    owner: Owner,
    verb: Verb,
    now: Now,
) -> Result<Result<Settled, Unreadable>, sqlx::Error> {
    let mut all = Ok(Settled::Done);
    for (key, fence) in keys {
        let settled = settle(connection, key, *fence, owner, verb, now).await?;
        all = all.and_then(|all: Settled| Ok(all.and(settled?)));
    }
    Ok(all)
}

async fn settle(
    connection: &mut SqliteConnection,
    key: &Key,
    fence: Fence,
    owner: Owner,
    verb: Verb,
    now: Now,
) -> Result<Result<Settled, Unreadable>, sqlx::Error> {
    let statement = match verb {
        Verb::Renew { .. } => RENEW,
        Verb::Complete { .. } => COMPLETE,
        Verb::Release | Verb::Claim { .. } | Verb::Forget { .. } => RELEASE,
    };
    let owner = owner.to_bytes();
    let query = sqlx::query(statement).bind(&key.as_bytes()[..]).bind(&owner[..]).bind(now.0);
    let done = match verb {
        Verb::Complete { keep } => {
            let query = query.bind(fence_to_sql(fence)).bind(now.plus(keep));
            let Some(row) = query.fetch_optional(connection).await? else {
                return Ok(Err(Unreadable));
            };
            sqlx::Row::try_get(&row, 0)?
        }
        Verb::Renew { lease } => {
            query.bind(now.plus(lease)).execute(connection).await?.rows_affected() > 0
        }
        _ => query.execute(connection).await?.rows_affected() > 0,
    };
    Ok(Ok(if done { Settled::Done } else { Settled::Lost }))
}

/// Milliseconds since 1970.
#[derive(Clone, Copy)]
pub(super) struct Now(pub(super) i64);

impl Now {
    pub(super) fn read() -> Self {
        // A clock before 1970 reads as 1970.
        Self(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis))
    }

    pub(super) fn plus(self, duration: Duration) -> i64 {
        self.0.saturating_add(millis(duration))
    }

    fn until(self, end: i64) -> Duration {
        Duration::from_millis(end.saturating_sub(self.0).try_into().unwrap_or(0))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
