//! Claims, as many in one statement as pile up while the one before is in flight.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use super::database::{Database, Link};
use super::statements::{CLAIM, FIND};
use super::{AT_ONCE, seconds};
use crate::observe;
use crate::store::sql::{Asked, Failure, Leader, UNREADABLE, acquired};
use crate::store::{Claim, Key, Owner};

/// How often a key that is free again whenever it was not to be had is claimed once more.
const TRIES: usize = 3;

#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) key: Key,
    pub(super) owner: Owner,
    pub(super) lease: Duration,
    pub(super) keep: Duration,
}

pub(super) type Job = Asked<Wanted, Claim>;

/// Answers until nothing is asked any more, on one connection.
pub(super) async fn lead(database: Arc<Database>, mut leader: Leader<Job>) {
    let mut link = None;
    while let Some(mut jobs) = leader.next(AT_ONCE) {
        jobs.retain(|job| !job.is_abandoned());
        let Some(first) = jobs.first().map(|job| job.question) else { continue };
        // Lease and retention are the same throughout a statement: a row that had to wait for a lock
        // gets them from then on.
        let alike =
            |job: &Job| (job.question.lease, job.question.keep) == (first.lease, first.keep);
        let (mut jobs, others): (Vec<_>, Vec<_>) = jobs.into_iter().partition(alike);
        leader.put_back(others);

        match answer(&database, &mut link, &mut jobs, first).await {
            Ok(()) => {
                database.claimed(jobs.len());
                jobs.into_iter().for_each(Job::tell);
            }
            Err(failure) => {
                let failure = Arc::new(failure);
                jobs.into_iter().for_each(|job| job.fail(&failure));
            }
        }
    }
}

async fn answer(
    database: &Database,
    link: &mut Link,
    jobs: &mut [Job],
    Wanted { lease, keep, .. }: Wanted,
) -> Result<(), Failure> {
    for _ in 0..TRIES {
        // Of several that want one key the first is asked for; the others find what became of it.
        let mut asked: HashMap<Key, &mut Job> = HashMap::new();
        for job in jobs.iter_mut().filter(|job| !job.is_answered()) {
            if let Entry::Vacant(entry) = asked.entry(job.question.key) {
                entry.insert(job);
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let pairs: Vec<_> =
            asked.values().map(|job| (job.question.key, job.question.owner)).collect();
        for (key, claim) in claim(database, link, &pairs, lease, keep).await? {
            if let Some(job) = asked.get_mut(&key) {
                job.note(Ok(claim));
            }
        }

        let open = || jobs.iter().filter(|job| !job.is_answered());
        if open().next().is_none() {
            return Ok(());
        }
        let keys = pairs
            .iter()
            .map(|(key, _)| *key)
            .filter(|key| open().any(|job| job.question.key == *key));
        let found = find(database, link, keys.collect()).await?;
        for job in jobs.iter_mut().filter(|job| !job.is_answered()) {
            if let Some(claim) =
                found.get(&job.question.key).and_then(|found| found.tell(job.question.owner))
            {
                job.note(Ok(claim));
            }
        }
    }
    // Others have it and let it go in quick succession.
    for job in jobs.iter_mut().filter(|job| !job.is_answered()) {
        job.note(Ok(Claim::InProgress { retry_after: Duration::ZERO }));
    }
    Ok(())
}

async fn claim(
    database: &Database,
    link: &mut Link,
    pairs: &[(Key, Owner)],
    lease: Duration,
    keep: Duration,
) -> Result<Vec<(Key, Claim)>, Failure> {
    let keys: Vec<_> = pairs.iter().map(|(key, _)| key.as_bytes().to_vec()).collect();
    let owners: Vec<_> = pairs.iter().map(|(_, owner)| owner.to_bytes().to_vec()).collect();
    let got: Vec<([u8; 32], i64, i64, bool)> = database
        .ask(link, |connection| {
            let query = sqlx::query_as(CLAIM).bind(keys.clone()).bind(owners.clone());
            let query = query.bind(seconds(lease)).bind(seconds(keep));
            Box::pin(query.fetch_all(connection))
        })
        .await?;
    observe::taken_over(got.iter().map(|(.., taken_over)| u64::from(*taken_over)).sum());
    let acquired = |(key, fence, attempt, _)| (Key::from_bytes(key), acquired(fence, attempt));
    Ok(got.into_iter().map(acquired).collect())
}

/// What is recorded of a key.
struct Found {
    state: String,
    owner: Option<Vec<u8>>,
    fence: i64,
    attempt: i64,
    lease_left: f64,
}

impl Found {
    /// What somebody who wants the key is told; nothing if it is free.
    fn tell(&self, owner: Owner) -> Option<Claim> {
        match self.state.as_str() {
            "free" => None,
            "completed" => Some(Claim::Completed),
            "unreadable" => Some(Claim::InProgress { retry_after: UNREADABLE }),
            // It asked twice at once.
            _ if self.owner.as_deref() == Some(&owner.to_bytes()) => {
                Some(acquired(self.fence, self.attempt))
            }
            _ => {
                let left = Duration::try_from_secs_f64(self.lease_left).unwrap_or_default();
                Some(Claim::InProgress { retry_after: left })
            }
        }
    }
}

async fn find(
    database: &Database,
    link: &mut Link,
    keys: Vec<Key>,
) -> Result<HashMap<Key, Found>, Failure> {
    type Row = ([u8; 32], String, Option<Vec<u8>>, i64, i64, f64);
    let keys: Vec<_> = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
    let rows: Vec<Row> = database
        .ask(link, |connection| {
            Box::pin(sqlx::query_as(FIND).bind(keys.clone()).fetch_all(connection))
        })
        .await?;
    let found = |(key, state, owner, fence, attempt, lease_left)| {
        (Key::from_bytes(key), Found { state, owner, fence, attempt, lease_left })
    };
    Ok(rows.into_iter().map(found).collect())
}
