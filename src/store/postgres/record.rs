//! Reads records.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::asking::{Asking, Rows};
use super::connection::Connection;
use crate::store::sql::{Failure, UNREADABLE};
use crate::store::{Claims, Key, Owner};

pub(super) struct Record {
    pub(super) readable: bool,
    state: i16,
    owner: Option<Vec<u8>>,
    /// In seconds, like `keep_left`.
    lease_left: f64,
    keep_left: f64,
}

impl Record {
    /// Finds the records of these keys. It does not wait for locks.
    pub(super) async fn find(
        connection: &mut Connection,
        asking: &Asking,
    ) -> Result<HashMap<Key, Self>, Failure> {
        let found = connection.run(&asking.each(Rows::find)).await?;
        connection.read(&found, |row| {
            let record = Self {
                readable: row.try_get("readable")?,
                state: row.try_get("state")?,
                owner: row.try_get("owner")?,
                lease_left: row.try_get("lease_left")?,
                keep_left: row.try_get("keep_left")?,
            };
            Ok((key(row)?, record))
        })
    }

    /// Returns whether this owner holds the record, even if the lease has ended.
    pub(super) fn is_held_by(&self, owner: Owner) -> bool {
        let is_known = self.lease_left > 0.0 || self.keep_left > 0.0;
        let is_owner = self.owner.as_deref() == Some(&owner.to_bytes());
        self.readable && self.state == 0 && is_known && is_owner
    }

    /// Returns the answer to another owner's claim that has this key at this place, or `None` if the key is free.
    pub(super) fn refuses(&self, place: usize) -> Option<Claims> {
        let retry_after = match self.state {
            _ if !self.readable => UNREADABLE,
            1 if self.keep_left > 0.0 => return Some(Claims::Completed { place }),
            0 if self.lease_left > 0.0 => {
                Duration::try_from_secs_f64(self.lease_left).unwrap_or(Duration::MAX)
            }
            _ => return None,
        };
        Some(Claims::InProgress { place, retry_after })
    }
}

pub(super) fn key(row: &PgRow) -> Result<Key, sqlx::Error> {
    let bytes: Vec<u8> = row.try_get("key")?;
    let bytes = bytes.try_into().map_err(|_| sqlx::Error::Decode("a key of 32 bytes".into()))?;
    Ok(Key::from_bytes(bytes))
}
