//! Runs the commands, and the receivers that they send to.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use scrapest_webhook::{Delivery, Provider, WebhookLayer};

pub(crate) const SECRET: &str = "whsec-test-secret-0001";

/// The command with the secret in the variable SECRET, and without proxy settings.
pub(crate) fn command(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scrapest-webhook"));
    command.args(arguments.split_whitespace()).env("SECRET", SECRET);
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
    {
        command.env_remove(name);
    }
    command
}

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the command until it ends.
pub(crate) fn run(command: &mut Command) -> Ran {
    command.stdin(Stdio::null()).output().unwrap().into()
}

/// Runs the command until it ends, with `input` on its stdin.
pub(crate) fn run_with_input(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = spawn(command.stdin(Stdio::piped()));
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().into()
}

pub(crate) fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let ran = Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        // Checked for every command in every test.
        assert!(!ran.stdout.contains(SECRET) && !ran.stderr.contains(SECRET), "{ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        ran
    }
}

/// An application behind the layer, which records what its handler received.
#[derive(Debug)]
pub(crate) struct Application {
    pub(crate) url: String,
    pub(crate) handled: Arc<Mutex<Vec<Delivery>>>,
}

impl Application {
    pub(crate) fn start<P: Provider + Default>() -> Self {
        let handled = Arc::new(Mutex::new(Vec::new()));
        let deliveries = Arc::clone(&handled);
        let handler = async move |delivery: Delivery| {
            deliveries.lock().unwrap().push(delivery);
            StatusCode::NO_CONTENT
        };
        let layer = WebhookLayer::<P>::new(SECRET);
        let app = Router::new().route("/webhooks", post(handler).route_layer(layer));
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/webhooks", listener.local_addr().unwrap());
        thread::spawn(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app)
                    .await
                    .unwrap();
            });
        });
        Self { url, handled }
    }

    pub(crate) fn handled(&self) -> usize {
        self.handled.lock().unwrap().len()
    }
}

/// The reaction of a scripted receiver to a connection.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Answer(u16),
    AnswerAfter(Duration),
    Redirect(String),
    Hang,
    Reset,
}

/// The request of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// A receiver that does one step after the other, repeats the last one, and verifies nothing.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// The highest number of concurrent requests.
    pub(crate) most: Arc<AtomicU32>,
}

impl Script {
    pub(crate) fn start(steps: impl Into<Vec<Step>>) -> Self {
        let steps = steps.into();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, most) = (Arc::default(), Arc::default());
        let script = Self {
            url: format!("http://{address}/"),
            seen: Arc::clone(&seen),
            most: Arc::clone(&most),
        };
        let under_way: Arc<AtomicU32> = Arc::default();
        thread::spawn(move || {
            for (count, stream) in listener.incoming().enumerate() {
                let step = steps[count.min(steps.len() - 1)].clone();
                let (seen, most, under_way) =
                    (Arc::clone(&seen), Arc::clone(&most), Arc::clone(&under_way));
                thread::spawn(move || {
                    most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    _ = answer(stream.unwrap(), &step, &seen, &under_way);
                });
            }
        });
        script
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn wait_for(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.seen().len() < count {
            assert!(Instant::now() < deadline, "{:?}", self.seen());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn answer(
    mut stream: TcpStream,
    step: &Step,
    seen: &Mutex<Vec<Seen>>,
    under_way: &AtomicU32,
) -> std::io::Result<()> {
    let at = Instant::now();
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut buffer = [0; 64 * 1024];
        let count = stream.read(&mut buffer)?;
        bytes.extend_from_slice(&buffer[..count]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            assert!(count > 0, "the request broke off");
            continue;
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if bytes.len() - end - 4 == length.parse::<usize>().unwrap() {
            break (head, bytes[end + 4..].to_vec());
        }
    };
    seen.lock().unwrap().push(Seen { at, head, body });
    let (status, more) = match step {
        Step::Answer(status) => (*status, String::new()),
        Step::AnswerAfter(pause) => {
            thread::sleep(*pause);
            (200, String::new())
        }
        Step::Redirect(to) => (307, format!("location: {to}\r\n")),
        Step::Hang => {
            thread::sleep(Duration::from_secs(60));
            return Ok(());
        }
        // Resets in the middle of an answer.
        Step::Reset => return stream.write_all(b"HTTP/1.1 20"),
    };
    under_way.fetch_sub(1, Ordering::SeqCst);
    let answer =
        format!("HTTP/1.1 {status} -\r\n{more}content-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes())
}
