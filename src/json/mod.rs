//! JSON as the senders write it: a look at a few fields of a body, and the forms of ids, times and objects.

mod fields;
pub(crate) mod object;
mod times;
mod values;

pub(crate) use self::fields::{Field, Legible, fields};
pub(crate) use self::times::parse_unix_header;
pub(crate) use self::values::{Id, Time};
