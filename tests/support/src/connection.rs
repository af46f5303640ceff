//! A connection that stays open. Requests are written in arbitrary pieces, and answers are read one at a time.

use std::io::ErrorKind::{AddrInUse, AddrNotAvailable};
use std::time::Duration;

use scrapest_webhook::testing::SignedRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::{Answer, Framework, PATH, Server, client};

pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub async fn to(server: &Server) -> Self {
        Self::from([127, 0, 0, 1], server).await
    }

    /// Connects from an address of the loopback network, all of which belong to this machine.
    pub async fn from(source: [u8; 4], server: &Server) -> Self {
        let connect = async || {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind((source, 0).into())?;
            socket.connect(server.address).await
        };
        // After tens of thousands of connections, it may take a moment until a port is free.
        let mut connected = connect().await;
        for _ in 0..500 {
            match &connected {
                Err(error) if matches!(error.kind(), AddrInUse | AddrNotAvailable) => {}
                _ => break,
            }
            sleep(Duration::from_millis(20)).await;
            connected = connect().await;
        }
        let stream = connected.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, unread: Vec::new() }
    }

    /// Sends the request and returns the status of the answer, or `None` if there was no answer.
    pub async fn status(&mut self, request: &SignedRequest) -> Option<u16> {
        self.write(&open_text(request)).await;
        self.answer().await.map(|answer| answer.status)
    }

    /// Returns whether all bytes were written: a server that refuses early may reset the connection during the
    /// write.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Closes the write half and continues to read.
    pub async fn half_close(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// The refusal of a request with `Expect: 100-continue`. It must come without a 100, unless the framework
    /// sends one.
    pub async fn refusal<F: Framework>(&mut self) -> Option<Answer> {
        if F::CONTINUES_BY_ITSELF {
            assert_eq!(self.answer().await?.status, 100);
        }
        self.answer().await
    }

    /// The next answer, including interim ones, or `None` if the server closes the connection instead.
    pub async fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some(answer) = self.take() {
                return Some(answer);
            }
            let more = self.stream.read_buf(&mut self.unread);
            match timeout(Duration::from_secs(20), more).await.expect("an answer within 20 s") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Whether neither an answer nor the end of the connection arrives within `span`.
    pub async fn is_silent_for(&mut self, span: Duration) -> bool {
        self.unread.is_empty()
            && timeout(span, self.stream.read_buf(&mut self.unread)).await.is_err()
    }

    fn take(&mut self) -> Option<Answer> {
        let mut answer = client::parse(&self.unread)?;
        let length = match answer.header("content-length") {
            Some(length) => length.parse().unwrap(),
            None => 0,
        };
        if answer.body.len() < length {
            return None;
        }
        let rest = answer.body.split_off(length);
        self.unread = rest;
        Some(answer)
    }
}

/// The request line and headers, without a length and without the final empty line; the connection stays open.
pub fn open_head<'a>(
    method: &str,
    headers: impl Iterator<Item = (&'static str, &'a str)>,
) -> Vec<u8> {
    let mut text = format!("{method} {PATH} HTTP/1.1\r\nhost: localhost\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.into_bytes()
}

/// The whole request with its length; the connection stays open.
pub fn open_text(request: &SignedRequest) -> Vec<u8> {
    let mut text = open_head("POST", request.headers());
    text.extend(format!("content-length: {}\r\n\r\n", request.body().len()).bytes());
    text.extend_from_slice(request.body());
    text
}

/// The request with its body in chunks of `size` bytes. The last chunk is included only if `ends`.
pub fn chunked_text(request: &SignedRequest, size: usize, ends: bool) -> Vec<u8> {
    let mut text = open_head("POST", request.headers());
    text.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
    for chunk in request.body().chunks(size) {
        text.extend(format!("{:x}\r\n", chunk.len()).bytes());
        text.extend_from_slice(chunk);
        text.extend_from_slice(b"\r\n");
    }
    if ends {
        text.extend_from_slice(b"0\r\n\r\n");
    }
    text
}
