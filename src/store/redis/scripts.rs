//! One script a verb, each of them touching one key, and what a script answers.

use std::fmt;
use std::sync::LazyLock;

use ::redis::{Cmd, Value};

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
    pub(super) fn by_name(&self, key: &str, arguments: &[String]) -> Cmd {
        Self::command("EVALSHA", &self.sha, key, arguments)
    }

    /// Whole; the server then knows its name. One round trip where loading first would be two, and in a
    /// cluster it goes where the key is.
    pub(super) fn whole(&self, key: &str, arguments: &[String]) -> Cmd {
        Self::command("EVAL", self.source, key, arguments)
    }

    fn command(verb: &str, script: &str, key: &str, arguments: &[String]) -> Cmd {
        let mut command = ::redis::cmd(verb);
        command.arg(script).arg(1).arg(key).arg(arguments);
        command
    }
}

/// What a script returned: a word, and the numbers that belong to it.
#[derive(Debug)]
pub(super) enum Answer {
    Acquired { fence: u64, attempt: u32 },
    InProgress { millis: u64 },
    Completed,
    Done,
    Lost,
}

impl Answer {
    pub(super) fn read(value: &Value) -> Result<Self, Unreadable> {
        let Value::Array(fields) = value else {
            return Err(Unreadable::Answer);
        };
        let number = |place: usize| match fields.get(place) {
            Some(Value::Int(number)) => u64::try_from(*number).map_err(|_| Unreadable::Answer),
            _ => Err(Unreadable::Answer),
        };
        let Some(Value::BulkString(word)) = fields.first() else {
            return Err(Unreadable::Answer);
        };
        Ok(match &**word {
            b"acquired" => Self::Acquired {
                fence: number(1)?,
                attempt: u32::try_from(number(2)?).unwrap_or(u32::MAX),
            },
            b"in progress" => Self::InProgress { millis: number(1)? },
            b"completed" => Self::Completed,
            b"done" => Self::Done,
            b"lost" => Self::Lost,
            b"foreign" => return Err(Unreadable::Foreign),
            b"newer" => return Err(Unreadable::Newer),
            _ => return Err(Unreadable::Answer),
        })
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
