//! G10: the number of crates with default features, and how long the first build of an application takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::row::Row;
use crate::beside;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

pub fn crates(_: usize) {
    let mut tree = beside::cargo();
    tree.args(["tree", "--quiet", "--edges", "normal,build", "--prefix", "none"]);
    tree.args(["--package", "scrapest-webhook", "--format", "{p}"]).current_dir(ROOT);
    let lines = beside::output(&mut tree).unwrap_or_else(|why| panic!("{why}"));
    let mut crates = Vec::from_iter(lines.lines().map(|line| line.trim_end_matches(" (*)")));
    crates.sort_unstable();
    crates.dedup();
    // Without the crate itself.
    let crates = crates.len() - 1;
    Row {
        goal: "G10",
        what: "crates of the default features".into(),
        asked: "≤ 70".into(),
        measured: crates.to_string(),
        met: Some(crates <= 70),
    }
    .print();
}

pub fn first(_: usize) {
    const WHAT: &str = "first build of an application: added CPU";
    const ASKED: &str = "≤ 20 s over axum alone";
    match alone_and_with_this() {
        Ok([alone, both]) => Row {
            goal: "G10",
            what: WHAT.into(),
            asked: ASKED.into(),
            measured: format!("least {:.1} s, axum alone {alone:.1} s", both - alone),
            met: Some(both - alone <= 20.),
        },
        Err(why) => Row::not_measured("G10", WHAT, ASKED, &why),
    }
    .print();
}

/// In seconds. Each is built twice, in turns, and the least counts: a build takes long, and disturbances only
/// add to it.
fn alone_and_with_this() -> Result<[f64; 2], String> {
    const LAYER: &str =
        ".route_layer(scrapest_webhook::ScrapeBadgerWebhookLayer::new(\"whsec_0123456789abcdef\"))";
    let dependency =
        format!("scrapest-webhook = {{ path = {:?} }}", Path::new(ROOT).canonicalize().unwrap());
    let applications = [("", ""), (&*dependency, LAYER)];
    let mut least = [f64::INFINITY; 2];
    for _ in 0..2 {
        for (least, (dependency, layer)) in least.iter_mut().zip(applications) {
            *least = least.min(build(dependency, layer)?.as_secs_f64());
        }
    }
    Ok(least)
}

/// The CPU time of `cargo build` into a new folder. The crates are already on this machine.
fn build(dependency: &str, layer: &str) -> Result<Duration, String> {
    let folder = Temporary::new();
    let application = format!(
        "#[tokio::main]\n\
         async fn main() {{\n\
             let routes = axum::Router::new().route(\"/\", axum::routing::post(async || {{}}){layer});\n\
             let listener = tokio::net::TcpListener::bind(\"127.0.0.1:0\").await.unwrap();\n\
             axum::serve(listener, routes).await.unwrap();\n\
         }}\n"
    );
    let manifest = format!(
        "[package]\nname = \"application\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [dependencies]\naxum = \"0.8\"\n\
         tokio = {{ version = \"1\", features = [\"macros\", \"net\", \"rt-multi-thread\"] }}\n\
         {dependency}\n\
         [workspace]\n"
    );
    fs::create_dir(folder.0.join("src")).unwrap();
    fs::write(folder.0.join("src/main.rs"), application).unwrap();
    fs::write(folder.0.join("Cargo.toml"), manifest).unwrap();
    // Uses the versions of this workspace, which are on this machine.
    fs::copy(Path::new(ROOT).join("Cargo.lock"), folder.0.join("Cargo.lock")).unwrap();
    let before = children();
    let mut build = beside::cargo();
    build.args(["build", "--quiet", "--offline", "--target-dir"]).arg(folder.0.join("target"));
    beside::output(build.current_dir(&folder.0))?;
    Ok(children() - before)
}

/// The user and kernel time of all processes that this process or a child of it has waited for; see
/// proc_pid_stat(5).
fn children() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // The program name is in parentheses and may contain spaces.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
    Duration::from_millis(ticks.sum::<u64>() * 1_000 / rustix::param::clock_ticks_per_second())
}

/// A folder that is deleted on drop.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("first-build-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}
