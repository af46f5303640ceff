//! The inspector: who may read its page, what it replays, and what it stores.

mod page;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;

use scrapest_webhook::testing;
use support::Folder;

use crate::listening::{Listening, SECRET, command, eventually};
use crate::receiving::{command as run_command, run};
use crate::upstream::Upstream;

/// Starts `listen` with `--ui`, and returns the URL of the page.
fn inspected(flags: &[&str]) -> (Listening, String) {
    let listening = Listening::start(&[&["--ui", "127.0.0.1:0"], flags].concat());
    listening.says("inspector: ");
    let stderr = listening.stderr();
    let url = stderr.lines().find_map(|line| line.strip_prefix("inspector: ")).unwrap().to_owned();
    (listening, url)
}

fn address(url: &str) -> SocketAddr {
    url.split('/').nth(2).unwrap().parse().unwrap()
}

fn path(url: &str) -> String {
    format!("/{}", url.splitn(4, '/').nth(3).unwrap())
}

/// Sends one request as raw text, and returns the status and the whole answer.
fn ask(url: &str, method: &str, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address(url)).unwrap();
    stream.set_read_timeout(Some(crate::listening::LONG)).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

fn tweet(text: &str) -> testing::WebhookRequest {
    let sample = testing::scrapest(SECRET).sign();
    let body = String::from_utf8(sample.body().to_vec()).unwrap();
    let text = serde_json::to_string(text).unwrap();
    testing::scrapest(SECRET).with_body(body.replace("\"The future is electric...\"", &text))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_origin_or_host_is_refused() {
    let upstream = Upstream::start(&[]).await;
    let (listening, url) = inspected(&["--forward", &upstream.url()]);
    assert_eq!(listening.send(&tweet("secret text").sign()).await.status, 204);
    listening.event();
    let (host, path) = (address(&url), path(&url));
    let right = format!("host: {host}\r\n");
    eventually(
        || ask(&url, "GET", &format!("{path}requests/1"), &right).0 == 200,
        || "the request is shown".to_owned(),
    );
    let origin = format!("{right}origin: http://{host}\r\n");
    let replay = format!("{path}requests/1/replay");
    let port = host.port();
    for (method, path, headers, status) in [
        ("GET", "/", right.clone(), 404),
        ("GET", "/events", right.clone(), 404),
        ("GET", "/0123456789abcdef0123456789abcdef/requests/1", right.clone(), 404),
        ("POST", "/0123456789abcdef0123456789abcdef/requests/1/replay", origin.clone(), 404),
        // DNS rebinding: the browser believes that it talks to another server.
        ("GET", &*path, format!("host: evil.example:{port}\r\n"), 421),
        ("GET", &path, "host: 127.0.0.1:1\r\n".to_owned(), 421),
        ("GET", &path, format!("{right}host: evil.example\r\n"), 400),
        // A page of another origin that knows the URL.
        ("POST", &replay, right.clone(), 403),
        ("POST", &replay, format!("{right}origin: http://evil.example\r\n"), 403),
        ("POST", &replay, format!("{right}origin: null\r\n"), 403),
        (
            "GET",
            &format!("{path}requests/1"),
            format!("{right}origin: http://evil.example\r\n"),
            403,
        ),
        (
            "GET",
            &format!("{path}requests/1"),
            format!("{right}sec-fetch-site: cross-site\r\n"),
            403,
        ),
        ("GET", &replay, right.clone(), 405),
    ] {
        let (found, answer) = ask(&url, method, path, &headers);
        // Several `Host` headers are refused by the HTTP server or by the inspector.
        let is_same = found == status || (status == 400 && found == 421);
        assert!(is_same, "{method} {path} {headers}: {answer}");
        assert!(
            !answer.contains("secret text") && !answer.contains("access-control-allow"),
            "{answer}"
        );
    }
    assert_eq!(upstream.received().len(), 1, "nothing was replayed");
    let (status, page) = ask(&url, "GET", &path, &right);
    assert_eq!(status, 200);
    for header in
        ["default-src 'none'", "frame-ancestors 'none'", "no-store", "no-referrer", "nosniff"]
    {
        assert!(page.contains(header), "{header}: {page}");
    }
    assert!(!page.contains("unsafe-inline") && !page.contains(SECRET), "{page}");
    // Headers that authenticate the sender are cut, also for the page itself.
    let (_, detail) = ask(&url, "GET", &format!("{path}requests/1"), &right);
    assert!(detail.contains("cut)") && detail.contains("secret text"), "{detail}");
    let signature = tweet("secret text").sign();
    let signature =
        signature.headers().find(|(name, _)| name.contains("signature")).unwrap().1.len();
    assert_eq!(signature, 71);
    assert!(
        !detail
            .split("sha256=")
            .skip(1)
            .any(|rest| rest.bytes().take(20).all(|byte| byte.is_ascii_hexdigit()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_reaches_the_service_with_the_same_key_and_a_larger_fence() {
    let upstream = Upstream::start(&[]).await;
    let (listening, url) = inspected(&["--forward", &upstream.url()]);
    let forged = testing::scrapest("a secret that is another").sign();
    assert_eq!(listening.send(&tweet("once more").sign()).await.status, 204);
    assert_eq!(listening.send(&forged).await.status, 401);
    let (host, path) = (address(&url), path(&url));
    let headers = format!("host: {host}\r\norigin: http://{host}\r\n");
    eventually(
        || ask(&url, "GET", &format!("{path}requests/2"), &headers).0 == 200,
        || "both requests are shown".to_owned(),
    );
    for _ in 0..2 {
        let (status, answer) = ask(&url, "POST", &format!("{path}requests/1/replay"), &headers);
        assert!(status == 200 && answer.contains("\"status\":204"), "{answer}");
    }
    // A request that was not verified is never replayed.
    assert_eq!(ask(&url, "POST", &format!("{path}requests/2/replay"), &headers).0, 409);
    let received = upstream.received();
    assert_eq!(received.len(), 3);
    let fence = |at: usize| received[at].header("webhook-fence").unwrap().parse::<u64>().unwrap();
    assert!(fence(0) < fence(1) && fence(1) < fence(2));
    for replayed in &received[1..] {
        assert_eq!(replayed.header("idempotency-key"), received[0].header("idempotency-key"));
        assert_eq!(replayed.header("webhook-origin"), Some("replayed"));
        assert_eq!(replayed.body, received[0].body);
    }
    let (_, detail) = ask(&url, "GET", &format!("{path}requests/2"), &headers);
    assert!(detail.contains("or with another secret") && detail.contains("likely"), "{detail}");
    // The command is signed with the current secret.
    let (status, curl) = ask(&url, "POST", &format!("{path}requests/1/curl"), &headers);
    assert!(status == 200 && curl.contains("curl -i") && !curl.contains(SECRET), "{curl}");
    let curl = curl.split_once("\r\n\r\n").unwrap().1;
    let output = std::process::Command::new("sh").args(["-c", curl]).stderr(Stdio::null()).output();
    if let Ok(output) = output
        && output.status.code() != Some(127)
    {
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("200 OK"),
            "a duplicate: {output:?}"
        );
    }
    // `verify` accepts the recording.
    let (status, recording) = ask(&url, "GET", &format!("{path}requests/1/recording"), &headers);
    assert_eq!(status, 200);
    let (folder, body) = (Folder::new(), recording.split_once("\r\n\r\n").unwrap().1);
    folder.write("recorded.http", body);
    let flags =
        format!("verify --sender scrapest --secret-env W --file {}", folder.file("recorded.http"));
    let ran = run(run_command(&flags).env("W", SECRET));
    assert!(ran.code == Some(0) && ran.stdout.starts_with("valid"), "{ran:?}");
    let (status, test) = ask(&url, "GET", &format!("{path}requests/1/test"), &headers);
    assert!(status == 200 && test.contains("include_bytes!(\"tweet_created_1.http\")"), "{test}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_pages_and_kept_requests_are_bounded() {
    let (listening, url) = inspected(&["--ui-keep", "10", "--output", "quiet"]);
    let (host, path) = (address(&url), path(&url));
    let right = format!("host: {host}\r\n");
    let pages: Vec<_> = (0..16)
        .map(|_| {
            let mut stream = TcpStream::connect(host).unwrap();
            write!(stream, "GET {path}events HTTP/1.1\r\n{right}\r\n").unwrap();
            let mut first = [0; 12];
            stream.read_exact(&mut first).unwrap();
            assert_eq!(&first, b"HTTP/1.1 200");
            stream
        })
        .collect();
    assert_eq!(ask(&url, "GET", &format!("{path}events"), &right).0, 503);
    for _ in 0..30 {
        assert_eq!(listening.send(&tweet("nobody reads this").sign()).await.status, 204);
    }
    eventually(
        || ask(&url, "GET", &format!("{path}requests/30"), &right).0 == 200,
        || "the newest is kept".to_owned(),
    );
    assert_eq!(ask(&url, "GET", &format!("{path}requests/20"), &right).0, 404);
    assert_eq!(ask(&url, "GET", &format!("{path}requests/21"), &right).0, 200);
    drop(pages);
    // A closed page makes room for another one.
    eventually(
        || {
            let mut stream = TcpStream::connect(host).unwrap();
            write!(stream, "GET {path}events HTTP/1.1\r\n{right}\r\n").unwrap();
            let mut first = [0; 12];
            stream.read_exact(&mut first).is_ok() && &first == b"HTTP/1.1 200"
        },
        || "a place for another page".to_owned(),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_bodies_take_at_most_64_mib() {
    let (listening, url) = inspected(&["--output", "quiet"]);
    let (path, right) = (path(&url), format!("host: {}\r\n", address(&url)));
    let text = "a".repeat(1_000_000);
    for _ in 0..70 {
        assert_eq!(listening.send(&tweet(&text).sign()).await.status, 204);
    }
    let is_kept =
        |number: u32| match ask(&url, "GET", &format!("{path}requests/{number}"), &right).0 {
            200 => true,
            404 => false,
            status => panic!("{status}"),
        };
    eventually(|| is_kept(70), || "the newest is kept".to_owned());
    let kept = (1..=70).filter(|number| is_kept(*number)).count();
    assert!((60..=67).contains(&kept), "{kept} of a million bytes each");
    assert!(!is_kept(1));
}

#[test]
fn a_publicly_reachable_page_is_served_with_the_flag() {
    let flags = ["--ui", "0.0.0.0:0", "--ui-allow-remote"];
    let listening = Listening::start(&flags);
    listening.says("inspector: ");
    let stderr = listening.stderr();
    let url = stderr.lines().find_map(|line| line.strip_prefix("inspector: ")).unwrap();
    let port = address(url).port();
    let url = format!("http://127.0.0.1:{port}{}", path(url));
    let host = |name: &str| format!("host: {name}:{port}\r\n");
    assert_eq!(ask(&url, "GET", &path(&url), &host("127.0.0.1")).0, 200);
    assert_eq!(ask(&url, "GET", "/", &host("127.0.0.1")).0, 404, "not found without the token");
}

#[test]
fn a_public_address_needs_a_flag_and_a_port_in_use_is_named() {
    let mut refused = command();
    refused.args(["--sender", "scrapest", "--ui", "0.0.0.0:0"]);
    let ran = run(&mut refused);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--ui 0.0.0.0:0: is not a loopback address"), "{ran:?}");
    let (_listening, url) = inspected(&[]);
    let taken = address(&url).to_string();
    let mut refused = command();
    refused.args(["--sender", "scrapest", "--ui", &taken]);
    let ran = run(&mut refused);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains(&format!("--ui {taken}: expected a free host and port")),
        "{ran:?}"
    );
}
