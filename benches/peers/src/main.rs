//! Measures everybody in the same run and writes what came out as tables of Markdown.
//!
//! ```sh
//! cd benches/peers && cargo run --release
//! cd benches/peers && cargo run --release -- goals
//! ```
//!
//! The second writes the goals, each beside its figure.
//!
//! CPU time is this thread's own, of many short rounds in which all take their turns. Instructions are
//! counted by callgrind, which has no instruction for SHA-256: what its compression takes there is left out.
//! Allocations are counted by the binary `allocations`.

mod callgrind;
mod goals;
mod store;
mod table;

use peers::{all, measured};

/// In one turn of a contender; and before anything is counted.
const DELIVERIES: usize = 500;
const ROUNDS: usize = 120;

fn main() {
    let arguments = Vec::from_iter(std::env::args().skip(1));
    match Vec::from_iter(arguments.iter().map(String::as_str)).as_slice() {
        [] => table::write(ROUNDS),
        ["--rounds", rounds] => table::write(rounds.parse().expect("a number of rounds")),
        ["goals"] => goals::write(ROUNDS),
        ["goals", "--rounds", rounds] => goals::write(rounds.parse().expect("a number of rounds")),
        // What callgrind is asked to watch.
        ["--one", name, deliveries, bytes] => {
            one(name, deliveries.parse().unwrap(), bytes.parse().unwrap());
        }
        other => panic!("unknown arguments: {other:?}"),
    }
}

fn one(name: &str, deliveries: usize, bytes: usize) {
    let contender = all().into_iter().find(|contender| contender.name == name).expect(name);
    contender.prepare(deliveries, bytes)();
    measured(contender.prepare(deliveries, bytes));
}
