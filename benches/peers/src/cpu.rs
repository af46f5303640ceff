//! The CPU time of this thread.

use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use crate::{Contender, measured};

/// Nanoseconds per delivery.
#[derive(Clone, Copy)]
pub struct Cpu {
    pub median: f64,
    pub least: f64,
}

/// Measures the contenders in turns, so that a disturbance affects all of them.
pub fn measure(
    contenders: &[Contender],
    rounds: usize,
    deliveries: usize,
    bytes: usize,
) -> Vec<Cpu> {
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for (contender, times) in contenders.iter().zip(&mut times) {
            let batch = contender.prepare(deliveries, bytes);
            let began = thread_time();
            measured(batch);
            times.push((thread_time() - began).as_nanos() as f64 / deliveries as f64);
        }
    }
    times.into_iter().map(summary).collect()
}

pub fn summary(mut nanos: Vec<f64>) -> Cpu {
    nanos.sort_by(f64::total_cmp);
    Cpu { median: nanos[nanos.len() / 2], least: nanos[0] }
}

/// The CPU time of the current thread.
pub fn thread_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// Runs `work` on one core, including the processes that it starts. Otherwise a server would be woken on
/// another core for each delivery, which costs more than the delivery.
pub fn on_one_core<T>(work: impl FnOnce() -> T) -> T {
    let anywhere = sched_getaffinity(None).expect("the cores of this process");
    let first = (0..CpuSet::MAX_CPU).find(|core| anywhere.is_set(*core)).expect("a core");
    let mut one = CpuSet::new();
    one.set(first);
    sched_setaffinity(None, &one).expect("one core of those");
    let _guard = Cores(anywhere);
    work()
}

/// Restores the cores of this thread when it is dropped, also after a panic.
struct Cores(CpuSet);

impl Drop for Cores {
    fn drop(&mut self) {
        sched_setaffinity(None, &self.0).expect("the cores of before");
    }
}
