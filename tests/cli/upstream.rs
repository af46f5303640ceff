//! A scripted service to forward to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::listening::{LONG, eventually};

/// The reaction to a request that was read.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Answers with this status line and these headers, and no body.
    Answer(&'static str),
    /// Never answers.
    Hang,
    /// Answers 204 when it is released.
    Held,
    /// Resets the connection.
    Reset,
    /// Sends `100 Continue` repeatedly until the client closes the connection.
    Continue,
}

/// A received request.
#[derive(Clone, Debug)]
pub struct Received {
    pub head: String,
    pub body: Vec<u8>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(present, _)| present.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }

    /// Sorted, in lower case.
    pub fn header_names(&self) -> Vec<String> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut names: Vec<_> = lines.map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names
    }
}

pub struct Upstream {
    pub port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    held: Arc<Notify>,
}

impl Upstream {
    /// Answers 204 after the script has ended.
    pub async fn start(script: &[Act]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<VecDeque<Act>>> =
            Arc::new(Mutex::new(script.iter().copied().collect()));
        let held = Arc::new(Notify::new());
        let (kept, hold) = (Arc::clone(&received), Arc::clone(&held));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(
                    stream,
                    Arc::clone(&script),
                    Arc::clone(&kept),
                    Arc::clone(&hold),
                ));
            }
        });
        Self { port, received, held }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/events", self.port)
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub fn let_go(&self) {
        self.held.notify_one();
    }

    pub fn has_received(&self, count: usize) {
        eventually(|| self.received().len() >= count, || format!("{count} requests"));
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<Mutex<VecDeque<Act>>>,
    received: Arc<Mutex<Vec<Received>>>,
    held: Arc<Notify>,
) {
    while let Some(request) = read(&mut stream).await {
        received.lock().unwrap().push(request);
        let act = script.lock().unwrap().pop_front();
        match act.unwrap_or(Act::Answer("204 No Content\r\n")) {
            Act::Answer(head) => answer(&mut stream, head).await,
            Act::Held => {
                held.notified().await;
                answer(&mut stream, "204 No Content\r\n").await;
            }
            Act::Hang => _ = tokio::time::timeout(2 * LONG, stream.read_u8()).await,
            Act::Reset => return stream.set_zero_linger().unwrap(),
            Act::Continue => {
                let many = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000);
                while stream.write_all(&many).await.is_ok() {}
                return;
            }
        }
    }
}

async fn answer(stream: &mut TcpStream, head: &str) {
    let head = format!("HTTP/1.1 {head}content-length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
}

/// Returns `None` when there are no more requests.
async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let request = Received { head, body: bytes[end + 4..].to_vec() };
            let length: usize = request.header("content-length").unwrap().parse().unwrap();
            if request.body.len() >= length {
                return Some(request);
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
