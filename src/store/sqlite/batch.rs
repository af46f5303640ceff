//! Answers what was asked, in one transaction for all that was asked at once: one sync of the disk.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::file::File;
use super::statements::{CLAIM, COMPLETE, FIND, FORGET, RELEASE, RENEW};
use crate::observe;
use crate::store::sql::{Asked, Failure, Leader, UNREADABLE, Unreadable, acquired, fence_to_sql};
use crate::store::{Claim, Fence, Key, Owner, Settled, StoreError};

/// How many questions share a transaction at most: so many that the sync is nothing beside them.
const AT_ONCE: usize = 256;

/// How many expired records leave with one claim. More than the one it adds, so that they become fewer;
/// few, so that no claim waits for many.
const LEAVE_AT_ONCE: i64 = 4;

pub(super) enum Job {
    Claim(Asked<Wanted, Claim>),
    Settle(Asked<(Key, Owner, Settlement), Settled>),
    Ready(Asked<(), ()>),
}

#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) key: Key,
    pub(super) owner: Owner,
    pub(super) lease: Duration,
    pub(super) keep: Duration,
}

#[derive(Clone, Copy)]
pub(super) enum Settlement {
    Renew { lease: Duration },
    Complete { fence: Fence, keep: Duration },
    Release,
}

/// Answers until nothing is asked any more.
pub(super) async fn lead(file: Arc<File>, mut leader: Leader<Job>) {
    let mut connection = file.lock().await;
    while let Some(mut jobs) = leader.next(AT_ONCE) {
        jobs.retain(|job| !job.is_abandoned());
        if jobs.is_empty() {
            continue;
        }
        let result = answer(&file, &mut connection, &mut jobs).await;
        match result {
            Ok(()) => jobs.into_iter().for_each(Job::tell),
            Err(failure) => {
                // Whatever it was: the next question finds out with a new connection.
                *connection = None;
                let failure = Arc::new(failure);
                jobs.into_iter().for_each(|job| job.fail(&failure));
            }
        }
    }
}

async fn answer(
    file: &File,
    connection: &mut Option<SqliteConnection>,
    jobs: &mut [Job],
) -> Result<(), Failure> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(file.open().await?),
    };
    transact(connection, jobs).await.map_err(|error| file.failure(error))
}

/// Nothing is told before this has returned: then it is on the disk.
async fn transact(connection: &mut SqliteConnection, jobs: &mut [Job]) -> Result<(), sqlx::Error> {
    // Immediate: a transaction that begins to write after it has read can only fail if another wrote between.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Under the lock, so that time does not go back from one writer to the next.
    let now = Now::read();
    let mut claims = 0;
    for job in jobs {
        match job {
            Job::Claim(asked) => {
                let claim = claim(&mut transaction, asked.question, now).await?;
                asked.note(Ok(claim));
                claims += 1;
            }
            Job::Settle(asked) => {
                let (key, owner, settlement) = asked.question;
                let settled = settle(&mut transaction, &key, owner, settlement, now).await?;
                asked.note(settled.map_err(StoreError::new));
            }
            Job::Ready(asked) => asked.note(Ok(())),
        }
    }
    if claims > 0 {
        let forget = sqlx::query(FORGET).bind(now.0).bind(claims * LEAVE_AT_ONCE);
        forget.execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

async fn claim(
    connection: &mut SqliteConnection,
    wanted: Wanted,
    now: Now,
) -> Result<Claim, sqlx::Error> {
    let Wanted { key, owner, lease, keep } = wanted;
    let got: Option<(i64, i64, bool)> = sqlx::query_as(CLAIM)
        .bind(&key.as_bytes()[..])
        .bind(&owner.to_bytes()[..])
        .bind(now.0)
        .bind(now.plus(lease))
        .bind(now.plus(keep))
        .fetch_optional(&mut *connection)
        .await?;
    if let Some((fence, attempt, taken_over)) = got {
        observe::taken_over(taken_over.into());
        return Ok(acquired(fence, attempt));
    }
    let (completed, lease_until): (bool, Option<i64>) =
        sqlx::query_as(FIND).bind(&key.as_bytes()[..]).fetch_one(connection).await?;
    Ok(match lease_until {
        _ if completed => Claim::Completed,
        Some(until) => Claim::InProgress { retry_after: now.until(until) },
        None => Claim::InProgress { retry_after: UNREADABLE },
    })
}

pub(super) async fn settle(
    connection: &mut SqliteConnection,
    key: &Key,
    owner: Owner,
    settlement: Settlement,
    now: Now,
) -> Result<Result<Settled, Unreadable>, sqlx::Error> {
    let statement = match settlement {
        Settlement::Renew { .. } => RENEW,
        Settlement::Complete { .. } => COMPLETE,
        Settlement::Release => RELEASE,
    };
    let owner = owner.to_bytes();
    let query = sqlx::query(statement).bind(&key.as_bytes()[..]).bind(&owner[..]).bind(now.0);
    let done = match settlement {
        Settlement::Complete { fence, keep } => {
            let query = query.bind(fence_to_sql(fence)).bind(now.plus(keep));
            let Some(row) = query.fetch_optional(connection).await? else {
                return Ok(Err(Unreadable));
            };
            sqlx::Row::try_get(&row, 0)?
        }
        Settlement::Renew { lease } => {
            query.bind(now.plus(lease)).execute(connection).await?.rows_affected() > 0
        }
        Settlement::Release => query.execute(connection).await?.rows_affected() > 0,
    };
    Ok(Ok(if done { Settled::Done } else { Settled::Lost }))
}

impl Job {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Claim(asked) => asked.is_abandoned(),
            Self::Settle(asked) => asked.is_abandoned(),
            Self::Ready(asked) => asked.is_abandoned(),
        }
    }

    fn tell(self) {
        match self {
            Self::Claim(asked) => asked.tell(),
            Self::Settle(asked) => asked.tell(),
            Self::Ready(asked) => asked.tell(),
        }
    }

    fn fail(self, failure: &Arc<Failure>) {
        match self {
            Self::Claim(asked) => asked.fail(failure),
            Self::Settle(asked) => asked.fail(failure),
            Self::Ready(asked) => asked.fail(failure),
        }
    }
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
