//! Ours beside other languages' with the sender's own SDK: each server has one core, and wrk another.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use peers::client::on_the_wire;
use peers::server::{Server, free_port};
use peers::{SHORTEST, request, signed};

const DELIVERIES: usize = 4_000;
/// After one that warms up; the least counts.
const ROUNDS: usize = 5;

pub(crate) fn compare() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let installed =
        here.join("../../target/sockets").canonicalize().expect("sockets/install was run");
    // Node looks for packages beside the file that imports them.
    for script in ["express.mjs", "fastify.mjs"] {
        fs::copy(here.join("sockets").join(script), installed.join("node").join(script)).unwrap();
    }
    let pinned = |program: &str| {
        let mut command = Command::new("taskset");
        command.args(["-c", "0", program]);
        command
    };
    let rust = |what: &str| {
        let mut server = pinned(std::env::current_exe().unwrap().to_str().unwrap());
        server.args(["serve", what]);
        server
    };
    let node = |script: &str| {
        let mut server = pinned("node");
        server.arg(installed.join("node").join(script)).env("NODE_ENV", "production");
        server
    };
    let mut fastapi = pinned("python3");
    fastapi.args(["-m", "uvicorn", "fastapi_app:app", "--no-access-log", "--log-level", "warning"]);
    fastapi.env("PYTHONPATH", installed.join("python")).current_dir(here.join("sockets"));

    println!("| server | CPU a delivery, µs | beside ours |\n|---|---|---|");
    let mut ours = None;
    for (name, server) in [
        ("ours: verify, freshness, dedup, `Event`", rust("event")),
        ("bare axum, `Bytes`", rust("bare")),
        ("Fastify, the sender's SDK", node("fastify.mjs")),
        ("Express, the sender's SDK", node("express.mjs")),
        ("FastAPI, the sender's SDK", fastapi),
    ] {
        let cpu = measure(server).as_secs_f64() * 1e6;
        println!("| {name} | {cpu:.1} | {:.1} × |", cpu / *ours.get_or_insert(cpu));
    }
}

/// The CPU time of a delivery.
fn measure(mut server: Command) -> Duration {
    let port = free_port();
    if server.get_args().any(|argument| argument == "uvicorn") {
        server.args(["--port", &port.to_string()]);
    }
    let server = Server::start(&mut server, port);
    replay(port, DELIVERIES);
    let rounds = (0..ROUNDS).map(|_| {
        let before = server.cpu_time();
        replay(port, DELIVERIES);
        server.cpu_time() - before
    });
    rounds.min().unwrap() / u32::try_from(DELIVERIES).unwrap()
}

/// Signs so many deliveries, and sends them by wrk, on connections that stay open.
fn replay(port: u16, deliveries: usize) {
    let path = std::env::temp_dir().join(format!("deliveries.{}", std::process::id()));
    let mut file = std::io::BufWriter::new(File::create(&path).unwrap());
    for _ in 0..deliveries {
        let request = on_the_wire(&request(signed(SHORTEST), "x-scrapebadger-signature", &[]));
        writeln!(file, "{}", request.len()).unwrap();
        file.write_all(&request).unwrap();
    }
    file.into_inner().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sockets/replay.lua");
    let wrk = Command::new("taskset")
        .args(["-c", "1", "wrk", "-t1", "-c16", "-d300s", "--timeout", "30s", "-s"])
        .arg(script)
        .arg(format!("http://127.0.0.1:{port}/"))
        .env("REQUESTS", &path)
        .output()
        .unwrap();
    fs::remove_file(&path).unwrap();
    assert!(wrk.status.success(), "{}", String::from_utf8_lossy(&wrk.stderr));
}
