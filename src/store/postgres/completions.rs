//! Completions, as many in one statement as pile up while the one before is in flight.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use super::database::{Database, Link};
use super::statements::COMPLETE;
use super::{AT_ONCE, seconds};
use crate::store::sql::{Asked, Failure, Leader, Unreadable, fence_to_sql};
use crate::store::{Fence, Key, Owner, Settled, StoreError};

#[derive(Debug, Clone, Copy)]
pub(super) struct Success {
    pub(super) key: Key,
    pub(super) owner: Owner,
    pub(super) fence: Fence,
    pub(super) keep: Duration,
}

pub(super) type Job = Asked<Success, Settled>;

/// Answers until nothing is asked any more, on one connection.
pub(super) async fn lead(database: Arc<Database>, mut leader: Leader<Job>) {
    let mut link = None;
    while let Some(mut jobs) = leader.next(AT_ONCE) {
        jobs.retain(|job| !job.is_abandoned());
        let Some(keep) = jobs.first().map(|job| job.question.keep) else { continue };
        // One statement has one retention, and each key once.
        let (mut batch, mut others) = (HashMap::new(), Vec::new());
        for job in jobs {
            match batch.entry(job.question.key) {
                Entry::Vacant(entry) if job.question.keep == keep => _ = entry.insert(job),
                _ => others.push(job),
            }
        }
        leader.put_back(others);

        match complete(&database, &mut link, &batch, keep).await {
            Ok(settled) => {
                for (key, mut job) in batch {
                    let settled = settled.get(&key).copied();
                    job.note(settled.ok_or_else(|| StoreError::new(Unreadable)));
                    job.tell();
                }
            }
            Err(failure) => {
                let failure = Arc::new(failure);
                batch.into_values().for_each(|job| job.fail(&failure));
            }
        }
    }
}

async fn complete(
    database: &Database,
    link: &mut Link,
    batch: &HashMap<Key, Job>,
    keep: Duration,
) -> Result<HashMap<Key, Settled>, Failure> {
    let successes: Vec<_> = batch.values().map(|job| job.question).collect();
    let keys: Vec<_> = successes.iter().map(|done| done.key.as_bytes().to_vec()).collect();
    let owners: Vec<_> = successes.iter().map(|done| done.owner.to_bytes().to_vec()).collect();
    let fences: Vec<_> = successes.iter().map(|done| fence_to_sql(done.fence)).collect();
    let rows: Vec<([u8; 32], bool)> = database
        .ask(link, |connection| {
            let query = sqlx::query_as(COMPLETE).bind(keys.clone()).bind(owners.clone());
            Box::pin(query.bind(fences.clone()).bind(seconds(keep)).fetch_all(connection))
        })
        .await?;
    let settled =
        |(key, held)| (Key::from_bytes(key), if held { Settled::Done } else { Settled::Lost });
    Ok(rows.into_iter().map(settled).collect())
}
