//! `scrapest-webhook listen` as a process: started on a free port, read from, stopped, and killed on drop.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use scrapest_webhook::testing::{self, SignedRequest, WebhookRequest};
use serde_json::Value;

pub use support::client::{self, Answer};

pub const PATH: &str = "/webhooks";
pub const SECRET: &str = "whsec_canary_5d0b7f9e21c84a63";

/// Longer than anything takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);

pub struct Listening {
    process: Child,
    pub url: String,
    pub address: SocketAddr,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
}

/// The result of a process that has ended.
pub struct Ended {
    pub status: ExitStatus,
    pub lines: Vec<String>,
    pub stderr: String,
}

/// The binary with `listen`, the secret in its environment, and a free port.
pub fn command() -> Command {
    listen_of(Command::new(env!("CARGO_BIN_EXE_scrapest-webhook")))
}

/// The same command through a shell, which first runs `before` to set the process limits.
pub fn command_after(before: &str) -> Command {
    let mut shell = Command::new("sh");
    let script = format!("{before}; exec \"$0\" \"$@\"");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_scrapest-webhook")]);
    listen_of(shell)
}

fn listen_of(mut command: Command) -> Command {
    command.args(["listen", "--secret-env", "WEBHOOK_SECRET", "--listen", "127.0.0.1:0"]);
    command.env("WEBHOOK_SECRET", SECRET).env_remove("RUST_LOG");
    command
}

impl Listening {
    /// Starts one for Scrapest with these flags.
    pub fn start(flags: &[&str]) -> Self {
        let mut command = command();
        command.args(["--sender", "scrapest"]).args(flags);
        Self::of(command)
    }

    pub fn of(mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = Arc::new(Mutex::new(String::new()));
        let (kept, mut pipe) =
            (Arc::clone(&stderr), BufReader::new(process.stderr.take().unwrap()));
        std::thread::spawn(move || {
            let mut line = String::new();
            while pipe.read_line(&mut line).unwrap_or(0) > 0 {
                kept.lock().unwrap().push_str(&std::mem::take(&mut line));
            }
        });
        let (sender, lines) = mpsc::channel();
        let pipe = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in pipe.lines().map_while(Result::ok) {
                _ = sender.send(line);
            }
        });
        let mut this =
            Self { process, url: String::new(), address: ([0; 4], 0).into(), lines, stderr };
        let first = this.line();
        this.url = first.strip_prefix("listening on ").expect(&first).to_owned();
        let authority = this.url.split('/').nth(2).unwrap();
        this.address = authority.parse().unwrap();
        this
    }

    /// Returns the next line of standard output.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(LONG).unwrap_or_else(|_| panic!("a line, not: {}", self.stderr()))
    }

    pub fn event(&self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Whether nothing more has been printed so far.
    pub fn is_silent(&self) -> bool {
        self.lines.try_recv().is_err()
    }

    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Waits until standard error contains this text.
    pub fn says(&self, text: &str) {
        eventually(|| self.stderr().contains(text), || format!("{text:?} in: {}", self.stderr()));
    }

    pub async fn send(&self, request: &SignedRequest) -> Answer {
        client::send(self.address, &client::text_to(PATH, request)).await
    }

    pub fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Sends SIGTERM, and waits for the end.
    pub fn stop(self) -> Ended {
        self.signal("TERM");
        self.end()
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ended {
        let (mut status, stderr) = (None, Arc::clone(&self.stderr));
        eventually(
            || {
                status = self.process.try_wait().unwrap();
                status.is_some()
            },
            || format!("its end: {}", stderr.lock().unwrap()),
        );
        let mut lines = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(LONG) {
            lines.push(line);
        }
        Ended { status: status.unwrap(), lines, stderr: self.stderr() }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// A process whose standard output is not read after its first line.
pub struct Unread {
    process: Child,
    address: SocketAddr,
}

impl Unread {
    /// Also returns the reader, which a caller can keep or drop.
    pub fn start(command: &mut Command) -> (Self, BufReader<ChildStdout>) {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut reader = BufReader::new(process.stdout.take().unwrap());
        let mut first = String::new();
        reader.read_line(&mut first).unwrap();
        let address = first.trim().rsplit("//").next().unwrap().trim_end_matches(PATH);
        (Self { process, address: address.parse().unwrap() }, reader)
    }

    pub async fn send(&self, request: &SignedRequest) -> Answer {
        client::send(self.address, &client::text_to(PATH, request)).await
    }

    /// Waits for the end, and returns the exit code.
    pub fn end(mut self) -> Option<i32> {
        let mut status = None;
        eventually(
            || {
                status = self.process.try_wait().unwrap();
                status.is_some()
            },
            || "its end".into(),
        );
        status.unwrap().code()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Runs a command that must not start to listen, and returns its exit code, its output and its errors.
pub fn refused(command: &mut Command) -> (Option<i32>, String, String) {
    let mut process =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let since = Instant::now();
    let status = loop {
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        if since.elapsed() > LONG {
            process.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let (mut out, mut error) = (String::new(), String::new());
    process.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    process.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    (status.code(), out, error)
}

pub fn eventually(mut is_so: impl FnMut() -> bool, what: impl Fn() -> String) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < LONG, "not within {LONG:?}: {}", what());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An unsigned request of Scrapest with the correct secret.
pub fn scrapest() -> WebhookRequest {
    testing::scrapest(SECRET)
}

/// A request whose output line is larger than any pipe.
pub fn larger_than_a_pipe(id: usize) -> SignedRequest {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let text = "a".repeat(900_000);
    let body = format!(
        "{{\"event\":\"tweet.created\",\"timestamp\":{now},\"id\":{id},\"text\":\"{text}\"}}"
    );
    scrapest().with_body(body).sign()
}
