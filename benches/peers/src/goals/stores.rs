//! G6: the output of `cargo bench --bench stores -- ratios`. That bench is in the workspace because this
//! package links another sqlite3.

use std::collections::HashMap;

use super::row::Row;
use crate::beside;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

struct Figure {
    /// The name that the bench prints.
    name: &'static str,
    asked: &'static str,
    unit: &'static str,
    is_met: fn(f64) -> bool,
}

const FIGURES: [Figure; 9] = [
    figure("Redis: added p50 / bare SET NX PX", "≤ 2.5 ×", "×", |ratio| ratio <= 2.5),
    figure("Redis: µs of server CPU", "≤ 15 µs", "µs", |micros| micros <= 15.),
    figure("Redis: bytes", "≤ 650 B", "B", |bytes| bytes <= 650.),
    figure("PostgreSQL: deliveries per second, 64 in flight", "≥ 35,000", "/s", |rate| {
        rate >= 35_000.
    }),
    figure("PostgreSQL: µs of server CPU", "≤ 20 µs", "µs", |micros| micros <= 20.),
    figure("PostgreSQL: p50 alone, µs", "", "µs", |_| true),
    figure("SQLite: p50 of four bare commits / p50 alone", "≥ 1.8 ×", "×", |ratio| {
        ratio >= 1.8
    }),
    figure("SQLite: p50 alone, µs", "", "µs", |_| true),
    figure("SQLite: deliveries per second, 64 in flight", "", "/s", |_| true),
];

const fn figure(
    name: &'static str,
    asked: &'static str,
    unit: &'static str,
    is_met: fn(f64) -> bool,
) -> Figure {
    Figure { name, asked, unit, is_met }
}

pub fn rows(_: usize) {
    let mut bench = beside::cargo();
    bench.args(["bench", "--quiet", "--bench", "stores", "--", "ratios"]).current_dir(ROOT);
    let printed = beside::output(&mut bench);
    let figures = printed.as_deref().map(figures).unwrap_or_default();
    for Figure { name, asked, unit, is_met } in FIGURES {
        match figures.get(name) {
            Some([median, least]) => Row {
                goal: "G6",
                what: name.into(),
                asked: asked.into(),
                measured: format!("{} {unit}, least {}", short(*median), short(*least)),
                met: (!asked.is_empty()).then(|| is_met(*median)),
            },
            None => {
                let why =
                    printed.as_ref().err().map_or("the server is not installed", String::as_str);
                Row::not_measured("G6", name, asked, why)
            }
        }
        .print();
    }
}

/// Parses one line per figure, separated by tabs: a name, the median of the rounds, and the least.
fn figures(printed: &str) -> HashMap<&str, [f64; 2]> {
    let figure = |line| {
        let mut parts = str::split(line, '\t');
        let (name, median, least) = (parts.next()?, parts.next()?, parts.next()?);
        Some((name, [median.parse().ok()?, least.parse().ok()?]))
    };
    printed.lines().filter_map(figure).collect()
}

fn short(number: f64) -> String {
    let digits = if number < 100. { 2 } else { 0 };
    format!("{number:.digits$}")
}
