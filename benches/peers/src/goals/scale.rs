//! G9: the output of the binary `scale`. It is a separate process because of its counting allocator.

use std::collections::HashMap;

use peers::cpu::Cpu;

use super::row::Row;
use crate::beside;

/// The CPU ratio that counts as flat.
const FLAT: (&str, f64) = ("flat: ≤ 1.1 ×", 1.1);

struct Figure {
    cpu: Cpu,
    bytes: f64,
}

pub fn rows(_: usize) {
    let printed = beside::output(beside::binary("scale").arg("figures"));
    let printed = printed.unwrap_or_else(|why| panic!("{why}"));
    let figures: HashMap<_, _> = printed.lines().map(figure).collect();
    let cpu = |name: &str| figures[name].cpu;
    let grows = |what, more, less| {
        let (more, less) = (cpu(more), cpu(less));
        Row::ratio("G9", what, FLAT, |of| of(&more) / of(&less)).print();
    };
    grows("1,000,000 live records / 1,000: CPU", "1000000 live records", "1000 live records");
    grows(
        "50 webhooks in one process / 1: CPU",
        "50 webhooks in one process",
        "1 webhooks in one process",
    );
    let bytes = [100, 10_000].map(|at| figures[&*format!("{at} requests in flight")].bytes);
    Row {
        goal: "G9",
        what: "10,000 requests in flight: memory of each, headers included".into(),
        asked: "flat: ≤ 4 kB".into(),
        measured: format!("{:.0} B, of 100 {:.0} B", bytes[1], bytes[0]),
        met: Some(bytes[1] <= 4_096.),
    }
    .print();
    let [one, three, hmac, two_records, four_records] =
        ["1 secret", "3 secrets", "the HMAC alone", "two records", "four records"].map(cpu);
    // The cost of two additional secrets, relative to two HMACs and two records.
    Row::ratio("G9", "another secret: CPU", ("≤ 1 × an HMAC and a record", 1.), |of| {
        (of(&three) - of(&one)) / (2. * of(&hmac) + of(&four_records) - of(&two_records))
    })
    .with(&format!(
        ", {:.0} ns of {:.0} + {:.0}",
        (three.median - one.median) / 2.,
        hmac.median,
        (four_records.median - two_records.median) / 2.
    ))
    .print();
}

fn figure(line: &str) -> (&str, Figure) {
    let parts = Vec::from_iter(line.split('\t'));
    let [name, median, least, bytes] = *parts else { panic!("unknown line: {line}") };
    let [median, least, bytes] = [median, least, bytes].map(|number| number.parse().unwrap());
    (name, Figure { cpu: Cpu { median, least }, bytes })
}
