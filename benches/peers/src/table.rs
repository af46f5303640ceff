//! The tables, in which each contender is compared with the others.

use std::collections::HashMap;

use peers::cpu::{self, Cpu};
use peers::{Contender, all};

use crate::{beside, callgrind};

/// The sender's sample, 64 kB, and the body limit.
const SIZES: [usize; 3] = [476, 65_536, 1_048_576];

struct Row {
    contender: Contender,
    cpu: Cpu,
    instructions: Option<f64>,
    allocations: f64,
}

pub fn write(rounds: usize) {
    // Keeps the time of a turn about the same for each size.
    for (bytes, share) in SIZES.into_iter().zip([1, 20, 100]) {
        let contenders = all();
        let deliveries = (crate::DELIVERIES / share).max(8);
        let cpu = cpu::measure(&contenders, rounds, deliveries, bytes);
        let allocations = allocations(bytes);
        let rows = contenders.into_iter().zip(cpu).map(|(contender, cpu)| Row {
            cpu,
            // Filling a large store takes minutes in callgrind, and its instructions are those of a small
            // store.
            instructions: (!contender.name.contains("250,000"))
                .then(|| callgrind::count(contender.name, deliveries, bytes))
                .flatten(),
            allocations: allocations[contender.name],
            contender,
        });
        table(bytes, &Vec::from_iter(rows));
    }
}

/// Runs the binary `allocations`.
pub fn allocations(bytes: usize) -> HashMap<String, f64> {
    let lines = beside::output(beside::binary("allocations").arg(bytes.to_string())).unwrap();
    let line = |line: &str| {
        let (name, number) = line.split_once('\t').unwrap();
        (name.to_owned(), number.parse().unwrap())
    };
    lines.lines().map(line).collect()
}

fn table(bytes: usize, rows: &[Row]) {
    println!("\n### A body of {bytes} bytes\n");
    println!(
        "| | CPU ns, median / least | instructions outside SHA-256 | allocations | added CPU | added instructions | added allocations |"
    );
    println!("|---|---|---|---|---|---|---|");
    for row in rows {
        let Row { contender, cpu, instructions, allocations } = row;
        let mut line = format!(
            "| {} | {:.0} / {:.0} | {} | {allocations:.1} |",
            contender.name,
            cpu.median,
            cpu.least,
            number(*instructions)
        );
        let floor =
            contender.floor.and_then(|floor| rows.iter().find(|row| row.contender.name == floor));
        line += &match floor {
            None => " | | |".to_owned(),
            Some(floor) => format!(
                " {:+.0} / {:+.0} | {} | {:+.1} |",
                cpu.median - floor.cpu.median,
                cpu.least - floor.cpu.least,
                number(instructions.zip(floor.instructions).map(|(row, floor)| row - floor)),
                allocations - floor.allocations
            ),
        };
        println!("{line}");
    }
}

fn number(number: Option<f64>) -> String {
    number.map_or("–".into(), |number| format!("{number:.0}"))
}
