//! The five promises of the README, each in the README's words and in its own file.

mod captured;
mod crash;
mod events;
mod one_run;
mod success;

use std::time::Duration;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
