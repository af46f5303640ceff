//! Measures all contenders in the same run and writes the results as Markdown tables.
//!
//! ```sh
//! cd benches/peers && cargo run --release
//! cd benches/peers && cargo run --release -- goals
//! cd benches/peers && cargo run --release -- goals G5 G6 --rounds 20
//! ```
//!
//! The second command writes each goal beside its measurement; the third only the named goals.
//!
//! CPU time is that of the current thread, over many short rounds in which all contenders take turns.
//! Instructions are counted by callgrind, which does not know the CPU's SHA-256 instructions, so the
//! compression function is excluded. Allocations are counted by the binary `allocations`.

mod beside;
mod callgrind;
mod goals;
mod table;

use peers::{all, measured};

/// Deliveries per turn of a contender, and before counting starts.
const DELIVERIES: usize = 500;
const ROUNDS: usize = 120;

fn main() {
    let arguments = Vec::from_iter(std::env::args().skip(1));
    let mut arguments = Vec::from_iter(arguments.iter().map(String::as_str));
    match arguments.as_slice() {
        // These modes run in a separate process: under callgrind, to measure memory, and as a server.
        ["--one", name, deliveries, bytes] => {
            return one(name, deliveries.parse().unwrap(), bytes.parse().unwrap());
        }
        ["--record-bytes"] => return println!("{}", goals::record_bytes()),
        ["serve", server] => return goals::serve(server),
        _ => {}
    }
    let rounds = match arguments.iter().position(|argument| *argument == "--rounds") {
        Some(at) => {
            let number = arguments.get(at + 1).expect("a number of rounds");
            let rounds = number.parse().expect("a number of rounds");
            arguments.drain(at..at + 2);
            rounds
        }
        None => ROUNDS,
    };
    match arguments.as_slice() {
        [] => table::write(rounds),
        ["goals", goals @ ..] => goals::write(goals, rounds),
        other => panic!("unknown arguments: {other:?}"),
    }
}

fn one(name: &str, deliveries: usize, bytes: usize) {
    let contender = all().into_iter().find(|contender| contender.name == name).expect(name);
    contender.prepare(deliveries, bytes)();
    measured(contender.prepare(deliveries, bytes));
}
