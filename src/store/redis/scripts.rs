//! The scripts, one per operation, and their answers. A script takes one key, or all keys of a delivery at a standalone
//! server.

use std::sync::LazyLock;
use std::time::Duration;

use ::redis::{Cmd, Value};

use super::failure::Unreadable;
use crate::store::{Claims, Fence, Key, Owner, Settled};

/// A script and its SHA-1, by which the server knows it.
pub(super) struct Script {
    source: &'static str,
    sha: LazyLock<String>,
}

macro_rules! script {
    ($($part:literal),+) => {
        Script {
            source: concat!($(include_str!($part)),+),
            sha: LazyLock::new(|| {
                let source = concat!($(include_str!($part)),+);
                ::redis::Script::new(source).get_hash().to_owned()
            }),
        }
    };
}

pub(super) static CLAIM: Script =
    script!("lua/clock.lua", "lua/claim.lua", "lua/record.lua", "lua/claim_known.lua");
pub(super) static RENEW: Script = script!("lua/clock.lua", "lua/record.lua", "lua/renew.lua");
pub(super) static COMPLETE: Script = script!("lua/record.lua", "lua/complete.lua");
pub(super) static RELEASE: Script = script!("lua/clock.lua", "lua/record.lua", "lua/release.lua");

/// The capacity for the names of two keys and the arguments, so that a command is one allocation.
const ROOM: usize = 384;

impl Script {
    /// Calls the script by its SHA-1, which a restarted server does not know.
    pub(super) fn by_name(&self) -> Call<'_> {
        Call { verb: "EVALSHA", script: &self.sha }
    }

    /// Calls the script by its source, after which the server knows its SHA-1. Loading it first would take two round
    /// trips, and in a cluster this call reaches the node that has the key.
    pub(super) fn whole(&self) -> Call<'_> {
        Call { verb: "EVAL", script: self.source }
    }
}

/// A way to call a script.
pub(super) struct Call<'a> {
    verb: &'static str,
    script: &'a str,
}

impl Call<'_> {
    /// Returns the command for these keys, to which it adds the prefix.
    pub(super) fn command(
        &self,
        prefix: &str,
        keys: &[(Key, Fence)],
        owner: Owner,
        durations: &[u64],
    ) -> Cmd {
        let mut command = Cmd::with_capacity(4 + keys.len() + durations.len(), ROOM);
        command.arg(self.verb).arg(self.script).arg(keys.len());
        let mut name = String::with_capacity(prefix.len() + 64);
        for (key, _) in keys {
            name.clear();
            name.push_str(prefix);
            push_hex(&mut name, key.as_bytes());
            command.arg(&name);
        }
        name.clear();
        push_hex(&mut name, &owner.to_bytes());
        command.arg(&name).arg(durations);
        command
    }
}

/// Appends hexadecimal digits. Faster than a formatter, which writes a key digit by digit.
fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
}

/// Reads the answer to a claim. Writes the fence of each key.
pub(super) fn claimed(answer: &Value, keys: &mut [(Key, Fence)]) -> Result<Claims, Unreadable> {
    // All keys were new.
    if let Value::Int(fence) = answer {
        let fence = Fence::new(u64::try_from(*fence).map_err(|_| Unreadable::Answer)?);
        keys.iter_mut().for_each(|(_, of_key)| *of_key = fence);
        return Ok(Claims::Acquired { attempt: 1 });
    }
    let count = keys.len();
    let Value::Array(fields) = answer else { return Err(Unreadable::Answer) };
    let number = |place: usize| match fields.get(place) {
        Some(Value::Int(number)) => u64::try_from(*number).map_err(|_| Unreadable::Answer),
        _ => Err(Unreadable::Answer),
    };
    // Lua counts from 1.
    let place = || {
        let place = number(1)?.checked_sub(1).and_then(|place| usize::try_from(place).ok());
        place.filter(|place| *place < count).ok_or(Unreadable::Answer)
    };
    match word(fields.first())? {
        b"acquired" => {
            let mut last = 0;
            for (place, (_, fence)) in keys.iter_mut().enumerate() {
                *fence = Fence::new(number(2 + 2 * place)?);
                last = number(3 + 2 * place)?;
            }
            crate::observe::taken_over(number(1)?);
            Ok(Claims::Acquired { attempt: u32::try_from(last).unwrap_or(u32::MAX) })
        }
        b"in progress" => {
            let retry_after = Duration::from_millis(number(2)?);
            Ok(Claims::InProgress { place: place()?, retry_after })
        }
        b"completed" => Ok(Claims::Completed { place: place()? }),
        b"foreign" => Err(Unreadable::Foreign),
        _ => Err(Unreadable::Answer),
    }
}

/// Reads the answer of any other script: the worst standing of its keys, as numbered in `record.lua`.
pub(super) fn settled(answer: &Value) -> Result<Settled, Unreadable> {
    match answer {
        Value::Int(0) => Ok(Settled::Done),
        Value::Int(1) => Ok(Settled::Lost),
        Value::Int(2) => Err(Unreadable::Newer),
        Value::Int(3) => Err(Unreadable::Foreign),
        _ => Err(Unreadable::Answer),
    }
}

fn word(value: Option<&Value>) -> Result<&[u8], Unreadable> {
    match value {
        Some(Value::BulkString(word)) => Ok(word),
        _ => Err(Unreadable::Answer),
    }
}
