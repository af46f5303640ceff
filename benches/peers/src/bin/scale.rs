//! How the cost of a delivery grows with what is remembered, configured and in flight.
//!
//! ```sh
//! cd benches/peers && cargo run --release --bin scale
//! ```

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::{Router, routing::post};
use peers::{Contender, SECRET, SHORTEST, cpu, request, router, signed};
use scrapest_webhook::ScrapeBadgerWebhookLayer;
use scrapest_webhook::store::{Claim, DeliveryStore, Key, MemoryStore, Owner};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tower::ServiceExt;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SIGNATURE: &str = "x-scrapebadger-signature";
const LEASE: Duration = Duration::from_secs(15);
const KEEP: Duration = Duration::from_secs(4_200);

fn main() {
    println!("| CPU a delivery, ns | median | least |\n|---|---|---|");
    let live =
        [("1,000 records", 1_000), ("100,000 records", 100_000), ("1,000,000 records", 1_000_000)];
    curve(live.map(|(name, records)| (name, ours().with_store(holding(records)), 0)));
    let second = || ours().with_additional_secret("whsec_of_the_month_before").unwrap();
    let third = || second().with_additional_secret("whsec_of_the_month_before_that").unwrap();
    curve([("1 secret", ours(), 0), ("2 secrets", second(), 0), ("3 secrets", third(), 0)]);
    curve([("1 webhook", ours(), 0), ("10 webhooks", ours(), 9), ("50 webhooks", ours(), 49)]);

    println!(
        "\n| bytes a request that waits in its handler | bare | ours | added |\n|---|---|---|---|"
    );
    for requests in [1, 100, 10_000] {
        let (bare, ours) = (memory(requests, None), memory(requests, Some(ours())));
        println!("| {requests} in flight | {bare} | {ours} | {} |", ours - bare);
    }
}

fn ours() -> ScrapeBadgerWebhookLayer {
    ScrapeBadgerWebhookLayer::new(SECRET)
}

/// Each layer, with so many others beside it that nothing is sent to.
fn curve(points: [(&'static str, ScrapeBadgerWebhookLayer, usize); 3]) {
    let contenders = points.map(|(name, layer, idle)| {
        let handler = |body: Bytes| async move { seen(&body) };
        let mut routes = Router::new().route("/", post(handler).route_layer(layer));
        for number in 0..idle {
            routes = routes.route(&format!("/{number}"), post(handler).route_layer(ours()));
        }
        router(name, routes, SIGNATURE)
    });
    for (Contender { name, .. }, cpu) in
        contenders.iter().zip(cpu::measure(&contenders, 60, 300, SHORTEST))
    {
        println!("| {name} | {:.0} | {:.0} |", cpu.median, cpu.least);
    }
}

fn seen(body: &Bytes) -> StatusCode {
    if body.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::OK }
}

/// A store that remembers so many records.
fn holding(records: usize) -> MemoryStore {
    let store = MemoryStore::with_capacity(2_000_000.try_into().unwrap());
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for _ in 0..records {
            let owner = Owner::random();
            let mut bytes = [0; 32];
            bytes[..16].copy_from_slice(&owner.to_bytes());
            let key = Key::from_bytes(bytes);
            let claim = store.claim(&key, owner, LEASE, KEEP).await.unwrap();
            let Claim::Acquired { fence, .. } = claim else { panic!("{claim:?}") };
            store.complete(&key, owner, fence, KEEP).await.unwrap();
        }
    });
    store
}

/// What so many requests hold while their handlers wait, apart from the requests themselves.
fn memory(requests: usize, layer: Option<ScrapeBadgerWebhookLayer>) -> usize {
    let gate = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&gate);
    let handler = move |body: Bytes| {
        let gate = Arc::clone(&waits);
        async move {
            drop(gate.acquire().await.unwrap());
            seen(&body)
        }
    };
    let handler = post(handler);
    let handler = match layer {
        Some(layer) => handler.route_layer(layer),
        None => handler,
    };
    let routes = Router::new().route("/", handler).with_state(());
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let prepared = (0..requests).map(|_| request::<Body>(signed(SHORTEST), SIGNATURE, &[]));
    let prepared = Vec::from_iter(prepared);
    runtime.block_on(async {
        let region = Region::new(ALLOCATOR);
        let answers =
            prepared.into_iter().map(|request| tokio::spawn(routes.clone().oneshot(request)));
        let answers = Vec::from_iter(answers);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let change = region.change();
        let held = change.bytes_allocated - change.bytes_deallocated;
        gate.add_permits(requests);
        for answer in answers {
            assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
        }
        held / requests
    })
}
