//! Runs claims. Those that arrive while a statement is in flight share the next one.

use std::collections::{HashMap, HashSet};

use sqlx::Row;

use super::AT_ONCE;
use super::asking::{Asking, Rows};
use super::connection::Connection;
use super::record::{Record, key};
use super::turn::Turn;
use crate::store::answers::Locked;
use crate::store::sql::{
    Answer, Asked, Batches, Failure, LOCKED, Question, Verb, fence_from_sql, tell_all,
};
use crate::store::{Claims, Fence, Key, Owner, StoreError};

/// How many times to claim keys that were found free but could not be taken.
const TRIES: usize = 3;

/// Answers claims until the store is dropped.
pub(super) async fn work(mut connection: Connection, mut batches: Batches, turn: Turn) {
    while batches.wait().await {
        let _turn = turn.wait().await;
        let mut batch = batches.take(AT_ONCE);
        if !batch.is_empty() {
            let answered = answer(&mut connection, &mut batch).await;
            tell_all(batch, answered);
        }
    }
}

/// Answers a batch. Nearly every delivery is new, so the first statement usually has the answer. Between statements a
/// claim may hold only some of its keys; at the end it holds all or none.
async fn answer(connection: &mut Connection, batch: &mut [Asked]) -> Result<(), Failure> {
    let questions = batch.iter().map(|asked| asked.question.clone());
    let mut claimings: Vec<_> = questions.map(Claiming::new).collect();
    take(connection, &missing(&claimings).each(Rows::claim_new), &mut claimings).await?;
    for _ in 0..TRIES {
        let missing = missing(&claimings);
        if missing.is_empty() {
            break;
        }
        let found = Record::find(connection, &missing).await?;
        claimings.iter_mut().for_each(|claiming| claiming.look_at(&found));
        let missing = self::missing(&claimings);
        if !missing.is_empty() {
            let claim = |rows: &Rows| format!("{};{}", rows.claim_known(), rows.claim_new());
            take(connection, &missing.each(claim), &mut claimings).await?;
        }
    }
    claimings.iter_mut().for_each(Claiming::decide);
    let kept = give_back(connection, &claimings).await?;
    for (asked, claiming) in batch.iter_mut().zip(claimings) {
        let could_not = claiming.to_give_back().any(|key| kept.contains(&key));
        asked.note(if could_not { Err(StoreError::new(Locked)) } else { Ok(claiming.answer()) });
    }
    Ok(())
}

/// Returns the keys that are not claimed yet, without those of refused claims.
fn missing(claimings: &[Claiming]) -> Asking {
    let mut asking = Asking::default();
    for claiming in claimings.iter().filter(|claiming| claiming.refused.is_none()) {
        let Question { keys, owner, verb } = &claiming.question;
        let open = keys.iter().zip(&claiming.held).filter(|(_, held)| held.is_none());
        asking.add(&Vec::from_iter(open.map(|(key, _)| *key)), *owner, *verb);
    }
    asking
}

async fn take(
    connection: &mut Connection,
    statements: &str,
    claimings: &mut [Claiming],
) -> Result<(), Failure> {
    let got = connection.run(statements).await?;
    let got: HashMap<(Key, Vec<u8>), Held> = connection.read(&got, |row| {
        let held = Held {
            fence: row.try_get("fence")?,
            attempt: row.try_get("attempt")?,
            taken_over: row.try_get("taken_over")?,
        };
        Ok(((key(row)?, row.try_get("owner")?), held))
    })?;
    for Claiming { question, held, .. } in claimings {
        let owner = question.owner.to_bytes().to_vec();
        for (held, (key, _)) in held.iter_mut().zip(&question.keys) {
            if let Some(got) = got.get(&(*key, owner.clone())) {
                *held = Some(*got);
            }
        }
    }
    Ok(())
}

/// Releases the keys that refused claims hold. Returns the keys that could not be released, because another transaction
/// has locked their records.
async fn give_back(
    connection: &mut Connection,
    claimings: &[Claiming],
) -> Result<HashSet<(Key, Owner)>, Failure> {
    let mut ours: HashSet<_> = claimings.iter().flat_map(Claiming::to_give_back).collect();
    if ours.is_empty() {
        return Ok(ours);
    }
    let mut asking = Asking::default();
    for (key, owner) in &ours {
        asking.add(&[(*key, Fence::new(0))], *owner, Verb::Release);
    }
    let released = connection.run(&asking.each(Rows::change)).await?;
    let released: HashSet<Key> = connection.read(&released, key)?;
    ours.retain(|(key, _)| !released.contains(key));
    if !ours.is_empty() {
        let found = Record::find(connection, &asking).await?;
        ours.retain(|(key, owner)| found.get(key).is_some_and(|found| found.is_held_by(*owner)));
    }
    Ok(ours)
}

/// A claim that has no answer yet.
struct Claiming {
    question: Question,
    /// The keys that are claimed so far, by place.
    held: Vec<Option<Held>>,
    refused: Option<Claims>,
}

#[derive(Clone, Copy, Default)]
struct Held {
    fence: i64,
    attempt: i64,
    taken_over: bool,
}

impl Claiming {
    fn new(question: Question) -> Self {
        let held = vec![None; question.keys.len()];
        Self { question, held, refused: None }
    }

    /// Refuses the claim if another owner has one of the missing keys.
    fn look_at(&mut self, found: &HashMap<Key, Record>) {
        let Question { keys, owner, .. } = &self.question;
        let of_others = keys.iter().enumerate().filter(|(place, _)| self.held[*place].is_none());
        let of_others = of_others.filter_map(|(place, (key, _))| Some((place, found.get(key)?)));
        let ours: Vec<_> =
            of_others.clone().filter(|(_, found)| found.is_held_by(*owner)).collect();
        let mut of_others = of_others.filter(|(_, found)| !found.is_held_by(*owner));
        self.refused = of_others.find_map(|(place, found)| found.refuses(place));
        if self.refused.is_some() {
            // This owner holds them from an earlier claim. They must be released too.
            for (place, _) in ours {
                self.held[place] = Some(Held::default());
            }
        }
    }

    /// Refuses a claim that still misses a key: another transaction has locked its record.
    fn decide(&mut self) {
        if self.refused.is_none()
            && let Some(place) = self.held.iter().position(Option::is_none)
        {
            self.refused = Some(Claims::InProgress { place, retry_after: LOCKED });
        }
    }

    fn to_give_back(&self) -> impl Iterator<Item = (Key, Owner)> {
        let keys = self.question.keys.iter().zip(&self.held);
        keys.filter(|(_, held)| self.refused.is_some() && held.is_some())
            .map(|((key, _), _)| (*key, self.question.owner))
    }

    fn answer(self) -> Answer {
        let (mut keys, held) = (self.question.keys, self.held);
        let mut attempt = 0;
        for ((_, fence), held) in keys.iter_mut().zip(held.iter().flatten()) {
            (*fence, attempt) = (fence_from_sql(held.fence), held.attempt);
        }
        let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
        let taken_over = held.iter().flatten().filter(|held| held.taken_over).count() as u64;
        Answer::Claims {
            claims: self.refused.unwrap_or(Claims::Acquired { attempt }),
            keys,
            taken_over,
        }
    }
}
