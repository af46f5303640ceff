//! Servers of the stores. A test starts its own; without the program it is skipped, which one line says.

pub mod pgbouncer;
pub mod postgres;
pub mod redis;

use std::time::Duration;

/// How much of a processor these processes have used. What has ended meanwhile does not count.
fn cpu_time(processes: &[String]) -> Duration {
    let nanos = processes.iter().filter_map(|process| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
