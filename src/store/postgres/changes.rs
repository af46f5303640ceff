//! Runs renewals, releases and completions. Those that arrive while a statement is in flight share the next one.

use std::collections::{HashMap, HashSet};

use sqlx::Row;

use super::AT_ONCE;
use super::asking::{Asking, Rows};
use super::connection::Connection;
use super::record::{Record, key};
use super::statements::forget;
use super::turn::Turn;
use crate::store::answers::Locked;
use crate::store::sql::{Answer, Asked, Batches, Failure, Question, Unreadable, Verb, tell_all};
use crate::store::{Key, Settled, StoreError};
use crate::warn_once::WarnOnce;

/// Answers questions until the store is dropped.
pub(super) async fn work(mut connection: Connection, mut batches: Batches, turn: Turn) {
    let stay = WarnOnce::default();
    while batches.wait().await {
        let _turn = turn.wait().await;
        let asked = batches.take(AT_ONCE);
        // A statement must not name a key twice.
        let (mut batch, mut keys, mut forgets) = (Vec::new(), HashSet::new(), Vec::new());
        for asked in asked {
            let mut of_asked = asked.question.keys.iter().map(|(key, _)| *key);
            if let Verb::Forget { most } = asked.question.verb {
                forgets.push((asked, most));
            } else if of_asked.any(|key| keys.contains(&key)) {
                batches.postpone(asked);
            } else {
                keys.extend(asked.question.keys.iter().map(|(key, _)| *key));
                batch.push(asked);
            }
        }
        let answered = answer(&mut connection, &mut batch).await;
        tell_all(batch, answered);
        // In separate statements: the right to delete may be missing, and that must not cost a lease.
        for (mut asked, most) in forgets {
            asked.note(Ok(Answer::Settled(Settled::Done)));
            let forgot = connection.run(&forget(most)).await.map(drop);
            if let Err(error) = &forgot
                && most > 0
            {
                // A later claim tries again.
                stay.then(|| tracing::warn!(%error, "expired records stay in the table for now"));
            }
            tell_all(vec![asked], forgot);
        }
    }
}

async fn answer(connection: &mut Connection, batch: &mut [Asked]) -> Result<(), Failure> {
    let mut settled = HashMap::new();
    if !batch.is_empty() {
        let asking = missing(batch, &settled, false);
        run(connection, &asking.each(Rows::change), &mut settled).await?;
    }
    let absent = missing(batch, &settled, true);
    if !absent.is_empty() {
        // The record may exist: the first statement skips one that another transaction has just changed.
        let complete = |rows: &Rows| format!("{};{}", rows.change(), rows.complete_new());
        run(connection, &absent.each(complete), &mut settled).await?;
    }
    let left = missing(batch, &settled, false);
    let found = match left.is_empty() {
        true => HashMap::new(),
        false => Record::find(connection, &left).await?,
    };
    for asked in batch {
        let answer = conclude(&asked.question, &settled, &found);
        asked.note(answer.map(Answer::Settled));
    }
    Ok(())
}

async fn run(
    connection: &mut Connection,
    statements: &str,
    settled: &mut HashMap<Key, Settled>,
) -> Result<(), Failure> {
    let rows = connection.run(statements).await?;
    let rows: Vec<_> = connection.read(&rows, |row| {
        let held = row.try_get("held")?;
        Ok((key(row)?, if held { Settled::Done } else { Settled::Lost }))
    })?;
    settled.extend(rows);
    Ok(())
}

/// Returns the keys that have no answer yet, of completions only or of all questions.
fn missing(batch: &[Asked], settled: &HashMap<Key, Settled>, completions: bool) -> Asking {
    let mut asking = Asking::default();
    for Asked { question: Question { keys, owner, verb }, .. } in batch {
        if completions && !matches!(verb, Verb::Complete { .. }) {
            continue;
        }
        let open = keys.iter().filter(|(key, _)| !settled.contains_key(key));
        asking.add(&Vec::from_iter(open.copied()), *owner, *verb);
    }
    asking
}

fn conclude(
    Question { keys, owner, verb }: &Question,
    settled: &HashMap<Key, Settled>,
    found: &HashMap<Key, Record>,
) -> Result<Settled, StoreError> {
    let is_completion = matches!(verb, Verb::Complete { .. });
    let mut all = Settled::Done;
    for (key, _) in keys {
        let of_key = match (settled.get(key), found.get(key)) {
            (Some(settled), _) => *settled,
            (None, Some(record)) if is_completion && !record.readable => {
                return Err(StoreError::new(Unreadable));
            }
            (None, Some(record)) if is_completion || record.is_held_by(*owner) => {
                return Err(StoreError::new(Locked));
            }
            // A completion must not be reported before it is written.
            (None, None) if is_completion => return Err(StoreError::new(Locked)),
            (None, _) => Settled::Lost,
        };
        all = all.and(of_key);
    }
    Ok(all)
}
