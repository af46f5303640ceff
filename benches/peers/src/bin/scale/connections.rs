//! Measures connections that have delivered once and stay open while another connection keeps delivering. The
//! server is a separate process, whose memory is measured.

use axum::Router;
use peers::client::{Client, on_the_wire};
use peers::cpu::{Cpu, on_one_core, summary};
use peers::server::{self, Server};
use peers::{SHORTEST, request, signed};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{Axis, Point, SIGNATURE, ours, route, store};

const POINTS: [usize; 4] = [0, 100, 1_000, 10_000];
/// Runs per server. The servers take turns.
const RUNS: usize = 2;
const ROUNDS: usize = 15;
const DELIVERIES: usize = 200;
/// The capacity of the store. It is smaller than the default, so that the store is soon full and stops growing.
const RECORDS: usize = 2_000;

pub(crate) fn serve(with: &str) {
    let layer = (with == "ours").then(|| ours().with_store(store(RECORDS)));
    server::serve(Router::new().route("/", route(layer)));
}

pub(crate) fn axis() -> Axis {
    allow_files(POINTS[POINTS.len() - 1] + 100);
    let mut points = POINTS.map(|at| Point { at, cpu: [None; 2], memory: [None; 2] });
    for _ in 0..RUNS {
        for (place, with) in ["nothing", "ours"].into_iter().enumerate() {
            for (point, (cpu, memory)) in points.iter_mut().zip(on_one_core(|| measure(with))) {
                let before = point.cpu[place].filter(|before| before.least < cpu.least);
                point.cpu[place] = before.or(Some(cpu));
                point.memory[place] = memory;
            }
        }
    }
    Axis { name: "idle connections", each: "connection", points: points.into() }
}

/// Nanoseconds per delivery, and the bytes that each idle connection has added.
fn measure(with: &str) -> Vec<(Cpu, Option<f64>)> {
    let server = Server::this(&["serve", with]);
    let mut busy = Client::connect(server.port);
    (0..2 * RECORDS).for_each(|_| busy.deliver(&delivery()));
    let (before, mut idle) = (server.resident(), Vec::new());
    let points = POINTS.map(|connections| {
        while idle.len() < connections {
            let mut client = Client::connect(server.port);
            client.deliver(&delivery());
            idle.push(client);
        }
        let added = server.resident() as f64 - before as f64;
        let rounds = (0..ROUNDS).map(|_| {
            let deliveries = Vec::from_iter((0..DELIVERIES).map(|_| delivery()));
            let began = server.cpu_time();
            deliveries.iter().for_each(|delivery| busy.deliver(delivery));
            (server.cpu_time() - began).as_nanos() as f64 / DELIVERIES as f64
        });
        let cpu = summary(rounds.collect());
        (cpu, (connections > 0).then(|| added / connections as f64))
    });
    // This fails unless the connections were open all the time.
    idle.iter_mut().for_each(|client| client.deliver(&delivery()));
    points.into()
}

fn delivery() -> Vec<u8> {
    on_the_wire(&request(signed(SHORTEST), SIGNATURE, &[]))
}

/// Sets the limit of open files for this process and for the servers that it starts.
fn allow_files(files: usize) {
    let (files, limit) = (files as u64, getrlimit(Resource::Nofile));
    if limit.current.is_none_or(|current| current >= files) {
        return;
    }
    let wanted = Rlimit { current: Some(files), maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        panic!("{files} open files are needed, raise the hard limit (`ulimit -Hn`): {error}");
    }
}
