//! JSON as the senders write it: reads a few fields of a body, and parses ids, numbers, times and objects.

mod fields;
mod members;
pub(crate) mod object;
mod raw;
mod surrogates;
mod times;
mod values;

#[cfg(feature = "testing")]
pub(crate) use self::fields::Fields;
pub(crate) use self::fields::{Field, fields, raw_field};
pub(crate) use self::members::Members;
pub use self::raw::RawJson;
pub(crate) use self::surrogates::replaced as without_lone_surrogates;
pub(crate) use self::times::{EXPECTED_TIME, parse_time_header};
pub(crate) use self::values::{Compared, Count, Flag, Id, Number, Time};
