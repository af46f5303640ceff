//! Hand-written HTTP/1.1: sends exactly the bytes of a test, and keeps the answer byte for byte.

use std::net::SocketAddr;
use std::time::Duration;

use scrapest_webhook::testing::SignedRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::PATH;

/// The answer of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case, in their original order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str())
    }

    fn is_whole(&self) -> bool {
        let length = self.header("content-length").and_then(|length| length.parse().ok());
        length.is_some_and(|length: usize| self.body.len() >= length)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The answer without its date, so that two answers can be compared byte for byte.
    pub fn without_date(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "date");
        self
    }
}

/// The request as text, with `connection: close`.
pub fn text(request: &SignedRequest) -> Vec<u8> {
    text_to(PATH, request)
}

/// The request as text to `path`, with `connection: close`.
pub fn text_to(path: &str, request: &SignedRequest) -> Vec<u8> {
    let mut text = head_to(path, "POST", request.headers());
    text.extend(format!("content-length: {}\r\n\r\n", request.body().len()).bytes());
    text.extend_from_slice(request.body());
    text
}

/// The request line and headers to [`PATH`], without a length and without the final empty line.
pub fn head<'a>(method: &str, headers: impl Iterator<Item = (&'static str, &'a str)>) -> Vec<u8> {
    head_to(PATH, method, headers)
}

/// The request line and headers to `path`, without a length and without the final empty line.
pub fn head_to<'a>(
    path: &str,
    method: &str,
    headers: impl Iterator<Item = (&'static str, &'a str)>,
) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.into_bytes()
}

/// Sends the bytes and reads until the server closes the connection.
pub async fn send(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses early may reset the connection during the write; only its answer counts.
    let _ = stream.write_all(bytes).await;
    read(&mut stream).await
}

/// Reads one answer until it is complete or the server closes the connection. A server that refuses a body
/// early may keep the connection open for a while.
pub async fn read(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let reading = async {
        while !parse(&bytes).is_some_and(|answer| answer.is_whole()) {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                break;
            }
        }
    };
    timeout(Duration::from_secs(60), reading).await.expect("an answer within 60 s");
    parse(&bytes).unwrap_or_else(|| panic!("an answer, not {:?}", String::from_utf8_lossy(&bytes)))
}

/// Parses a complete answer from a connection that is then closed.
pub fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect::<Option<_>>()?;
    Some(Answer { status, headers, body: bytes[end + 4..].to_vec() })
}

/// How a client disconnects.
#[derive(Clone, Copy, Debug)]
pub enum Leave {
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
    /// Closes its write half and continues to read.
    HalfClose,
}

impl Leave {
    pub const ALL: [Self; 3] = [Self::Close, Self::Reset, Self::HalfClose];

    /// Disconnects. Returns the answer if the client still reads one, which needs a half-close and a server
    /// that continues after it.
    pub async fn leave(self, mut stream: TcpStream) -> Option<Answer> {
        match self {
            Self::Close => return None,
            Self::Reset => {
                stream.set_zero_linger().unwrap();
                return None;
            }
            Self::HalfClose => stream.shutdown().await.unwrap(),
        }
        let mut bytes = Vec::new();
        let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await.ok()?;
        parse(&bytes)
    }
}

/// Opens a connection and sends all of these bytes.
pub async fn begin(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}
