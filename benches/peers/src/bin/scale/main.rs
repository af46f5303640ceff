//! Measures how the time and the memory of a delivery grow with the number of records, of webhooks, of secrets,
//! of requests in flight and of connections. Writes Markdown tables and draws `scale.svg`.
//!
//! ```sh
//! cd benches/peers && cargo run --release --bin scale
//! ```
//!
//! With `figures` it writes the bare numbers that `peers goals` reads. Each time is the least of many rounds,
//! in which all points of an axis take turns. The counting allocator costs each delivery a little, equally
//! everywhere.

use std::alloc::System;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, post};
use peers::cpu::{self, Cpu};
use peers::{Contender, SECRET, SHORTEST, router};
use scrapest_webhook::ScrapeBadgerWebhookLayer;
use scrapest_webhook::store::MemoryStore;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

mod connections;
mod in_flight;
mod plot;
mod records;
mod secrets;
mod webhooks;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SIGNATURE: &str = "x-scrapebadger-signature";

/// A quantity that is increased from point to point.
struct Axis {
    name: &'static str,
    /// The name of one unit.
    each: &'static str,
    points: Vec<Point>,
}

struct Point {
    at: usize,
    /// CPU time per delivery to the same handler: bare, and behind the layer.
    cpu: [Option<Cpu>; 2],
    /// Bytes per unit.
    memory: [Option<f64>; 2],
}

fn main() {
    let arguments = Vec::from_iter(std::env::args().skip(1));
    match Vec::from_iter(arguments.iter().map(String::as_str)).as_slice() {
        ["serve", with] => connections::serve(with),
        ["figures"] => figures(),
        [] => tables(),
        other => panic!("unknown arguments: {other:?}"),
    }
}

fn tables() {
    let axes = [records::axis(), webhooks::axis(), in_flight::axis(), connections::axis()];
    for axis in &axes {
        write(axis);
    }
    println!("\n| | CPU a delivery, ns |\n|---|---|");
    for (name, cpu) in secrets::measure() {
        println!("| {name} | {:.0} |", cpu.least);
    }
    plot::draw(&axes, concat!(env!("CARGO_MANIFEST_DIR"), "/scale.svg")).unwrap();
}

fn ours() -> ScrapeBadgerWebhookLayer {
    ScrapeBadgerWebhookLayer::new(SECRET)
}

/// A store for `records` records. Each delivery has two.
fn store(records: usize) -> MemoryStore {
    MemoryStore::with_capacity((records / 2).try_into().unwrap())
}

async fn handler(body: Bytes) -> StatusCode {
    if body.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::OK }
}

/// The handler, behind the layer if there is one.
fn route(layer: Option<ScrapeBadgerWebhookLayer>) -> MethodRouter {
    match layer {
        Some(layer) => post(handler).route_layer(layer),
        None => post(handler),
    }
}

fn contender(routes: Router) -> Contender {
    router("scale", routes, SIGNATURE)
}

/// CPU time per delivery of each contender.
fn measure(contenders: &[Contender]) -> Vec<Cpu> {
    cpu::measure(contenders, 60, 300, SHORTEST)
}

/// Bytes allocated since then and not yet freed.
fn held(region: &Region<'_, System>) -> f64 {
    let change = region.change();
    change.bytes_allocated as f64 - change.bytes_deallocated as f64
}

fn write(axis: &Axis) {
    let Axis { name, each, points } = axis;
    println!("\n| {name} | CPU a delivery, ns: bare | ours | bytes a {each}: bare | ours |");
    println!("|---|---|---|---|---|");
    let number = |number: Option<f64>| number.map_or("–".into(), |number| format!("{number:.0}"));
    for Point { at, cpu, memory } in points {
        let cpu = cpu.map(|cpu| cpu.map(|cpu| cpu.least));
        let numbers = Vec::from_iter(cpu.iter().chain(memory).copied().map(number));
        println!("| {at} | {} |", numbers.join(" | "));
    }
}

/// Writes one line per point, separated by tabs: the axis and the number, median and least nanoseconds, and
/// bytes.
fn figures() {
    for Axis { name, points, .. } in [records::axis(), webhooks::axis(), in_flight::axis()] {
        for Point { at, cpu: [_, cpu], memory: [_, memory] } in points {
            let (Some(cpu), Some(memory)) = (cpu, memory) else { continue };
            println!("{at} {name}\t{}\t{}\t{memory}", cpu.median, cpu.least);
        }
    }
    for (name, cpu) in secrets::measure() {
        println!("{name}\t{}\t{}\t0", cpu.median, cpu.least);
    }
}
