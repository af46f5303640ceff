//! The CPU that servers take for a delivery over sockets: ours beside others' with the sender's own SDK.
//!
//! ```sh
//! cd benches/peers && sockets/install && cargo run --release --bin sockets
//! ```
//!
//! Each server has one core, and wrk another; each delivery is new and signed beforehand. What counts is the server's
//! own CPU time, as the kernel accounts for it, not how many there were in a second.

use std::fs::{self, File};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::{Router, routing::post};
use peers::{SECRET, signed};
use scrapest_webhook::{ScrapeBadgerWebhookLayer, scrapebadger};

const DELIVERIES: usize = 20_000;
const WARM_UP: usize = 4_000;
/// Of the sample.
const BYTES: usize = 476;
/// The kernel's unit of CPU time, `USER_HZ`, on every Linux of today.
const TICK: Duration = Duration::from_millis(10);

fn main() {
    match std::env::args().nth(1).as_deref() {
        None => compare(),
        Some(what) => serve(what),
    }
}

/// One of the servers that are Rust, at `$PORT`.
fn serve(what: &str) {
    let layer = ScrapeBadgerWebhookLayer::new(SECRET);
    let bytes =
        async |body: Bytes| if body.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let event = async |event: scrapebadger::Event| match event.tweet() {
        Some(_) => StatusCode::OK,
        None => StatusCode::BAD_REQUEST,
    };
    let router = match what {
        "bytes" => Router::new().route("/", post(bytes)),
        "event" => Router::new().route("/", post(event).route_layer(layer)),
        other => panic!("unknown server: {other}"),
    };
    let port = std::env::var("PORT").unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        axum::serve(listener, router).await.unwrap();
    });
}

fn compare() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let installed =
        here.join("../../target/sockets").canonicalize().expect("sockets/install was run");
    // Node looks for packages beside the file that imports them.
    for script in ["express.mjs", "fastify.mjs"] {
        fs::copy(here.join("sockets").join(script), installed.join("node").join(script)).unwrap();
    }
    let rust = |what| {
        let mut server = Command::new(std::env::current_exe().unwrap());
        server.arg(what);
        server
    };
    let node = |script: &str| {
        let mut server = Command::new("node");
        server.arg(installed.join("node").join(script)).env("NODE_ENV", "production");
        server
    };
    let mut fastapi = Command::new("python3");
    fastapi.args(["-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--port"]);
    fastapi.env("PYTHONPATH", installed.join("python")).current_dir(here.join("sockets"));

    println!("| server | CPU a delivery, µs | beside ours |\n|---|---|---|");
    let mut ours = None;
    for (name, server) in [
        ("ours: verify, freshness, dedup, `Event`", rust("event")),
        ("bare axum, `Bytes`", rust("bytes")),
        ("Fastify, the sender's SDK", node("fastify.mjs")),
        ("Express, the sender's SDK", node("express.mjs")),
        ("FastAPI, the sender's SDK", fastapi),
    ] {
        let cpu = measure(server).as_secs_f64() * 1e6;
        println!("| {name} | {cpu:.1} | {:.1} × |", cpu / *ours.get_or_insert(cpu));
    }
}

/// The CPU time of a delivery.
fn measure(server: Command) -> Duration {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server::start(server, port);
    replay(port, WARM_UP);
    let before = server.cpu_time();
    replay(port, DELIVERIES);
    (server.cpu_time() - before) / u32::try_from(DELIVERIES).unwrap()
}

struct Server(Child);

impl Server {
    fn start(server: Command, port: u16) -> Self {
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", "0"]).arg(server.get_program()).args(server.get_args());
        if server.get_args().any(|argument| argument == "--port") {
            pinned.arg(port.to_string()).arg("fastapi_app:app");
        }
        pinned.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(directory) = server.get_current_dir() {
            pinned.current_dir(directory);
        }
        let pinned = pinned.env("SECRET", SECRET).env("PORT", port.to_string());
        let server = Self(pinned.stdout(Stdio::null()).spawn().unwrap());
        for _ in 0..300 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server does not listen");
    }

    /// Its own, in user and kernel mode: fields 14 and 15 of proc(5), counted behind the name.
    fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks: u32 =
            fields.split(' ').skip(11).take(2).map(|field| field.parse::<u32>().unwrap()).sum();
        TICK * ticks
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Signs so many deliveries, and sends them by wrk, on connections that stay open.
fn replay(port: u16, deliveries: usize) {
    let path = std::env::temp_dir().join(format!("deliveries.{}", std::process::id()));
    let mut file = std::io::BufWriter::new(File::create(&path).unwrap());
    for _ in 0..deliveries {
        let signed = signed(BYTES);
        let mut request =
            format!("POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {BYTES}\r\n");
        for (name, value) in signed.headers() {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        writeln!(file, "{}", request.len() + BYTES).unwrap();
        file.write_all(request.as_bytes()).unwrap();
        file.write_all(signed.body()).unwrap();
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
