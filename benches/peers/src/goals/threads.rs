//! The part of G5 with two threads: both deliver through one layer, or each through its own layer. The CPU time
//! of both is measured; it grows when they wait for each other.

use std::num::NonZero;
use std::sync::Barrier;
use std::thread;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use peers::cpu::thread_time;
use peers::{FEW, SECRET, SHORTEST, router};
use scrapest_webhook::{MemoryStore, ScrapeBadgerWebhookLayer};

use super::row::Row;
use super::sockets::in_turns;

/// Deliveries per thread and round, enough that both threads overlap.
const DELIVERIES: usize = 5_000;

pub fn on_one_layer(rounds: usize) {
    let one = routes();
    let (shared, alone) = ([one.clone(), one], [routes(), routes()]);
    let cpu = in_turns(rounds, &[&|| both(&shared), &|| both(&alone)]);
    Row::ratio(
        "G5",
        "two threads on one layer: CPU of both",
        ("≤ 1.1 × of two with a layer each", 1.1),
        |of| of(&cpu[0]) / of(&cpu[1]),
    )
    .with(&format!(", {:.0} ns a delivery", cpu[0].median))
    .print();
}

fn routes() -> Router {
    let handler = async |body: Bytes| match body.len() {
        0 => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let store = MemoryStore::with_capacity(NonZero::new(FEW).unwrap());
    let layer = ScrapeBadgerWebhookLayer::new(SECRET).with_store(store);
    Router::new().route("/", post(handler).route_layer(layer))
}

/// Nanoseconds of CPU per delivery.
fn both(routes: &[Router; 2]) -> f64 {
    let start = Barrier::new(routes.len());
    let nanos: u128 = thread::scope(|scope| {
        let threads = routes.each_ref().map(|routes| {
            scope.spawn(|| {
                // Each thread has its own runtime.
                let contender = router("a thread", routes.clone(), "x-scrapebadger-signature");
                let batch = contender.prepare(DELIVERIES, SHORTEST);
                start.wait();
                let began = thread_time();
                batch();
                (thread_time() - began).as_nanos()
            })
        });
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    nanos as f64 / (routes.len() * DELIVERIES) as f64
}
