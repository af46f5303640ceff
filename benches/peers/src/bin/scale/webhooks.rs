//! Measures the number of webhooks in one process. Each is a route with its own layer; only one receives
//! deliveries.

use axum::Router;
use stats_alloc::Region;

use crate::{ALLOCATOR, Axis, Point, contender, held, measure, ours, route};

const POINTS: [usize; 3] = [1, 10, 50];

pub(crate) fn axis() -> Axis {
    let (mut contenders, mut memory) = (Vec::new(), Vec::new());
    for webhooks in POINTS {
        for is_ours in [false, true] {
            // This route excludes the fixed cost of a router from the cost per webhook.
            let mut routes = Router::new().route("/health", route(None));
            let region = Region::new(ALLOCATOR);
            for number in 0..webhooks {
                let path = if number == 0 { "/".into() } else { format!("/{number}") };
                routes = routes.route(&path, route(is_ours.then(ours)));
            }
            memory.push(Some(held(&region) / webhooks as f64));
            contenders.push(contender(routes));
        }
    }
    let cpu = Vec::from_iter(measure(&contenders).into_iter().map(Some));
    let pairs = cpu.chunks(2).zip(memory.chunks(2));
    let points = POINTS.into_iter().zip(pairs).map(|(at, (cpu, memory))| Point {
        at,
        cpu: [cpu[0], cpu[1]],
        memory: [memory[0], memory[1]],
    });
    Axis { name: "webhooks in one process", each: "webhook", points: points.collect() }
}
