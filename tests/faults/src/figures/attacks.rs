//! The traffic of attackers. Each attack continues until it is stopped.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, interval, sleep};

const SIGNATURE: &str =
    "x-scrapest-signature: sha256=0000000000000000000000000000000000000000000000000000000000000000";

/// How each attack was answered, and the longest delay.
#[derive(Default)]
pub struct Seen(Mutex<Answers>);

/// By attack and status: the number of answers, and the longest delay.
type Answers = BTreeMap<(&'static str, u16), (usize, Duration)>;

impl Seen {
    fn note(&self, attack: &'static str, status: u16, after: Duration) {
        let mut all = self.0.lock().expect("nobody panics with it");
        let (count, longest) = all.entry((attack, status)).or_default();
        *count += 1;
        *longest = after.max(*longest);
    }

    /// Attacks that were cut too late, answered as if they were genuine, or never answered.
    pub fn violations(&self, cut: Duration) -> Vec<String> {
        let all = self.0.lock().expect("nobody panics with it");
        let mut found = Vec::new();
        for (&(attack, status), &(count, longest)) in all.iter() {
            if longest > cut {
                found.push(format!("{attack} was cut after {longest:.1?}"));
            }
            if (200..300).contains(&status) {
                found.push(format!("{attack} was answered {status} {count} times"));
            }
        }
        for attack in [SLOW_BODY, ENDLESS, HUGE, FORGED] {
            if !all.keys().any(|(seen, status)| *seen == attack && *status >= 400) {
                found.push(format!("{attack} was never refused"));
            }
        }
        found
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.lock().expect("nobody panics with it");
        for (place, ((attack, status), (count, longest))) in all.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{attack} {count} × {status} within {longest:.1?}")?;
        }
        Ok(())
    }
}

const SLOW_BODY: &str = "slow body";
const UNFINISHED: &str = "unfinished";
const ENDLESS: &str = "endless chunks";
const HUGE: &str = "10 GB announced";
const FORGED: &str = "forged";

/// Sends one byte of a body per second.
pub async fn slow_body(address: SocketAddr, seen: Arc<Seen>) {
    let headers = head("content-length: 1000");
    loop {
        let each = Duration::from_secs(1);
        attack(address, SLOW_BODY, &headers, b"x", each, &seen).await;
    }
}

/// Sends a body of 1 MiB without its last byte, from another address than that of the genuine deliveries.
pub async fn unfinished(address: SocketAddr, seen: Arc<Seen>) {
    let headers = head("content-length: 1048576");
    let body = vec![b'x'; 1_048_575];
    loop {
        let Ok(mut stream) = from_elsewhere(address).await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let began = Instant::now();
        _ = stream.write_all(headers.as_bytes()).await;
        _ = stream.write_all(&body).await;
        let mut answer = [0; 512];
        let read = stream.read(&mut answer).await.unwrap_or(0);
        seen.note(UNFINISHED, status(&answer[..read]), began.elapsed());
    }
}

/// Sends such a body over HTTP/2, each on a new connection.
pub async fn unfinished_http2(address: SocketAddr, seen: Arc<Seen>) {
    loop {
        let Ok(stream) = from_elsewhere(address).await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok((streams, connection)) = h2::client::handshake(stream).await else { continue };
        let connection = tokio::spawn(connection);
        let began = Instant::now();
        if let Ok(mut streams) = streams.ready().await {
            let (name, value) = SIGNATURE.split_once(": ").expect("a header");
            let request = Request::post(format!("http://{address}/scrapest")).header(name, value);
            let request = request.body(()).expect("a request");
            if let Ok((answer, mut body)) = streams.send_request(request, false)
                && body.send_data(Bytes::from(vec![b'x'; 1_048_575]), false).is_ok()
            {
                let status = answer.await.map_or(0, |answer| answer.status().as_u16());
                seen.note(UNFINISHED, status, began.elapsed());
            }
        }
        connection.abort();
    }
}

async fn from_elsewhere(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // The port is free again at once, because an attacker does not run out of ports.
    socket.set_zero_linger()?;
    socket.bind(([127, 0, 0, 2], 0).into())?;
    socket.connect(address).await
}

/// Sends as many chunks as the receiver accepts.
pub async fn endless_chunks(address: SocketAddr, seen: Arc<Seen>) {
    let headers = head("transfer-encoding: chunked");
    let mut chunk = b"4000\r\n".to_vec();
    chunk.resize(6 + 0x4000, b'x');
    chunk.extend(b"\r\n");
    loop {
        attack(address, ENDLESS, &headers, &chunk, Duration::from_millis(1), &seen).await;
        sleep(Duration::from_millis(100)).await;
    }
}

/// Announces a length that is always too large, and sends no body.
pub async fn huge_length(address: SocketAddr, seen: Arc<Seen>) {
    let headers = head("content-length: 10000000000");
    loop {
        attack(address, HUGE, &headers, b"x", Duration::from_secs(1), &seen).await;
        sleep(Duration::from_millis(500)).await;
    }
}

/// Sends requests in which only the signature is wrong.
pub async fn forged(address: SocketAddr, rate: u32, seen: Arc<Seen>) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let mut due = interval(Duration::from_secs(1) / rate);
    let body = Bytes::from(vec![b'x'; 2_048]);
    loop {
        let began = due.tick().await;
        let (name, value) = SIGNATURE.split_once(": ").expect("a header");
        let request = Request::post(format!("http://{address}/scrapest"))
            .header(name, value)
            .body(Full::new(body.clone()))
            .expect("a request");
        let (client, seen) = (client.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            if let Ok(answer) = client.request(request).await {
                seen.note(FORGED, answer.status().as_u16(), began.elapsed());
                _ = answer.into_body().collect().await;
            }
        });
    }
}

/// Sends one byte of a header per second. The limit for this is a setting of the server, not of the layer.
pub async fn slow_headers(address: SocketAddr) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            _ = stream.write_all(b"POST /scrapest HTTP/1.1\r\nx-slow: ").await;
            while stream.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Opens and closes connections.
pub async fn connections(address: SocketAddr) {
    let mut due = interval(Duration::from_millis(2));
    loop {
        due.tick().await;
        tokio::spawn(async move {
            let stream = TcpStream::connect(address).await;
            sleep(Duration::from_millis(20)).await;
            drop(stream);
        });
    }
}

/// Opens HTTP/2 streams and resets them at once.
pub async fn rapid_reset(address: SocketAddr, seen: Arc<Seen>) {
    loop {
        let Ok(stream) = TcpStream::connect(address).await else { continue };
        let Ok((mut streams, connection)) = h2::client::handshake(stream).await else { continue };
        let connection = tokio::spawn(connection);
        while let Ok(ready) = streams.ready().await {
            streams = ready;
            let request = Request::post(format!("http://{address}/scrapest")).body(());
            let Ok((_answer, mut body)) = streams.send_request(request.expect("a request"), false)
            else {
                break;
            };
            body.send_reset(h2::Reason::CANCEL);
            tokio::task::yield_now().await;
        }
        // The server has closed the connection, which is recorded as status 0.
        seen.note("rapid reset", 0, Duration::ZERO);
        connection.abort();
        sleep(Duration::from_millis(50)).await;
    }
}

fn head(framing: &str) -> String {
    format!("POST /scrapest HTTP/1.1\r\nhost: h\r\n{SIGNATURE}\r\n{framing}\r\n\r\n")
}

/// Sends `piece` repeatedly until there is an answer or the connection is closed.
async fn attack(
    address: SocketAddr,
    name: &'static str,
    headers: &str,
    piece: &[u8],
    each: Duration,
    seen: &Seen,
) {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return sleep(Duration::from_millis(100)).await;
    };
    let began = Instant::now();
    if stream.write_all(headers.as_bytes()).await.is_err() {
        return;
    }
    let (mut reads, mut writes) = stream.split();
    let mut answer = [0; 512];
    let push = async {
        while writes.write_all(piece).await.is_ok() {
            sleep(each).await;
        }
        // The server has closed the connection; an answer may still be unread.
        std::future::pending::<()>().await;
    };
    let read = tokio::select! {
        read = reads.read(&mut answer) => read.unwrap_or(0),
        () = push => 0,
    };
    seen.note(name, status(&answer[..read]), began.elapsed());
}

/// Parses the status; 0 if the connection was closed without an answer.
fn status(answer: &[u8]) -> u16 {
    let status = answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
    status.and_then(|status| status.parse().ok()).unwrap_or(0)
}
