//! The goals, each beside its measurement from this run.
//!
//! CPU figures are the median and the least of the rounds. The goals apply to the medians.

mod build;
mod large;
mod memory;
mod process;
mod row;
mod scale;
mod servers;
mod sockets;
mod stores;
mod threads;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::thread::available_parallelism;

pub use self::memory::record_bytes;
pub use self::servers::serve;

use self::row::Row;

type Measure = fn(usize);

const GOALS: [(&str, &[Measure]); 11] = [
    ("G1", &[process::ready]),
    ("G1w", &[process::waiting]),
    ("G2", &[process::typed]),
    ("G3", &[process::large, large::verified]),
    ("G4", &[process::refused, large::refused]),
    ("G5", &[memory::bytes, memory::deliveries, threads::on_one_layer]),
    ("G6", &[stores::rows]),
    ("G7", &[servers::rows]),
    ("G8", &[process::actix]),
    ("G9", &[scale::rows]),
    ("G10", &[build::crates, build::first]),
];

/// Writes the named goals, or all.
pub fn write(wanted: &[&str], rounds: usize) {
    assert!(rounds >= 20, "{rounds} rounds are too few, expected at least 20");
    let all = GOALS.map(|(goal, _)| goal);
    for name in wanted {
        assert!(all.contains(name), "{name} is not a goal, expected one of {all:?}");
    }
    println!("{}\n", machine());
    println!("| | what | goal | measured | |");
    println!("|---|---|---|---|---|");
    for (goal, parts) in GOALS {
        if wanted.is_empty() || wanted.contains(&goal) {
            parts.iter().for_each(|part| guarded(goal, || part(rounds)));
        }
    }
}

/// Keeps a failure in one part from ending the whole table.
fn guarded(goal: &'static str, part: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(part)) {
        Row::not_measured(goal, "a part of it", "", &message(&*panic)).print();
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "it panicked".to_owned())
}

fn machine() -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, model)| model);
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map_or("rustc unknown".into(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    });
    let cores = available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {model}, {rustc}")
}
