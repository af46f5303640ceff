//! How the time and the memory of a delivery grow with what is remembered, configured, in flight and connected.
//! Writes tables of Markdown, and draws `scale.svg`.
//!
//! ```sh
//! cd benches/peers && cargo run --release --bin scale
//! ```
//!
//! Times are the least of many rounds, in which all points of an axis take their turns. The allocator
//! counts, which costs a delivery a little, the same everywhere.

use std::alloc::System;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, post};
use peers::{Contender, SECRET, SHORTEST, all, cpu, router};
use scrapest_webhook::{ScrapeBadgerWebhookLayer, Secrets};
use scrapest_webhook::store::MemoryStore;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

mod connections;
mod in_flight;
mod plot;
mod records;
mod webhooks;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SIGNATURE: &str = "x-scrapebadger-signature";

/// What there can be more and more of.
struct Axis {
    name: &'static str,
    /// One of them.
    each: &'static str,
    points: Vec<Point>,
}

struct Point {
    at: usize,
    /// Nanoseconds a delivery.
    cpu: Pair,
    /// Bytes for each of them.
    memory: Pair,
}

/// Of the same handler: bare, and behind the layer.
type Pair = [Option<f64>; 2];

fn main() {
    if let [_, serve, with] = &*Vec::from_iter(std::env::args())
        && serve == "serve"
    {
        return connections::serve(with);
    }
    let axes = [records::axis(), webhooks::axis(), in_flight::axis(), connections::axis()];
    for axis in &axes {
        write(axis);
    }
    secrets();
    plot::draw(&axes, concat!(env!("CARGO_MANIFEST_DIR"), "/scale.svg")).unwrap();
}

fn ours() -> ScrapeBadgerWebhookLayer {
    ScrapeBadgerWebhookLayer::new(SECRET)
}

/// A store for so many records, two a delivery.
fn store(records: usize) -> MemoryStore {
    MemoryStore::with_capacity((records / 2).try_into().unwrap())
}

async fn handler(body: Bytes) -> StatusCode {
    if body.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::OK }
}

/// The handler behind the layer, or behind nothing.
fn route(layer: Option<ScrapeBadgerWebhookLayer>) -> MethodRouter {
    match layer {
        Some(layer) => post(handler).route_layer(layer),
        None => post(handler),
    }
}

fn contender(routes: Router) -> Contender {
    router("scale", routes, SIGNATURE)
}

/// The least nanoseconds of a delivery for each.
fn least(contenders: &[Contender]) -> impl Iterator<Item = f64> {
    cpu::measure(contenders, 60, 300, SHORTEST).into_iter().map(|cpu| cpu.least)
}

/// Bytes that were asked for since then, and not given back.
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
        let numbers = Vec::from_iter(cpu.iter().chain(memory).copied().map(number));
        println!("| {at} | {} |", numbers.join(" | "));
    }
}

/// No curve: each secret is another HMAC, and there are four at most.
fn secrets() {
    let all_secrets = [SECRET, "whsec_of_the_month_before", "whsec_of_the_month_before_that"];
    let layers = [1, 2, 3].map(|count| {
        let secrets = Secrets::new(all_secrets.into_iter().take(count)).unwrap();
        ScrapeBadgerWebhookLayer::from_secrets(secrets)
    });
    let behind = |layer| contender(Router::new().route("/", route(Some(layer))));
    let mut contenders = Vec::from_iter(layers.map(behind));
    contenders.extend(all().into_iter().filter(|contender| contender.name == "the HMAC alone"));
    println!("\n| | CPU a delivery, ns |\n|---|---|");
    for (name, cpu) in
        ["1 secret", "2 secrets", "3 secrets", "the HMAC alone"].iter().zip(least(&contenders))
    {
        println!("| {name} | {cpu:.0} |");
    }
}
