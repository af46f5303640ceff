//! Measures requests that wait in their handlers at the same time: the memory of each beyond its body, and its
//! CPU time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::post;
use peers::cpu::{summary, thread_time};
use peers::{SHORTEST, request, signed};
use stats_alloc::Region;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::{ALLOCATOR, Axis, Point, SIGNATURE, handler, held, ours, store};

const POINTS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const ROUNDS: usize = 20;
/// Requests per round.
const REQUESTS: usize = 10_000;

pub(crate) fn axis() -> Axis {
    let (bare, ours) = (Gate::new(false), Gate::new(true));
    // The store is full after this and stops growing.
    for gate in [&bare, &ours] {
        gate.round(REQUESTS);
    }
    let points = POINTS.into_iter().map(|at| {
        let (mut cpu, mut memory) = ([const { Vec::new() }; 2], [0.; 2]);
        for _ in 0..ROUNDS {
            for (place, gate) in [&bare, &ours].into_iter().enumerate() {
                let (time, held) = gate.round(at);
                cpu[place].push(time);
                memory[place] = held;
            }
        }
        Point { at, cpu: cpu.map(|times| Some(summary(times))), memory: memory.map(Some) }
    });
    Axis { name: "requests in flight", each: "request", points: points.collect() }
}

/// A handler that waits until the gate opens.
struct Gate {
    runtime: Runtime,
    routes: Router,
    open: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Gate {
    fn new(is_ours: bool) -> Self {
        let open = Arc::new(Semaphore::new(0));
        let waiting = Arc::new(AtomicUsize::new(0));
        let (gate, count) = (Arc::clone(&open), Arc::clone(&waiting));
        let handler = post(move |body: Bytes| {
            let (gate, count) = (Arc::clone(&gate), Arc::clone(&count));
            async move {
                count.fetch_add(1, Ordering::Relaxed);
                gate.acquire().await.unwrap().forget();
                handler(body).await
            }
        });
        let handler = match is_ours {
            true => handler.route_layer(ours().with_store(store(2 * REQUESTS))),
            false => handler,
        };
        let routes = Router::new().route("/", handler).with_state(());
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        Self { runtime, routes, open, waiting }
    }

    /// Nanoseconds per request, and bytes per request beyond the body, with `in_flight` requests at once.
    fn round(&self, in_flight: usize) -> (f64, f64) {
        let (mut requests, region) = (Vec::with_capacity(REQUESTS), Region::new(ALLOCATOR));
        requests.extend((0..REQUESTS).map(|_| request(signed(SHORTEST), SIGNATURE, &[])));
        let request = held(&region) / REQUESTS as f64 - SHORTEST as f64;
        let times = (REQUESTS / in_flight) as f64;
        let (mut time, mut waiting) = (0., 0.);
        while !requests.is_empty() {
            let next = requests.drain(requests.len() - in_flight..);
            let (nanos, bytes) = self.pass(next);
            time += nanos / in_flight as f64 / times;
            waiting += bytes / in_flight as f64 / times;
        }
        (time, request + waiting)
    }

    /// Runs all requests at once. Returns the nanoseconds, and the bytes allocated while all of them wait.
    fn pass(&self, requests: impl ExactSizeIterator<Item = Request<Body>>) -> (f64, f64) {
        let number = requests.len();
        self.waiting.store(0, Ordering::Relaxed);
        let (mut answers, region) = (Vec::with_capacity(number), Region::new(ALLOCATOR));
        let began = thread_time();
        let held = self.runtime.block_on(async {
            for request in requests {
                answers.push(tokio::spawn(self.routes.clone().oneshot(request)));
            }
            while self.waiting.load(Ordering::Relaxed) < number {
                tokio::task::yield_now().await;
            }
            let held = held(&region);
            self.open.add_permits(number);
            for answer in answers {
                assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
            }
            held
        });
        ((thread_time() - began).as_nanos() as f64, held)
    }
}
