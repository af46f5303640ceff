//! HTTP/1.1 by hand: what is sent is exactly what a test says, and what comes back is kept byte for byte.

use std::net::SocketAddr;
use std::time::Duration;

use scrapest_webhook::testing::SignedRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::PATH;

/// What a server answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case, in their order.
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

    /// Everything but the date, for comparing two answers byte for byte.
    pub fn without_date(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "date");
        self
    }
}

/// The request as text, asking to close the connection after the answer.
pub fn text(request: &SignedRequest) -> Vec<u8> {
    text_to(PATH, request)
}

/// The same, to this path.
pub fn text_to(path: &str, request: &SignedRequest) -> Vec<u8> {
    let mut text = head_to(path, "POST", request.headers());
    text.extend(format!("content-length: {}\r\n\r\n", request.body().len()).bytes());
    text.extend_from_slice(request.body());
    text
}

/// Request line and headers, without the empty line that ends them and without a length.
pub fn head<'a>(method: &str, headers: impl Iterator<Item = (&'static str, &'a str)>) -> Vec<u8> {
    head_to(PATH, method, headers)
}

/// The same, to this path.
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

/// Sends and reads until the server closes the connection.
pub async fn send(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses early may reset while we are still writing; what counts is its answer.
    let _ = stream.write_all(bytes).await;
    read(&mut stream).await
}

/// Reads one answer: until it is whole, or the server closes the connection. A server that refuses a body
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

/// An answer that came whole on a connection that is then closed.
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

/// How a client goes away.
#[derive(Clone, Copy, Debug)]
pub enum Leave {
    /// Closes the connection.
    Close,
    /// Closes it with a reset.
    Reset,
    /// Closes its own half and goes on reading.
    HalfClose,
}

impl Leave {
    pub const ALL: [Self; 3] = [Self::Close, Self::Reset, Self::HalfClose];

    /// What the client still reads: an answer only after half a close, and then only from a server that
    /// goes on in that case.
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

/// A connection on which these bytes were sent, all of them.
pub async fn begin(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}
