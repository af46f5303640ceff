//! `listen --record`: the recorded part of a request, and that recording never affects the delivery.

use std::path::{Path, PathBuf};

use scrapest_webhook::testing;
use support::Folder;

use crate::listening::{
    Listening, PATH, client, command, command_after, eventually, refused, scrapest,
};

/// Sorted by time.
pub fn recordings(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "http"));
    paths.sort_by_key(|path| {
        path.file_stem().unwrap().to_str().unwrap().rsplit('-').next().unwrap().to_owned()
    });
    paths
}

fn status(path: &Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap().split('-').nth(1).unwrap()
}

fn recording(folder: &Folder, flags: &[&str]) -> Listening {
    let directory = folder.path().to_str().unwrap();
    Listening::start(&[&["--record", directory], flags].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_recorded_as_received_even_if_refused() {
    let folder = Folder::new();
    let listening = recording(&folder, &[]);
    let request = scrapest().sign().with_header("cookie", "a=b");
    let forged = testing::scrapest("a secret that is another").sign();
    let unsigned = format!(
        "POST {PATH}?a=b HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    assert_eq!(listening.send(&request).await.status, 204);
    assert_eq!(listening.send(&request).await.status, 200);
    assert_eq!(listening.send(&forged).await.status, 401);
    assert_eq!(client::send(listening.address, unsigned.as_bytes()).await.status, 401);
    let get = unsigned.replacen("POST", "GET", 1);
    assert_eq!(client::send(listening.address, get.as_bytes()).await.status, 405);
    let ended = listening.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);

    let paths = recordings(folder.path());
    let statuses: Vec<_> = paths.iter().map(|path| status(path)).collect();
    assert_eq!(statuses, ["204", "200", "401", "401", "405"]);
    let files: Vec<_> = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(files[0].starts_with(&format!("POST {PATH} HTTP/1.1\r\n")), "{}", files[0]);
    for (name, value) in request.headers() {
        assert!(files[0].contains(&format!("\r\n{name}: {value}\r\n")), "{name} in: {}", files[0]);
    }
    for (file, body) in files.iter().zip([request.body(), request.body(), forged.body()]) {
        let (head, kept) = file.split_once("\r\n\r\n").unwrap();
        assert_eq!(kept.as_bytes(), body);
        assert!(head.contains("\r\nscrapest-webhook-received: 2"), "{head}");
        assert!(head.ends_with(&format!("\r\ncontent-length: {}", body.len())), "{head}");
    }
    // Refused before the body, so nothing of it was read.
    for (file, method) in files[3..].iter().zip(["POST", "GET"]) {
        assert!(file.starts_with(&format!("{method} {PATH}?a=b HTTP/1.1\r\n")), "{file}");
        assert!(file.ends_with("\r\ncontent-length: 0\r\n\r\n"), "{file}");
    }
    #[cfg(unix)]
    for path in paths {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_cookies_and_the_query_are_left_out_on_request() {
    for (sender, request, header) in [
        ("scrapest", scrapest().sign(), "x-scrapest-signature"),
        (
            "scrapebadger",
            testing::scrapebadger(crate::listening::SECRET).sign(),
            "x-scrapebadger-signature",
        ),
        (
            "scrapebadger",
            testing::scrapebadger_contract_2(crate::listening::SECRET).sign(),
            "x-signature-256",
        ),
    ] {
        let folder = Folder::new();
        let mut command = command();
        command.args(["--sender", sender, "--record-redacted", "--record"]).arg(folder.path());
        let listening = Listening::of(command);
        let signature = request.headers().find(|(name, _)| *name == header).unwrap().1.to_owned();
        let request = request
            .with_header("cookie", "canary_1")
            .with_header("authorization", "canary_2")
            .with_header("x-other", "stays");
        let text = String::from_utf8(client::text_to(PATH, &request)).unwrap();
        let text = text.replacen(PATH, &format!("{PATH}?token=canary_3"), 1);
        assert_eq!(client::send(listening.address, text.as_bytes()).await.status, 204);
        listening.stop();
        let paths = recordings(folder.path());
        let file = std::fs::read_to_string(&paths[0]).unwrap();
        assert!(file.contains("x-other: stays") && file.ends_with("}"), "{file}");
        assert!(!file.contains("canary_") && !file.contains(&signature), "{file}");
        assert!(!file.contains(header), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_recordings_also_holds_after_a_restart() {
    let folder = Folder::new();
    for (sent, kept) in [(1, 1), (3, 2), (1, 2)] {
        let listening = recording(&folder, &["--record-limit", "2"]);
        for _ in 0..sent {
            assert_eq!(listening.send(&scrapest().sign()).await.status, 204);
        }
        let ended = listening.stop();
        assert_eq!(recordings(folder.path()).len(), kept);
        let said = ended.stderr.matches("--record-limit is reached").count();
        assert_eq!(said, usize::from(kept == 2), "{}", ended.stderr);
    }
}

/// A limit on the file size stands in for a full disk: the file is created, but its end does not fit.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_logged_once_and_affects_no_delivery() {
    let folder = Folder::new();
    let mut command = command_after("trap '' XFSZ; ulimit -f 8");
    command.args(["--sender", "scrapest", "--record"]).arg(folder.path());
    let listening = Listening::of(command);
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let send = async |bytes: usize| {
        let text = "a".repeat(bytes);
        let body =
            format!("{{\"event\":\"tweet.created\",\"timestamp\":{now},\"text\":\"{text}\"}}");
        let request = scrapest().with_body(body).sign();
        assert_eq!(listening.send(&request).await.status, 204, "{}", listening.stderr());
        listening.event();
    };
    send(20_000).await;
    send(20_001).await;
    listening.says("requests cannot be recorded; deliveries are still accepted");
    // The second request's file exists until writing it fails as well.
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    eventually(|| files() == 0, || format!("{} files are left half", files()));
    send(10).await;
    listening.says("requests are recorded again");
    send(11).await;
    eventually(|| recordings(folder.path()).len() == 2, || "two recordings".into());
    let ended = listening.stop();
    assert_eq!(ended.stderr.matches("requests cannot be recorded").count(), 1, "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_directory_affects_no_delivery() {
    let folder = Folder::new();
    let directory = folder.path().join("recordings");
    std::fs::create_dir(&directory).unwrap();
    let listening = Listening::start(&["--record", directory.to_str().unwrap()]);
    std::fs::remove_dir(&directory).unwrap();
    assert_eq!(listening.send(&scrapest().sign()).await.status, 204);
    listening.says("requests cannot be recorded");
    std::fs::create_dir(&directory).unwrap();
    assert_eq!(listening.send(&scrapest().sign()).await.status, 204);
    listening.says("requests are recorded again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_sender_left_is_kept_as_far_as_received() {
    let folder = Folder::new();
    let listening = recording(&folder, &[]);
    let mut text = client::text_to(PATH, &scrapest().sign());
    text.truncate(text.len() - 5);
    drop(client::begin(listening.address, &text).await);
    eventually(|| recordings(folder.path()).len() == 1, || listening.stderr());
    let path = &recordings(folder.path())[0];
    assert!(["400", "gone"].contains(&status(path)), "{path:?}");
}

#[test]
fn an_error_about_an_unusable_directory_names_the_flag() {
    let folder = Folder::new();
    std::fs::write(folder.path().join("file"), "").unwrap();
    // A missing directory is created, but not below a file.
    for path in [folder.path().join("file/below"), folder.path().join("file")] {
        let mut command = command();
        command.args(["--sender", "scrapest", "--record"]).arg(&path);
        let (code, out, error) = refused(&mut command);
        assert_eq!((code, out.as_str()), (Some(2), ""));
        assert!(error.contains(&format!("--record {}: ", path.display())), "{error}");
    }
    let (code, _, error) = refused(command().args(["--sender", "scrapest", "--record-redacted"]));
    assert!(code == Some(2) && error.contains("--record"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_created_and_forgeries_take_at_most_half_of_it() {
    let folder = Folder::new();
    let directory = folder.path().join("new/recordings");
    let flags = ["--record", directory.to_str().unwrap(), "--record-limit", "4"];
    let listening = Listening::start(&flags);
    let forged = testing::scrapest("a secret that is another").sign();
    for _ in 0..5 {
        assert_eq!(listening.send(&forged).await.status, 401);
    }
    for _ in 0..2 {
        assert_eq!(listening.send(&scrapest().sign()).await.status, 204);
    }
    listening.stop();
    let statuses = |directory: &Path| -> Vec<_> {
        recordings(directory).iter().map(|path| status(path).to_owned()).collect()
    };
    assert_eq!(statuses(&directory), ["401", "401", "204", "204"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_first_reports_that_a_recording_had_another_refusal_reason() {
    let folder = Folder::new();
    let listening = recording(&folder, &["--forward", "http://127.0.0.1:9/"]);
    assert_eq!(listening.send(&scrapest().sign()).await.status, 502);
    listening.stop();
    let path = recordings(folder.path()).remove(0);
    let flags = format!("verify --sender scrapest --secret-env W --file {}", path.display());
    let ran =
        crate::receiving::run(crate::receiving::command(&flags).env("W", crate::listening::SECRET));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("answered when it was received: 502\nvalid"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redacted_recordings_contain_no_api_keys() {
    let folder = Folder::new();
    let listening = recording(&folder, &["--record-redacted"]);
    let mut request = scrapest().sign();
    for name in ["x-api-key", "x-auth-token", "cf-access-jwt-assertion"] {
        request = request.with_header(name, "canary");
    }
    assert_eq!(listening.send(&request).await.status, 204);
    listening.stop();
    let text = std::fs::read_to_string(&recordings(folder.path())[0]).unwrap();
    assert!(!text.contains("canary"), "{text}");
}
