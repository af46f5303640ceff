//! Counts how many allocations each contender makes per delivery. This is a separate binary because counting
//! costs time.

use std::alloc::System;

use peers::{all, measured};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const DELIVERIES: usize = 1_000;

/// Writes one line per contender: its name, a tab, the number.
fn main() {
    let bytes = std::env::args().nth(1).map_or(476, |bytes| bytes.parse().unwrap());
    for contender in all() {
        measured(contender.prepare(DELIVERIES, bytes));
        let batch = contender.prepare(DELIVERIES, bytes);
        let region = Region::new(ALLOCATOR);
        measured(batch);
        let change = region.change();
        let each = (change.allocations + change.reallocations) as f64 / DELIVERIES as f64;
        println!("{}\t{each}", contender.name);
    }
}
