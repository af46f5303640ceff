//! A sender that keeps one connection open and sends one delivery at a time.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use http::Request;

/// One connection to a server.
pub struct Client(TcpStream);

impl Client {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Sends the output of [`on_the_wire`], and waits for a 200.
    pub fn deliver(&mut self, request: &[u8]) {
        self.send(request);
        self.receive(200);
    }

    pub fn send(&mut self, request: &[u8]) {
        self.0.write_all(request).unwrap();
    }

    /// Waits for a whole answer with this status.
    pub fn receive(&mut self, status: u16) {
        let mut answer = [0; 2_048];
        let mut read = 0;
        while length(&answer[..read]).is_none_or(|length| read < length) {
            let more = self.0.read(&mut answer[read..]).unwrap();
            assert_ne!(more, 0, "the server has hung up");
            read += more;
        }
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

/// Returns the length of an answer once its head has arrived.
fn length(answer: &[u8]) -> Option<usize> {
    const END: &[u8] = b"\r\n\r\n";
    let head = answer.windows(END.len()).position(|bytes| bytes == END)? + END.len();
    let text = std::str::from_utf8(&answer[..head]).unwrap();
    let named = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    };
    Some(head + text.lines().find_map(named).unwrap_or(0))
}

/// Encodes the request as HTTP/1.1.
pub fn on_the_wire(request: &Request<Bytes>) -> Vec<u8> {
    let mut wire = b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\n".to_vec();
    write!(wire, "content-length: {}\r\n", request.body().len()).unwrap();
    for (name, value) in request.headers() {
        write!(wire, "{name}: ").unwrap();
        wire.extend_from_slice(value.as_bytes());
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"\r\n");
    wire.extend_from_slice(request.body());
    wire
}
