//! Answers each batch of questions in one transaction, and so with one sync of the disk.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::file::File;
use super::statements::{CLAIM, COMPLETE, COMPLETE_NEW, FIND, FORGET, RELEASE, RENEW};
use crate::store::sql::{
    Answer, Asked, Batches, Failure, Hex, Question, UNREADABLE, Unreadable, Verb, fence_from_sql,
    fence_to_sql, tell_all,
};
use crate::store::{Claims, Fence, Key, Owner, Settled, StoreError};

/// How many questions share a transaction at most. With this many, the cost of the sync does not matter.
const AT_ONCE: usize = 256;

/// How many expired records are deleted per claimed key: more than the one record that it adds, so that a backlog
/// shrinks, but few, so that no claim waits long.
const LEAVE_WITH_EACH: i64 = 4;

/// Answers questions until the store is dropped.
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

/// Notes the answers to a batch. Once this returns, the changes are on the disk and the answers may be sent.
async fn transact(
    connection: &mut SqliteConnection,
    batch: &mut [Asked],
) -> Result<(), sqlx::Error> {
    // Immediate: a transaction that reads before it writes fails if another one has written meanwhile.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Read under the lock, so that time does not go back from one writer to the next.
    let now = Now::read();
    let mut claimed = 0;
    for (verb, mut together) in by_verb(batch) {
        if let Verb::Claim { lease, keep } = verb {
            claimed += together.iter().map(|asked| asked.question.keys.len()).sum::<usize>();
            claim(&mut transaction, &mut together, lease, keep, now).await?;
        } else {
            let questions = Vec::from_iter(together.iter().map(|asked| &asked.question));
            let answers = settle(&mut transaction, &questions, verb, now).await?;
            for (asked, answer) in together.into_iter().zip(answers) {
                asked.note(answer.map(Answer::Settled).map_err(StoreError::new));
            }
        }
    }
    if claimed > 0 {
        let most = i64::try_from(claimed).unwrap_or(i64::MAX).saturating_mul(LEAVE_WITH_EACH);
        sqlx::query(FORGET).bind(now.0).bind(most).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// Groups the questions that one statement can answer: they have one verb, and no key occurs twice.
fn by_verb(batch: &mut [Asked]) -> Vec<(Verb, Vec<&mut Asked>)> {
    let mut groups: Vec<(Verb, Vec<&mut Asked>, HashSet<Key>)> = Vec::new();
    for asked in batch {
        let Question { keys, verb, .. } = &asked.question;
        let (verb, keys) = (*verb, Vec::from_iter(keys.iter().map(|(key, _)| *key)));
        let group = groups.iter_mut().find(|(of_group, _, named)| {
            *of_group == verb && !keys.iter().any(|key| named.contains(key))
        });
        match group {
            Some((_, together, named)) => {
                together.push(asked);
                named.extend(keys);
            }
            None => groups.push((verb, vec![asked], HashSet::from_iter(keys))),
        }
    }
    groups.into_iter().map(|(verb, together, _)| (verb, together)).collect()
}

/// Claims the first key of each delivery, then the second of those that got the first, and so on: a claim whose first
/// key is refused leaves no record of its second.
async fn claim(
    connection: &mut SqliteConnection,
    together: &mut [&mut Asked],
    lease: Duration,
    keep: Duration,
    now: Now,
) -> Result<(), sqlx::Error> {
    let mut claimings = Vec::from_iter(together.iter().map(|asked| Claiming {
        keys: asked.question.keys.clone(),
        attempt: 0,
        taken_over: 0,
        refused: None,
    }));
    let longest = claimings.iter().map(|claiming| claiming.keys.len()).max().unwrap_or(0);
    for place in 0..longest {
        let open = |claiming: &Claiming| {
            claiming.refused.is_none().then(|| claiming.keys.get(place).copied()).flatten()
        };
        let rows = claimings.iter().zip(&*together).filter_map(|(claiming, asked)| {
            open(claiming).map(|(key, fence)| (key, fence, asked.question.owner))
        });
        let got: Vec<(Vec<u8>, i64, i64, bool)> = sqlx::query_as(CLAIM)
            .bind(json(rows))
            .bind(now.0)
            .bind(now.plus(lease))
            .bind(now.plus(keep))
            .fetch_all(&mut *connection)
            .await?;
        let got: HashMap<_, _> = got
            .into_iter()
            .map(|(key, fence, number, over)| (key, (fence, number, over)))
            .collect();
        for (claiming, asked) in claimings.iter_mut().zip(&*together) {
            let Some((key, _)) = open(claiming) else { continue };
            if let Some((fence, number, over)) = got.get(&key.as_bytes()[..]) {
                claiming.keys[place].1 = fence_from_sql(*fence);
                claiming.attempt = u32::try_from(*number).unwrap_or(u32::MAX);
                claiming.taken_over += u64::from(*over);
                continue;
            }
            claiming.refused = Some(find(connection, &key, place, now).await?);
            let Question { keys, owner, .. } = &asked.question;
            let verb = Verb::Release;
            let back = Question { keys: keys[..place].to_vec(), owner: *owner, verb };
            settle(connection, &[&back], verb, now).await?;
        }
    }
    for (claiming, asked) in claimings.into_iter().zip(together) {
        let Claiming { keys, attempt, taken_over, refused } = claiming;
        let taken_over = if refused.is_some() { 0 } else { taken_over };
        let claims = refused.unwrap_or(Claims::Acquired { attempt });
        asked.note(Ok(Answer::Claims { claims, keys, taken_over }));
    }
    Ok(())
}

/// A claim that has no answer yet.
struct Claiming {
    /// With the fences of the keys that were acquired.
    keys: Vec<(Key, Fence)>,
    attempt: u32,
    taken_over: u64,
    refused: Option<Claims>,
}

/// Finds out why a key could not be claimed.
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

/// Renews, completes or releases each key by itself. No key may be in two of the questions.
pub(super) async fn settle(
    connection: &mut SqliteConnection,
    questions: &[&Question],
    verb: Verb,
    now: Now,
) -> Result<Vec<Result<Settled, Unreadable>>, sqlx::Error> {
    let mut held = HashMap::new();
    let rows = |held: &HashMap<Vec<u8>, bool>| {
        let of_one = |question: &&Question| {
            let owner = question.owner;
            question.keys.clone().into_iter().map(move |(key, fence)| (key, fence, owner))
        };
        let all = questions.iter().flat_map(of_one);
        json(all.filter(|(key, ..)| !held.contains_key(&key.as_bytes()[..])))
    };
    let asked = rows(&held);
    let changed = match verb {
        Verb::Renew { lease } => {
            sqlx::query_as(RENEW).bind(asked).bind(now.0).bind(now.plus(lease))
        }
        Verb::Complete { keep } => {
            sqlx::query_as(COMPLETE).bind(asked).bind(now.0).bind(now.plus(keep))
        }
        Verb::Release | Verb::Claim { .. } | Verb::Forget { .. } => {
            sqlx::query_as(RELEASE).bind(asked).bind(now.0)
        }
    };
    held.extend::<Vec<(Vec<u8>, bool)>>(changed.fetch_all(&mut *connection).await?);
    let is_completion = matches!(verb, Verb::Complete { .. });
    let left = rows(&held);
    if let Verb::Complete { keep } = verb
        && left != "[]"
    {
        let new = sqlx::query_as(COMPLETE_NEW).bind(left).bind(now.plus(keep));
        held.extend::<Vec<(Vec<u8>, bool)>>(new.fetch_all(connection).await?);
    }
    let of_key = |key: &Key| match held.get(&key.as_bytes()[..]) {
        Some(true) => Ok(Settled::Done),
        None if is_completion => Err(Unreadable),
        Some(false) | None => Ok(Settled::Lost),
    };
    let of_all = |question: &&Question| {
        let mut all = question.keys.iter().map(|(key, _)| of_key(key));
        all.try_fold(Settled::Done, |all, of_key| Ok(all.and(of_key?)))
    };
    Ok(questions.iter().map(of_all).collect())
}

/// Returns the rows in the form that the statements read.
fn json(rows: impl Iterator<Item = (Key, Fence, Owner)>) -> String {
    let mut json = String::from("[");
    for (key, fence, owner) in rows {
        let comma = if json.len() > 1 { "," } else { "" };
        let (owner, fence) = (Hex(&owner.to_bytes()), fence_to_sql(fence));
        // Writing to a string cannot fail.
        _ = write!(json, r#"{comma}["{key}","{owner}",{fence}]"#);
    }
    json + "]"
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
