//! The built binary as a process, with a way to wait for lines on its standard error.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use super::mock::{KEY, Mock};

pub fn command(mock: &Mock, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scrapest-webhook"));
    command
        .args(words)
        .args(["--api-url", &mock.url, "--api-key-env", "TEST_API_KEY"])
        .env("TEST_API_KEY", KEY)
        .env_remove("RUST_LOG");
    command
}

/// Runs the command to its end, outside the runtime's threads.
pub async fn run(mock: &Mock, words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = command(mock, words);
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let [out, err] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    for text in [&out, &err] {
        assert!(!text.contains(KEY), "the API key is shown: {text}");
    }
    (status.code(), out, err)
}

pub struct Running {
    child: Child,
    lines: BufReader<ChildStderr>,
}

impl Running {
    pub fn start(mock: &Mock, words: &[&str]) -> Self {
        let mut child = command(mock, words).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Self { child, lines }
    }

    /// Reads until a line has this beginning. Returns `false` if the output ends before.
    pub fn reaches(&mut self, beginning: &str) -> bool {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            if line.starts_with(beginning) {
                return true;
            }
            line.clear();
        }
        false
    }

    /// Kills the process as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
