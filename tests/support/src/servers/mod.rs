//! Servers of the stores. A test starts its own; where the program is missing, the test is skipped and one line
//! says so.

pub mod pgbouncer;
pub mod postgres;
pub mod redis;

use std::time::Duration;

/// The CPU time of these processes. Processes that have ended do not count.
fn cpu_time(processes: &[String]) -> Duration {
    let nanos = processes.iter().filter_map(|process| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
