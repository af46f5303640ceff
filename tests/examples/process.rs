//! An example as a process: built, started on a free port, read from on request, and killed on drop.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use scrapest_webhook::testing::SignedRequest;
use support::client::{self, Answer};

use crate::{PATH, SECRET};

pub struct Example {
    process: Child,
    pub address: SocketAddr,
    pub out: BufReader<ChildStdout>,
}

impl Example {
    pub fn start(name: &str, environment: &[(&str, &str)]) -> Self {
        build();
        // In the folder beside that of this test.
        let test = std::env::current_exe().unwrap();
        let example = test.ancestors().nth(2).unwrap().join("examples").join(name);
        let mut process = Command::new(example)
            .env("SCRAPEST_WEBHOOK_SECRET", SECRET)
            .env("LISTEN", "127.0.0.1:0")
            .env("TOKIO_WORKER_THREADS", "4")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line.split(['/', '\n']).nth(2).expect(&line).parse().unwrap();
        Self { process, address, out }
    }

    /// Returns the rest of its output after it has ended.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        rest
    }

    pub fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    pub fn end(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub async fn send(&self, request: &SignedRequest) -> Answer {
        client::send(self.address, &client::text_to(PATH, request)).await
    }

    pub async fn get(&self, path: &str) -> u16 {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        client::send(self.address, request.as_bytes()).await.status
    }

    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}{PATH}", self.address)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Builds the examples, which `cargo test` without a name has already done.
fn build() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let test = std::env::current_exe().unwrap();
        let target = test.ancestors().nth(3).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--example", "axum", "--example", "actix"]);
        cargo.args(["--example", "tls", "--target-dir"]).arg(target);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(cargo.status().unwrap().success());
    });
}

/// Waits until `condition` holds, and fails after 20 s.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
