//! Tests the example's metrics, rules and dashboard with a Prometheus that scrapes it, under load.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::free_port;

const SECRET: &str = "whsec_canary_7b1d5f0c93aa4e21";

/// Whether Prometheus is installed. If not, prints what is skipped, past the test harness, or fails with
/// `REQUIRE_SERVERS=1`.
fn is_installed() -> bool {
    let installed = ["prometheus", "promtool"].iter().all(|command| {
        let version = Command::new(command).arg("--version").output();
        version.is_ok_and(|version| version.status.success())
    });
    if !installed {
        assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "prometheus is not installed");
        _ = writeln!(
            std::io::stderr(),
            "skipped: everything that needs Prometheus; to have it: apt-get install prometheus"
        );
    }
    installed
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A process that ends with this test, for whatever reason.
struct Leashed(Child);

impl Leashed {
    fn start(command: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        const LEASH: &str = r#""$@" </dev/null >&3 2>/dev/null & cat >/dev/null; kill -9 $!; wait"#;
        let leash = Command::new("sh")
            .args(["-c", &format!("exec 3>&1 >/dev/null; {LEASH}"), "leash"])
            .arg(command)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Self(leash.unwrap())
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        _ = self.0.wait();
    }
}

/// Builds and starts the example, and returns its address.
fn example(directory: &Path) -> (Leashed, SocketAddr) {
    let build = ["build", "--quiet", "--example", "prometheus", "--message-format", "json"];
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(build).current_dir(root(""));
    // The variables that cargo sets for this test would make it rebuild half of the dependencies.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&*name);
        }
    }
    let built = cargo.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let messages = built.stdout.split(|byte| *byte == b'\n');
    let command = messages
        .filter_map(|message| serde_json::from_slice::<Value>(message).ok())
        .find(|message| message["target"]["name"] == "prometheus")
        .and_then(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("the example");
    let queue = format!("sqlite:{}", directory.join("queue.db").display());
    let settings = [
        ("SCRAPEST_WEBHOOK_SECRET", SECRET),
        ("SCRAPEBADGER_WEBHOOK_SECRET", SECRET),
        ("QUEUE_URL", queue.as_str()),
    ];
    let mut example = Leashed::start(&command, &["127.0.0.1:0"], &settings);
    let mut line = String::new();
    let mut output = BufReader::new(example.0.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    // The example continues to print.
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    let address = line.trim().strip_prefix("listening on http://").expect("its address");
    (example, address.parse().unwrap())
}

/// A minute of a bad day: good, failing, duplicate, forged and stale requests.
fn load(receiver: SocketAddr) {
    let send_to = |path: &str, sender: &str, more: &[&str]| {
        let sent = Command::new(env!("CARGO_BIN_EXE_scrapest-webhook"))
            .args(["send", "--sender", sender, "--secret-env", "SECRET"])
            .args(["--to", &format!("http://{receiver}/webhooks/{path}")])
            .args(more)
            .env("SECRET", SECRET)
            .output()
            .unwrap();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    };
    let send = |sender: &str, more: &[&str]| send_to(sender, sender, more);
    for _ in 0..6 {
        send_to("queued", "scrapest", &["--count", "20"]);
        for sender in ["scrapest", "scrapebadger"] {
            send(sender, &["--count", "20", "--rate", "40", "--duplicates", "1"]);
            send(sender, &["--forge"]);
            send(sender, &["--stale"]);
        }
    }
}

/// The body of a 200 answer.
fn get(server: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(server).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}

/// A Prometheus with the rules, which scrapes every half second.
fn prometheus(receiver: SocketAddr, directory: &Path) -> (Leashed, SocketAddr) {
    let rules = root("examples/prometheus-rules.yml");
    let config = format!(
        "global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\n\
         rule_files: ['{}']\n\
         scrape_configs: [{{job_name: webhooks, static_configs: [{{targets: ['{receiver}']}}]}}]\n",
        rules.display()
    );
    std::fs::write(directory.join("prometheus.yml"), config).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let arguments = [
        &format!("--config.file={}", directory.join("prometheus.yml").display()),
        &format!("--storage.tsdb.path={}", directory.join("data").display()),
        &format!("--web.listen-address={address}"),
    ];
    let server = Leashed::start(Path::new("prometheus"), &arguments.map(String::as_str), &[]);
    let began = Instant::now();
    while get(address, "/-/ready").is_none() {
        assert!(began.elapsed() < Duration::from_secs(60), "prometheus does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    (server, address)
}

/// Waits, because Prometheus scrapes and evaluates on its own schedule.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn ask(server: SocketAddr, path: &str) -> Value {
    let answer = get(server, path).unwrap_or_else(|| panic!("prometheus refuses {path}"));
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["status"], "success", "{path}");
    answer["data"].clone()
}

fn query(server: SocketAddr, expression: &str) -> Vec<Value> {
    let escaped: String = expression.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let data = ask(server, &format!("/api/v1/query?query={escaped}"));
    data["result"].as_array().unwrap().clone()
}

/// The panels of the dashboard and their expressions, as Grafana would send them.
fn dashboard() -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(root("examples/grafana-dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let panels = panels.iter().filter(|panel| panel["type"] != "row");
    panels
        .map(|panel| {
            let targets = panel["targets"].as_array().unwrap().iter();
            let expressions = targets.map(|target| {
                let expression = target["expr"].as_str().unwrap();
                expression.replace("$__rate_interval", "1m").replace("$sender", ".*")
            });
            (panel["title"].as_str().unwrap().to_owned(), expressions.collect())
        })
        .collect()
}

/// The names of the crate's metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = names.filter(|name| name.starts_with("scrapest_webhook_"));
    names.map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
}

#[test]
fn the_dashboard_has_exactly_the_documented_metrics() {
    let documented = include_str!("../../src/metrics.rs").lines();
    let documented = documented.filter_map(|line| line.strip_prefix("//! | `"));
    let queue = include_str!("../../src/queue/metrics.md").lines();
    let queue = queue.filter_map(|line| line.strip_prefix("| `"));
    let documented = documented.chain(queue).flat_map(metrics_in).collect();
    let shown: BTreeSet<_> =
        dashboard().iter().flat_map(|(_, all)| metrics_in(&all.join(" "))).collect();
    assert_eq!(shown, documented);
    let rules = std::fs::read_to_string(root("examples/prometheus-rules.yml")).unwrap();
    assert!(metrics_in(&rules).is_subset(&documented));
}

#[test]
fn rules_alert_exactly_when_they_should() {
    if !is_installed() {
        return;
    }
    for (verb, file) in [
        ("check", "examples/prometheus-rules.yml"),
        ("test", "tests/fixtures/prometheus-rules-test.yml"),
    ] {
        let told = Command::new("promtool").args([verb, "rules"]).arg(root(file)).output().unwrap();
        let said = [told.stdout, told.stderr].concat();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn prometheus_gets_data_for_each_panel_and_evaluates_each_rule() {
    if !is_installed() {
        return;
    }
    let directory = std::env::temp_dir().join(format!("webhook-prometheus-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (_example, receiver) = example(&directory);
    let (_prometheus, server) = prometheus(receiver, &directory);
    load(receiver);

    let text = get(receiver, "/metrics").unwrap();
    let checked = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .and_then(|mut promtool| {
            promtool.stdin.take().unwrap().write_all(text.as_bytes())?;
            promtool.wait_with_output()
        })
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    for (title, expressions) in dashboard() {
        for expression in expressions {
            until(&format!("{title}: data for {expression}"), || {
                let result = query(server, &expression);
                // The quantile of a verb that was never called is not a number.
                let values = result.iter().map(|sample| sample["value"][1].as_str().unwrap());
                values.map(|value| value.parse::<f64>().unwrap()).any(f64::is_finite)
            });
        }
    }
    let rules = || ask(server, "/api/v1/rules")["groups"][0]["rules"].as_array().unwrap().clone();
    until("each rule is evaluated", || rules().iter().all(|rule| rule["health"] == "ok"));
    let is_firing =
        |name| rules().iter().any(|rule| rule["name"] == name && rule["state"] == "firing");
    until("an alert, because stale ones came", || is_firing("WebhookStale"));
    assert!(!is_firing("WebhookEvicts") && !is_firing("WebhookSecretWrong"));
    drop((_example, _prometheus));
    _ = std::fs::remove_dir_all(&directory);
}
