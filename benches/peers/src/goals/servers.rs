//! G7: ours over sockets, beside the floor and beside servers in other languages with the sender's own SDK.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::{Router, routing::post};
use peers::cpu::{Cpu, on_one_core};
use peers::floor::{Floor, tower::FloorLayer};
use peers::server::{self, Server, free_port};
use peers::{FEW, SECRET, SHORTEST};
use sample_event::TweetEvent;
use scrapest_webhook::{MemoryStore, ScrapeBadgerWebhookLayer, scrapebadger};

use super::row::Row;
use super::sockets::{Sender, in_turns};

/// Deliveries per server and round; `CONNECTIONS` is the number of connections.
const DELIVERIES: usize = 992;
const CONNECTIONS: usize = 16;
/// Deliveries per server before the first round. JavaScript is compiled while it runs.
const WARM_UP: usize = 4_000;

/// Serves one of the Rust servers. Stores are small, so that they are soon full.
pub fn serve(what: &str) {
    let store = MemoryStore::with_capacity(NonZero::new(FEW).unwrap());
    let layer = ScrapeBadgerWebhookLayer::new(SECRET).with_store(store);
    let floor = FloorLayer(Arc::new(Floor::new(SECRET.as_bytes(), FEW)));
    let answer = |is_there| if is_there { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let bytes = async move |body: Bytes| answer(!body.is_empty());
    let event = async move |event: scrapebadger::Event| answer(event.tweet().is_some());
    let serde =
        async move |body: Bytes| answer(serde_json::from_slice::<TweetEvent>(&body).is_ok());
    let handler = match what {
        "bare" => post(bytes),
        "ours" => post(bytes).route_layer(layer),
        "event" => post(event).route_layer(layer),
        "floor" => post(bytes).route_layer(floor),
        "floor, serde" => post(serde).route_layer(floor),
        other => panic!("unknown server: {other}"),
    };
    server::serve(Router::new().route("/", handler));
}

pub fn rows(rounds: usize) {
    on_one_core(|| {
        let ours = ["event", "bare", "floor", "floor, serde"];
        let ours = ours.map(|name| Server::this(&["serve", name]));
        let others = [("Express", express()), ("FastAPI", fastapi()), ("Fastify", fastify())];
        let started = others.iter().filter_map(|(_, server)| server.as_ref().ok());
        let senders = Vec::from_iter(
            ours.iter().chain(started).map(|server| Sender::genuine(server, SHORTEST)),
        );
        let warm_up =
            Vec::from_iter(senders.iter().map(|sender| sender.send(CONNECTIONS, WARM_UP)));
        let turns = senders.iter().map(|sender| || sender.send(CONNECTIONS, DELIVERIES));
        let turns = Vec::from_iter(turns);
        let turns = Vec::from_iter(turns.iter().map(|turn| turn as &dyn Fn() -> f64));
        let cpu = in_turns(rounds, &turns);
        rust(&cpu[..ours.len()]);
        let mut measured = cpu[ours.len()..].iter().zip(&warm_up[ours.len()..]);
        for (name, server) in &others {
            other(name, cpu[0], server.as_ref().map(|_| measured.next().unwrap()));
        }
    });
}

fn rust(cpu: &[Cpu]) {
    let [event, bare, floor, serde] = *cpu else { panic!("four servers are Rust") };
    let added = |of: fn(&Cpu) -> f64| (of(&event) - of(&bare)) / 1e3;
    let (median, least) = (added(|cpu| cpu.median), added(|cpu| cpu.least));
    let both = [event, bare].map(|cpu| cpu.median / 1e3);
    Row {
        goal: "G7",
        what: "`Event` over sockets, beside bare axum".into(),
        asked: "≤ + 3.0 µs".into(),
        measured: format!(
            "{median:+.1} µs, least {least:+.1}: {:.1} µs and {:.1}",
            both[0], both[1]
        ),
        met: Some(median <= 3.),
    }
    .print();
    let beside = |what: &str, asked, other: Cpu| {
        let what = format!("`Event` over sockets, beside the floor {what}");
        let row = Row::ratio("G7", what, asked, |of| of(&event) / of(&other));
        row.with(&format!(", {:.1} µs", other.median / 1e3))
    };
    beside("as a server", ("≤ 1.1 ×", 1.1), floor).print();
    let reported = beside("whose handler decodes the event with serde", ("", 0.), serde);
    Row { met: None, ..reported }.print();
}

fn other(name: &str, ours: Cpu, measured: Result<(&Cpu, &f64), &String>) {
    let what = format!("`Event` over sockets, beside {name} with the sender's SDK");
    let row = match measured {
        Err(why) => Row::not_measured("G7", &what, "≤ 1/9", why),
        Ok((cpu, warm_up)) => Row::share("G7", what, "it", 9., [ours, *cpu])
            .with(&format!("; its first {WARM_UP} {:.0} µs each", warm_up / 1e3)),
    };
    match name {
        "Fastify" => Row { asked: "reported".into(), met: None, ..row }.print(),
        _ => row.print(),
    }
}

type Started = Result<Server, String>;

fn express() -> Started {
    node("express.mjs")
}

fn fastify() -> Started {
    node("fastify.mjs")
}

fn node(script: &str) -> Started {
    let folder = installed("node")?;
    // Node looks for packages in the folder of the importing file.
    fs::copy(scripts().join(script), folder.join(script)).map_err(|error| error.to_string())?;
    let mut node = Command::new("node");
    Server::start(node.arg(folder.join(script)).env("NODE_ENV", "production"), free_port())
}

fn fastapi() -> Started {
    let (folder, port) = (installed("python")?, free_port());
    let mut python = Command::new("python3");
    python.args(["-m", "uvicorn", "fastapi_app:app", "--no-access-log", "--log-level", "warning"]);
    python.args(["--port", &port.to_string()]).env("PYTHONPATH", folder).current_dir(scripts());
    Server::start(&mut python, port)
}

fn scripts() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sockets")
}

fn installed(what: &str) -> Result<std::path::PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/sockets").join(what);
    folder.canonicalize().map_err(|_| "benches/peers/sockets/install was not run".to_owned())
}
