//! The five promises of the README, each in its words and in a file of its own.

mod captured;
mod crash;
mod events;
mod one_run;
mod success;

use std::time::Duration;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
