//! The goals, and beside each what was measured in this run, or the command that measures it.
//!
//! A figure of CPU is the median of the rounds and the least of them. Goals are for the medians.

use std::collections::HashMap;
use std::process::Command;

use peers::cpu::{self, Cpu};
use peers::{Contender, all};

use crate::table::allocations;
use crate::{DELIVERIES, callgrind, store};

const SAMPLE: usize = 476;
const LARGE: usize = 65_536;

struct Measured {
    cpu: Cpu,
    instructions: Option<f64>,
    allocations: f64,
}

/// What is measured, its goal, and how far it is met.
pub struct Row {
    pub goal: &'static str,
    pub what: String,
    pub asked: &'static str,
    pub measured: String,
    pub met: Option<bool>,
}

pub fn write(rounds: usize) {
    assert!(rounds >= 20, "{rounds} rounds are too few, expected at least 20");
    println!("| | what | goal | measured | |");
    println!("|---|---|---|---|---|");
    let sample = measure(rounds, DELIVERIES, SAMPLE, |_| true);
    for (goal, what, bare, ours, floor) in [
        ("G1", "axum, ready", "axum: `Bytes`", "ours", "the floor"),
        (
            "G1",
            "a store of 400, full",
            "axum: `Bytes`",
            "ours, store of 400, full",
            "the floor, store of 400, full",
        ),
        (
            "G1",
            "a store of 250,000, full",
            "axum: `Bytes`",
            "ours, store of 250,000, full",
            "the floor, store of 250,000, full",
        ),
        (
            "G1w",
            "axum, waits once",
            "axum: `Bytes`, waits once",
            "ours, waits once",
            "the floor, waits once",
        ),
        ("G8", "actix, ready", "actix: `Bytes`", "actix: ours", "actix: the floor"),
        (
            "G8",
            "actix, waits once",
            "actix: `Bytes`, waits once",
            "actix: ours, waits once",
            "actix: the floor, waits once",
        ),
    ] {
        over_the_floor(goal, what, &sample[bare], &sample[ours], &sample[floor]);
    }
    typed(&sample["axum: `Json<T>`, nothing verified"], &sample["ours, `Event`"]);
    large(rounds);
    store::rows(rounds).into_iter().for_each(print);
    crates();
    elsewhere();
}

/// All whose name is wanted, by their names.
fn measure(
    rounds: usize,
    deliveries: usize,
    bytes: usize,
    is_wanted: impl Fn(&Contender) -> bool,
) -> HashMap<&'static str, Measured> {
    let contenders: Vec<_> = all().into_iter().filter(is_wanted).collect();
    let cpu = cpu::measure(&contenders, rounds, deliveries, bytes);
    let allocations = allocations(bytes);
    let measured = contenders.into_iter().zip(cpu).map(|(contender, cpu)| {
        let name = contender.name;
        // To fill a large store takes callgrind minutes, and the instructions are those of a small one.
        let counted = !name.contains("250,000");
        let instructions = counted.then(|| callgrind::count(name, deliveries, bytes)).flatten();
        (name, Measured { cpu, instructions, allocations: allocations[name] })
    });
    measured.collect()
}

fn over_the_floor(
    goal: &'static str,
    what: &str,
    bare: &Measured,
    ours: &Measured,
    floor: &Measured,
) {
    let cpu = |of: fn(&Cpu) -> f64| {
        let added = |measured: &Measured| of(&measured.cpu) - of(&bare.cpu);
        added(ours) / added(floor)
    };
    let (median, least) = (cpu(|cpu| cpu.median), cpu(|cpu| cpu.least));
    print(Row {
        goal,
        what: format!("{what}: added CPU"),
        asked: "≤ 1.35 × the floor",
        measured: format!("{median:.2} ×, least {least:.2} ×"),
        met: Some(median <= 1.35),
    });
    if goal != "G1" {
        return;
    }
    if let (Some(bare), Some(ours), Some(floor)) =
        (bare.instructions, ours.instructions, floor.instructions)
    {
        let (ours, floor) = (ours - bare, floor - bare);
        print(Row {
            goal,
            what: format!("{what}: added instructions outside SHA-256"),
            asked: "≤ 1.5 × the floor",
            measured: format!("{ours:.0}, {:.2} × {floor:.0}", ours / floor),
            met: Some(ours <= 1.5 * floor),
        });
    }
    let added = ours.allocations - bare.allocations;
    print(Row {
        goal,
        what: format!("{what}: added allocations"),
        asked: "≤ 9",
        measured: format!("{added:.1}"),
        met: Some(added < 9.5),
    });
}

fn typed(json: &Measured, ours: &Measured) {
    let (median, least) = (ours.cpu.median / json.cpu.median, ours.cpu.least / json.cpu.least);
    let what = "`Event`, beside `Json<T>` with nothing verified: ";
    let row = |part, asked, measured, met| Row {
        goal: "G2",
        what: format!("{what}{part}"),
        asked,
        measured,
        met: Some(met),
    };
    let measured = format!("{median:.2} ×, least {least:.2} ×");
    print(row("CPU", "≤ 1.05 ×", measured, median <= 1.05));
    if let (Some(ours), Some(json)) = (ours.instructions, json.instructions) {
        let ratio = ours / json;
        print(row("instructions", "≤ 0.85 ×", format!("{ratio:.2} ×"), ratio <= 0.85));
    }
    let ratio = ours.allocations / json.allocations;
    print(row("allocations", "≤ 0.45 ×", format!("{ratio:.2} ×"), ratio <= 0.45));
}

fn large(rounds: usize) {
    const NAMES: [&str; 3] = ["the HMAC alone", "axum: `Bytes`", "ours"];
    let contenders = Vec::from_iter(all().into_iter().filter(|one| NAMES.contains(&one.name)));
    let cpu = cpu::measure(&contenders, rounds, DELIVERIES / 20, LARGE);
    let of = |name| cpu[contenders.iter().position(|one| one.name == name).unwrap()];
    let [hmac, bare, ours] = NAMES.map(of);
    let (median, least) =
        ((ours.median - bare.median) / hmac.median, (ours.least - bare.least) / hmac.least);
    print(Row {
        goal: "G3",
        what: "64 kB: added CPU".into(),
        asked: "≤ 1.05 × the HMAC",
        measured: format!("{median:.2} ×, least {least:.2} ×"),
        met: Some(median <= 1.05),
    });
}

fn crates() {
    let mut tree = Command::new("cargo");
    tree.args(["tree", "--quiet", "--edges", "normal,build", "--prefix", "none"]);
    tree.args(["--package", "scrapest-webhook", "--format", "{p}", "--manifest-path"]);
    tree.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"));
    let output = tree.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let mut crates = Vec::from_iter(lines.lines().map(|line| line.trim_end_matches(" (*)")));
    crates.sort_unstable();
    crates.dedup();
    // But for the crate itself.
    let crates = crates.len() - 1;
    print(Row {
        goal: "G10",
        what: "crates of the default features".into(),
        asked: "≤ 70",
        measured: crates.to_string(),
        met: Some(crates <= 70),
    });
}

/// What needs servers, sockets, another process, or a build from nothing.
fn elsewhere() {
    let sockets = "cargo run --release --bin sockets";
    for (goal, what, asked, command) in [
        (
            "G3",
            "1 MB over sockets",
            "≤ 1.12 × the HMAC",
            "cargo run --release --bin sockets -- large",
        ),
        (
            "G4",
            "a 1 MB request refused by its headers",
            "≤ 1/20 of one verified",
            "cargo bench --bench layer",
        ),
        ("G5", "bytes a record", "≤ 48", "cargo test --test memory_store_size -- --nocapture"),
        (
            "G5",
            "two threads on one store",
            "≤ 1.1 × a store each",
            "cargo bench --bench memory_store",
        ),
        (
            "G6",
            "Redis",
            "≤ 2.5 × `SET NX PX`, ≤ 15 µs, ≤ 650 B",
            "cargo bench --bench stores -- ratios",
        ),
        (
            "G6",
            "PostgreSQL and SQLite",
            "≥ 35,000/s, ≤ 20 µs; ≥ 1.8 × before",
            "cargo bench --bench sql_stores",
        ),
        ("G7", "`Event` over sockets", "≤ bare axum + 3.0 µs, ≤ 1/9 of Express", sockets),
        (
            "G9",
            "live records, webhooks, in flight",
            "flat, ≤ 4 kB each",
            "cargo run --release --bin scale",
        ),
        (
            "G10",
            "first build, beside axum alone",
            "≤ 20 s of CPU",
            "cargo build, into a new target folder",
        ),
    ] {
        print(Row { goal, what: what.into(), asked, measured: format!("`{command}`"), met: None });
    }
}

fn print(Row { goal, what, asked, measured, met }: Row) {
    let verdict = match met {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "not here",
    };
    println!("| {goal} | {what} | {asked} | {measured} | {verdict} |");
}
