//! A real Chromium, controlled by the DevTools protocol over a pair of pipes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::Folder;

/// Longer than anything takes on a busy machine.
const LONG: Duration = Duration::from_secs(120);

pub struct Browser {
    process: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    last_id: u64,
    _profile: Folder,
}

impl Browser {
    /// Returns `None` and prints one line where there is no Chromium, unless the environment requires one.
    pub fn start() -> Option<Self> {
        let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
            let version = Command::new(name).arg("--version").stdin(Stdio::null()).output();
            version.is_ok_and(|output| output.status.success())
        });
        let Some(name) = found else {
            assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "no chromium is installed");
            eprintln!("skipped: no chromium is installed");
            return None;
        };
        let profile = Folder::new();
        // Chromium reads commands from descriptor 3, and writes to 4.
        let script = "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut process = Command::new("sh")
            .args([
                "-c",
                script,
                "sh",
                name,
                "--remote-debugging-pipe",
                "--headless",
                "--no-sandbox",
            ])
            .args(["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"])
            .args(["--disable-background-networking", "--disable-component-update"])
            .args(["--disable-dev-shm-usage", &format!("--user-data-dir={}", profile.file("."))])
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let (sender, messages) = mpsc::channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|count| count > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { return };
                if sender.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut this =
            Self { process, input, messages, session: None, last_id: 0, _profile: profile };
        let target = this.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = this.call("Target.attachToTarget", attach);
        this.session = session["sessionId"].as_str().map(str::to_owned);
        this.call("Page.enable", json!({}));
        this.call("Runtime.enable", json!({}));
        Some(this)
    }

    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).unwrap();
        loop {
            let answer = self.messages.recv_timeout(LONG);
            let mut answer = answer.unwrap_or_else(|_| panic!("an answer to {method}"));
            if answer["id"] == self.last_id {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
        self.waits_for("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// Returns the value of an expression after its promise has resolved.
    pub fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut result = self.call("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].take()
    }

    /// Evaluates the expression repeatedly until it is true.
    pub fn waits_for(&mut self, expression: &str) {
        let since = Instant::now();
        loop {
            let params = json!({"expression": expression, "returnByValue": true});
            let result = self.call("Runtime.evaluate", params);
            if result["result"]["value"] == true {
                return;
            }
            assert!(since.elapsed() < LONG, "{expression}: {result}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses a key by its name in `KeyboardEvent.key`.
    pub fn press(&mut self, key: &str) {
        let text = if key.chars().count() == 1 { key } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let mut params = json!({"type": kind, "key": key});
            if kind == "keyDown" && !text.is_empty() {
                params["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", params);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}
