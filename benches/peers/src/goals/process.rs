//! The measurements in this process: G1, G1w, G2, G8, and the parts of G3 and G4 that need no sockets.

use std::collections::HashMap;

use peers::cpu::{self, Cpu};
use peers::{Contender, all, refused as refused_by_headers};

use super::row::Row;
use crate::table::allocations;
use crate::{DELIVERIES, callgrind};

const SAMPLE: usize = 476;
const LARGE: usize = 65_536;
const LARGEST: usize = 1_048_576;

const OVER_THE_FLOOR: (&str, f64) = ("≤ 1.35 × the floor", 1.35);

/// The subject, its name in the table, the bare handler, ours, the floor.
type Compared = (&'static str, &'static str, &'static str, &'static str);

pub fn ready(rounds: usize) {
    const COMPARED: [Compared; 3] = [
        ("axum, ready", "axum: `Bytes`", "ours", "the floor"),
        (
            "a store of 400, full",
            "axum: `Bytes`",
            "ours, store of 400, full",
            "the floor, store of 400, full",
        ),
        (
            "a store of 250,000, full",
            "axum: `Bytes`",
            "ours, store of 250,000, full",
            "the floor, store of 250,000, full",
        ),
    ];
    let cpu = compared(&COMPARED, rounds);
    let allocations = allocations(SAMPLE);
    for one @ (what, bare, ours, floor) in COMPARED {
        over_the_floor("G1", &cpu, one);
        // Filling a large store takes minutes in callgrind, and its instructions are those of a small store.
        if !what.contains("250,000") {
            instructions(one);
        }
        let added = allocations[ours] - allocations[bare];
        Row {
            goal: "G1",
            what: format!("{what}: added allocations"),
            asked: "≤ 9".into(),
            measured: format!(
                "{added:.1}, the floor {:.1}",
                allocations[floor] - allocations[bare]
            ),
            met: Some(added < 9.5),
        }
        .print();
    }
}

pub fn waiting(rounds: usize) {
    const COMPARED: [Compared; 1] = [(
        "axum, waits once",
        "axum: `Bytes`, waits once",
        "ours, waits once",
        "the floor, waits once",
    )];
    let cpu = compared(&COMPARED, rounds);
    COMPARED.into_iter().for_each(|one| over_the_floor("G1w", &cpu, one));
}

pub fn actix(rounds: usize) {
    const COMPARED: [Compared; 2] = [
        ("actix, ready", "actix: `Bytes`", "actix: ours", "actix: the floor"),
        (
            "actix, waits once",
            "actix: `Bytes`, waits once",
            "actix: ours, waits once",
            "actix: the floor, waits once",
        ),
    ];
    let cpu = compared(&COMPARED, rounds);
    COMPARED.into_iter().for_each(|one| over_the_floor("G8", &cpu, one));
}

pub fn typed(rounds: usize) {
    const JSON: &str = "axum: `Json<T>`, nothing verified";
    const OURS: &str = "ours, `Event`";
    let what = |part| format!("`Event`, beside `Json<T>` with nothing verified: {part}");
    let cpu = measure(&[JSON, OURS], rounds, DELIVERIES, SAMPLE);
    Row::ratio("G2", what("CPU"), ("≤ 1.05 ×", 1.05), |of| of(&cpu[OURS]) / of(&cpu[JSON])).print();
    let row = |part, asked: &str, ratio: f64, limit: f64| Row {
        goal: "G2",
        what: what(part),
        asked: asked.into(),
        measured: format!("{ratio:.2} ×"),
        met: Some(ratio <= limit),
    };
    let counted = |name| callgrind::count(name, DELIVERIES, SAMPLE);
    match counted(OURS).zip(counted(JSON)) {
        Some((ours, json)) => row("instructions", "≤ 0.85 ×", ours / json, 0.85),
        None => Row::not_measured("G2", &what("instructions"), "≤ 0.85 ×", callgrind::MISSING),
    }
    .print();
    let allocations = allocations(SAMPLE);
    row("allocations", "≤ 0.45 ×", allocations[OURS] / allocations[JSON], 0.45).print();
}

/// The part of G3 without sockets.
pub fn large(rounds: usize) {
    const NAMES: [&str; 3] = ["the HMAC alone", "axum: `Bytes`", "ours"];
    let cpu = measure(&NAMES, rounds, DELIVERIES / 20, LARGE);
    let [hmac, bare, ours] = NAMES.map(|name| cpu[name]);
    Row::ratio("G3", "64 kB: added CPU", ("≤ 1.05 × the HMAC", 1.05), |of| {
        (of(&ours) - of(&bare)) / of(&hmac)
    })
    .print();
}

/// The part of G4 without sockets.
pub fn refused(rounds: usize) {
    let mut contenders = named(&["ours"]);
    contenders.push(refused_by_headers());
    let cpu = cpu::measure(&contenders, rounds, DELIVERIES / 50, LARGEST);
    let what = "1 MB, refused by its headers";
    Row::share("G4", what, "one verified", 20., [cpu[1], cpu[0]]).print();
}

fn named(names: &[&str]) -> Vec<Contender> {
    let contenders = Vec::from_iter(all().into_iter().filter(|one| names.contains(&one.name)));
    assert_eq!(contenders.len(), names.len(), "{names:?}");
    contenders
}

/// Measures the contenders in turns. The results are keyed by name.
fn measure(
    names: &[&str],
    rounds: usize,
    deliveries: usize,
    bytes: usize,
) -> HashMap<&'static str, Cpu> {
    let contenders = named(names);
    let cpu = cpu::measure(&contenders, rounds, deliveries, bytes);
    contenders.into_iter().map(|contender| contender.name).zip(cpu).collect()
}

fn compared(compared: &[Compared], rounds: usize) -> HashMap<&'static str, Cpu> {
    let names = compared.iter().flat_map(|(_, bare, ours, floor)| [*bare, *ours, *floor]);
    let mut names = Vec::from_iter(names);
    names.sort_unstable();
    names.dedup();
    measure(&names, rounds, DELIVERIES, SAMPLE)
}

fn over_the_floor(
    goal: &'static str,
    cpu: &HashMap<&str, Cpu>,
    (what, bare, ours, floor): Compared,
) {
    Row::ratio(goal, format!("{what}: added CPU"), OVER_THE_FLOOR, |of| {
        let added = |name| of(&cpu[name]) - of(&cpu[bare]);
        added(ours) / added(floor)
    })
    .print();
}

fn instructions((what, bare, ours, floor): Compared) {
    let what = format!("{what}: added instructions outside SHA-256");
    let asked = "≤ 1.5 × the floor";
    let counted = |name| callgrind::count(name, DELIVERIES, SAMPLE);
    let (Some(bare), Some(ours), Some(floor)) = (counted(bare), counted(ours), counted(floor))
    else {
        return Row::not_measured("G1", &what, asked, callgrind::MISSING).print();
    };
    let (ours, floor) = (ours - bare, floor - bare);
    Row {
        goal: "G1",
        what,
        asked: asked.into(),
        measured: format!("{ours:.0}, {:.2} × {floor:.0}", ours / floor),
        met: Some(ours <= 1.5 * floor),
    }
    .print();
}
