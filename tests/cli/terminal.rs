//! The output on a terminal, tested with a pseudo terminal.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use scrapest_webhook::testing;

use crate::listening::{PATH, SECRET, client, eventually};
use crate::receiving::{Script, Step};

/// A program on a new terminal, created by util-linux's `script`.
pub(crate) struct Terminal {
    process: Child,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts `listen` on a terminal of this width.
    fn start(columns: u16, flags: &str, environment: &[(&str, &str)]) -> Self {
        let listen = "listen --secret-env WEBHOOK_SECRET --listen 127.0.0.1:0 --sender scrapest";
        let program = env!("CARGO_BIN_EXE_scrapest-webhook");
        Self::run(columns, &format!("{program} {listen} {flags}"), environment)
    }

    /// Runs this command line.
    pub(crate) fn run(columns: u16, line: &str, environment: &[(&str, &str)]) -> Self {
        let line = format!("stty cols {columns} rows 40; exec {line}");
        let mut command = Command::new("script");
        command.args(["-qefc", &line, "/dev/null"]);
        command.env("WEBHOOK_SECRET", SECRET).env("TERM", "xterm-256color").env("SHELL", "/bin/sh");
        for name in ["RUST_LOG", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command.envs(environment.iter().copied());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (kept, mut output) = (Arc::clone(&shown), process.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut chunk = [0; 4_096];
            while let Ok(count @ 1..) = output.read(&mut chunk) {
                kept.lock().unwrap().extend_from_slice(&chunk[..count]);
            }
        });
        Self { process, shown }
    }

    /// Types these keys.
    pub(crate) fn types(&mut self, keys: &str) {
        self.process.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).replace('\r', "")
    }

    pub(crate) fn shows(&self, text: &str) {
        eventually(|| self.text().contains(text), || format!("{text:?} in: {}", self.text()));
    }

    async fn send(&self, request: &testing::SignedRequest, path: &str) -> u16 {
        self.shows("time UTC");
        let text = self.text();
        let address = text.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        client::send(address.parse().unwrap(), &client::text_to(path, request)).await.status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_one_aligned_line_and_a_refusal_has_its_cause() {
    for columns in [80, 200] {
        let terminal = Terminal::start(columns, "", &[("NO_COLOR", "1")]);
        let id = "0123456789abcdef0123456789abcdef";
        let genuine = testing::scrapest(SECRET).with_delivery_id(id).sign();
        let forged = testing::scrapest("a secret that is another").sign();
        assert_eq!(terminal.send(&genuine, PATH).await, 204);
        assert_eq!(terminal.send(&forged, PATH).await, 401);
        assert_eq!(terminal.send(&genuine, "/elsewhere").await, 404);
        for text in
            ["cloudflared tunnel", "tweet.created", "204", "401", "the signature was made for"]
        {
            terminal.shows(text);
        }
        terminal.shows("the path \"/elsewhere\" is not served");
        terminal.shows(if columns == 80 { "012345…abcdef" } else { id });
        let text = terminal.text();
        assert!(!text.contains('\u{1b}') && !text.contains('{'), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= usize::from(columns), "{columns}: {line}");
        }
        // The kinds start in one column.
        let column = |status: &str| {
            let line = text.lines().find(|line| line.contains(&format!("  {status}  "))).unwrap();
            line.find("tweet.created")
        };
        assert!(column("204").is_some() && column("204") == column("401"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_gets_colors_but_no_control_characters_of_a_request() {
    let terminal = Terminal::start(80, "", &[]);
    let forged = testing::scrapest("a secret that is another").sign();
    assert_eq!(terminal.send(&forged, PATH).await, 401);
    terminal.shows("\u{1b}[31m");
    let hostile = testing::scrapest(SECRET).with_delivery_id("a\u{202e}b\u{9b}31m").sign();
    assert_eq!(terminal.send(&hostile, PATH).await, 204);
    terminal.shows("\u{1b}[32m");
    let text = terminal.text();
    assert!(!text.contains('\u{202e}') && !text.contains('\u{9b}'), "{text:?}");
    // JSON on a terminal is the same JSON.
    let terminal = Terminal::start(80, "--output json --log-format json", &[]);
    terminal.shows("listening on");
    let text = terminal.text();
    let address = text.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let text = client::text_to(PATH, &hostile);
    assert_eq!(client::send(address.parse().unwrap(), &text).await.status, 204);
    terminal.shows("\\u202e");
    assert!(!terminal.text().contains('\u{202e}'), "{:?}", terminal.text());
}

#[test]
fn a_closed_terminal_shuts_down_gracefully() {
    let log = support::Folder::new();
    let errors = log.file("errors");
    let mut terminal = Terminal::start(80, &format!("2>{errors}"), &[]);
    terminal.shows("time UTC");
    // The terminal is closed, and the kernel sends SIGHUP.
    terminal.process.kill().unwrap();
    terminal.process.wait().unwrap();
    let said = || std::fs::read_to_string(&errors).unwrap_or_default();
    eventually(|| said().contains("stopped: every run has ended"), said);
}

#[test]
fn send_reports_each_retry_on_a_terminal_with_cause_and_pause() {
    let script = Script::start([Step::Answer(503), Step::Answer(500), Step::Answer(204)]);
    let program = env!("CARGO_BIN_EXE_scrapest-webhook");
    let flags = "--sender scrapest --secret-env WEBHOOK_SECRET --backoff 10ms,20ms --to";
    let terminal = Terminal::run(100, &format!("{program} send {flags} {}", script.url), &[]);
    terminal.shows("1 delivered");
    let text = terminal.text();
    let said: Vec<_> = text.lines().filter(|line| line.contains("attempt ")).collect();
    assert_eq!(
        said,
        ["attempt 1 of 6: 503; the next in 10ms", "attempt 2 of 6: 500; the next in 20ms"]
    );
}
