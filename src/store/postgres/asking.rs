//! Renders questions as SQL.

use std::fmt::{Display, Write};
use std::time::Duration;

use crate::store::sql::{Hex, Verb, fence_to_sql};
use crate::store::{Fence, Key, Owner};

/// Questions about keys, grouped by verb. Each verb gets one statement.
#[derive(Debug, Default)]
pub(super) struct Asking(Vec<Rows>);

impl Asking {
    /// Adds a question. Without keys it still gets a statement, which tests whether the verb would succeed.
    pub(super) fn add(&mut self, keys: &[(Key, Fence)], owner: Owner, verb: Verb) {
        let place = self.0.iter().position(|rows| rows.verb == verb).unwrap_or_else(|| {
            self.0.push(Rows::new(verb));
            self.0.len() - 1
        });
        self.0[place].add(keys, owner);
    }

    /// Returns whether no question has a key.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|rows| rows.keys.is_empty())
    }

    /// Returns one statement per verb.
    pub(super) fn each(&self, statement: impl Fn(&Rows) -> String) -> String {
        self.0.iter().map(statement).collect::<Vec<_>>().join(";")
    }
}

/// The keys of one verb, one row per key.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) verb: Verb,
    /// An SQL interval, like `keep`.
    pub(super) lease: String,
    pub(super) keep: String,
    keys: String,
    owners: String,
    fences: String,
}

impl Rows {
    fn new(verb: Verb) -> Self {
        let (lease, keep) = match verb {
            Verb::Claim { lease, keep } => (lease, keep),
            Verb::Renew { lease } => (lease, Duration::ZERO),
            Verb::Complete { keep } => (Duration::ZERO, keep),
            Verb::Release | Verb::Forget { .. } => (Duration::ZERO, Duration::ZERO),
        };
        let (keys, owners, fences) = Default::default();
        Self { verb, lease: interval(lease), keep: interval(keep), keys, owners, fences }
    }

    fn add(&mut self, keys: &[(Key, Fence)], owner: Owner) {
        for (key, fence) in keys {
            // The `E` string and the array each halve the backslashes.
            push(&mut self.keys, format_args!(r"\\\\x{key}"));
            push(&mut self.owners, format_args!(r"\\\\x{}", Hex(&owner.to_bytes())));
            push(&mut self.fences, fence_to_sql(*fence));
        }
    }

    pub(super) fn keys(&self) -> String {
        array(&self.keys, "bytea")
    }

    /// Returns the rows as a relation `asked (key, owner, fence)`.
    pub(super) fn asked(&self) -> String {
        let (keys, owners) = (self.keys(), array(&self.owners, "bytea"));
        let fences = array(&self.fences, "bigint");
        format!("unnest({keys}, {owners}, {fences}) AS asked (key, owner, fence)")
    }
}

fn push(list: &mut String, value: impl Display) {
    let comma = if list.is_empty() { "" } else { "," };
    // Writing to a string cannot fail.
    _ = write!(list, "{comma}{value}");
}

/// Returns an array as an `E` string, whose backslashes do not depend on `standard_conforming_strings`.
fn array(list: &str, of: &str) -> String {
    format!("E'{{{list}}}'::{of}[]")
}

/// Returns an interval of at most a thousand years: PostgreSQL has no dates after the year 294276.
fn interval(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().min(1_000.0 * 365.0 * 86_400.0);
    format!("make_interval(secs => {seconds})")
}
