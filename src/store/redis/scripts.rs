//! One script a verb, over one key or, at a server that stands alone, over all of a delivery; and what it answers.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use ::redis::{Cmd, Value};

use crate::store::{Claim, Claims, Fence, Settled};

/// A script and its name at the server.
pub(super) struct Script {
    source: &'static str,
    sha: LazyLock<String>,
}

macro_rules! script {
    ($file:literal) => {
        Script {
            source: concat!(include_str!("lua/record.lua"), include_str!($file)),
            sha: LazyLock::new(|| {
                let source = concat!(include_str!("lua/record.lua"), include_str!($file));
                ::redis::Script::new(source).get_hash().to_owned()
            }),
        }
    };
}

pub(super) static CLAIM: Script = script!("lua/claim.lua");
pub(super) static RENEW: Script = script!("lua/renew.lua");
pub(super) static COMPLETE: Script = script!("lua/complete.lua");
pub(super) static RELEASE: Script = script!("lua/release.lua");

impl Script {
    /// By its name, which a server that was restarted does not know.
    pub(super) fn by_name(&self, keys: &[String], arguments: &[String]) -> Cmd {
        Self::command("EVALSHA", &self.sha, keys, arguments)
    }

    /// Whole; the server then knows its name. One round trip where loading first would be two, and in a
    /// cluster it goes where the key is.
    pub(super) fn whole(&self, keys: &[String], arguments: &[String]) -> Cmd {
        Self::command("EVAL", self.source, keys, arguments)
    }

    fn command(verb: &str, script: &str, keys: &[String], arguments: &[String]) -> Cmd {
        let mut command = ::redis::cmd(verb);
        command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
        command
    }
}

/// What the script of a claim returned; writes the fence of each key.
pub(super) fn claimed(answer: &Value, fences: &mut [Fence]) -> Result<Claims, Unreadable> {
    let Value::Array(fields) = answer else { return Err(Unreadable::Answer) };
    let number = |place: usize| match fields.get(place) {
        Some(Value::Int(number)) => u64::try_from(*number).map_err(|_| Unreadable::Answer),
        _ => Err(Unreadable::Answer),
    };
    let claim = match word(fields.first())? {
        b"acquired" => {
            let mut last = 0;
            for (place, fence) in fences.iter_mut().enumerate() {
                *fence = Fence::new(number(2 + 2 * place)?);
                last = number(3 + 2 * place)?;
            }
            crate::observe::taken_over(number(1)?);
            return Ok(Claims::Acquired { attempt: u32::try_from(last).unwrap_or(u32::MAX) });
        }
        b"in progress" => Claim::InProgress { retry_after: Duration::from_millis(number(2)?) },
        b"completed" => Claim::Completed,
        b"foreign" => return Err(Unreadable::Foreign),
        _ => return Err(Unreadable::Answer),
    };
    // Lua counts from 1.
    let place = number(1)?.checked_sub(1).and_then(|place| usize::try_from(place).ok());
    let place = place.filter(|place| *place < fences.len()).ok_or(Unreadable::Answer)?;
    Ok(Claims::Taken { place, claim, held: 0 })
}

/// What any other script returned: a word for each key. [`Settled::Lost`] if one was lost.
pub(super) fn settled(answer: &Value, keys: usize) -> Result<Settled, Unreadable> {
    let Value::Array(words) = answer else { return Err(Unreadable::Answer) };
    if words.len() != keys {
        return Err(Unreadable::Answer);
    }
    let mut settled = Settled::Done;
    for answer in words {
        match word(Some(answer))? {
            b"done" => {}
            b"lost" => settled = Settled::Lost,
            b"foreign" => return Err(Unreadable::Foreign),
            b"newer" => return Err(Unreadable::Newer),
            _ => return Err(Unreadable::Answer),
        }
    }
    Ok(settled)
}

fn word(value: Option<&Value>) -> Result<&[u8], Unreadable> {
    match value {
        Some(Value::BulkString(word)) => Ok(word),
        _ => Err(Unreadable::Answer),
    }
}

/// Why an answer, or the record under a key, says nothing to this version of the crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Foreign,
    Newer,
    Answer,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => {
                "the value under the key is not of this store and was left alone; \
                 give the store a prefix that nobody else uses (RedisStore::with_prefix)"
            }
            Self::Newer => "the record is of a newer version of this crate and was left alone",
            Self::Answer => "the server's answer to a script is none of the script's",
        })
    }
}

impl std::error::Error for Unreadable {}
