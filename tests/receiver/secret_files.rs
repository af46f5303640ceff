//! A watched file of secrets: valid content is applied, and everything else is ignored.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use scrapest_webhook::{ScrapestWebhookLayer, Secrets, testing};
use support::in_process::{app, status};
use support::logged::{self, Logged};
use support::{Framework, Handler, Server, eventually as in_time, nonce};
use tokio::time::sleep;
use tracing::Level;

const ONE: &str = "whsec_canary_7b1d5f0c93aa4e21_one";
const TWO: &str = "whsec_canary_7b1d5f0c93aa4e21_two";
const EVERY: Duration = Duration::from_millis(20);
/// Long enough for ten reads and the second read of a change.
const LOOKED: Duration = Duration::from_millis(400);

/// A folder that is deleted on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("webhook-secrets-{}-{}", std::process::id(), nonce());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The layout of a secret in Kubernetes: `key` → `..data/key`, `..data` → a folder per version.
    fn publish(&self, version: &str, content: &str) {
        let folder = self.join(version);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("key"), content).unwrap();
        symlink(version, self.join("..data_tmp")).unwrap();
        fs::rename(self.join("..data_tmp"), self.join("..data")).unwrap();
        if !self.join("key").is_symlink() {
            symlink("..data/key", self.join("key")).unwrap();
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn serve<F: Framework>(file: &Path) -> (Secrets, Server) {
    logged::trace_if_asked();
    let (secrets, watch) = Secrets::from_watched_file(file, EVERY).unwrap();
    tokio::spawn(watch);
    let server = F::serve(ScrapestWebhookLayer::from_secrets(secrets.clone()), Handler::ok()).await;
    (secrets, server)
}

async fn statuses(server: &Server) -> [u16; 2] {
    let send = async |secret: &str| server.send(&testing::scrapest(secret).sign()).await.status;
    [send(ONE).await, send(TWO).await]
}

async fn eventually(server: &Server, expected: [u16; 2]) {
    for _ in 0..500 {
        if statuses(server).await == expected {
            return;
        }
        sleep(EVERY).await;
    }
    panic!("{expected:?} in 10 s, not {:?}", statuses(server).await);
}

async fn a_changed_file_changes_the_secrets<F: Framework>() {
    let folder = Folder::new();
    let file = folder.join("secret");
    fs::write(&file, format!("{ONE}\n")).unwrap();
    let (_secrets, server) = serve::<F>(&file).await;
    assert_eq!(statuses(&server).await, [200, 401]);
    // Two secrets, overwritten in place; then one, by a rename.
    fs::write(&file, format!("{TWO}\r\n{ONE}\r\n")).unwrap();
    eventually(&server, [200, 200]).await;
    fs::write(folder.join("next"), TWO).unwrap();
    fs::rename(folder.join("next"), &file).unwrap();
    eventually(&server, [401, 200]).await;
}

async fn a_kubernetes_style_link_swap_changes_the_secrets<F: Framework>() {
    let folder = Folder::new();
    folder.publish("..2026_05", ONE);
    let (_secrets, server) = serve::<F>(&folder.join("key")).await;
    assert_eq!(statuses(&server).await, [200, 401]);
    folder.publish("..2026_11", &format!("{ONE}\n{TWO}"));
    fs::remove_dir_all(folder.join("..2026_05")).unwrap();
    eventually(&server, [200, 200]).await;
    folder.publish("..2026_12", TWO);
    eventually(&server, [401, 200]).await;
}

async fn an_unusable_file_keeps_the_secrets<F: Framework>() {
    let folder = Folder::new();
    let file = folder.join("secret");
    fs::write(&file, ONE).unwrap();
    let (_secrets, server) = serve::<F>(&file).await;
    for bad in no_good() {
        bad(&file);
        sleep(LOOKED).await;
        assert_eq!(statuses(&server).await, [200, 401]);
    }
    fs::write(&file, TWO).unwrap();
    eventually(&server, [401, 200]).await;
}

/// Atomically, so that a reader never finds it half written.
fn put(file: &Path, content: impl AsRef<[u8]>) {
    let next = file.with_extension("next");
    fs::write(&next, content).unwrap();
    fs::rename(next, file).unwrap();
}

/// Ways to spoil a file; the last one deletes it.
fn no_good() -> [fn(&Path); 8] {
    [
        |file| put(file, ""),
        |file| put(file, "\n\n"),
        |file| put(file, " \t \n"),
        |file| put(file, "whsec_c"),
        |file| put(file, format!("{TWO}\n\n{ONE}\n")),
        |file| put(file, format!("{TWO}\n").repeat(5)),
        |file| put(file, "x".repeat(5_000)),
        |file| fs::remove_file(file).unwrap(),
    ]
}

async fn a_file_written_in_pieces_takes_effect_once_complete<F: Framework>() {
    let folder = Folder::new();
    let file = folder.join("secret");
    fs::write(&file, ONE).unwrap();
    let (secrets, watch) = Secrets::from_watched_file(&file, Duration::from_secs(1)).unwrap();
    tokio::spawn(watch);
    let server = F::serve(ScrapestWebhookLayer::from_secrets(secrets), Handler::ok()).await;
    // Each prefix is a valid secret itself, and exists for one read but not for two.
    for pieces in 9..TWO.len() {
        fs::write(&file, &TWO[..pieces]).unwrap();
        sleep(Duration::from_millis(100)).await;
        assert_eq!(statuses(&server).await, [200, 401], "{pieces} bytes");
    }
    fs::write(&file, TWO).unwrap();
    eventually(&server, [401, 200]).await;
}

#[test]
fn an_unusable_file_at_the_start_is_an_error() {
    let folder = Folder::new();
    let file = folder.join("secret");
    let error = || Secrets::from_watched_file(&file, EVERY).map(drop).unwrap_err().to_string();
    assert!(error().contains("cannot be read"), "{}", error());
    for (content, text) in [
        ("", "secret is empty"),
        (" ", "secret is blank"),
        ("1234567", "secret has 7 bytes"),
        ("a secret of some length\n\n", "secret is empty"),
    ] {
        fs::write(&file, content).unwrap();
        let error = error();
        assert!(error.contains(text) && error.contains(file.to_str().unwrap()), "{error}");
    }
    fs::write(&file, ONE).unwrap();
    let error = Secrets::from_watched_file(&file, Duration::ZERO).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "secret: is read every 0s, expected more than 0");
}

#[tokio::test]
async fn an_unusable_file_is_logged_once_and_its_recovery_once() {
    let folder = Folder::new();
    let file = folder.join("secret");
    fs::write(&file, ONE).unwrap();
    let (secrets, watch) = Secrets::from_watched_file(&file, EVERY).unwrap();
    let app = app(ScrapestWebhookLayer::from_secrets(secrets), &Handler::ok());
    // With a single subscriber, an event that another test's thread reaches first would be disabled everywhere.
    let _other = Logged::begin();
    let (logged, _guard) = Logged::begin();
    let watching = tokio::spawn(watch);
    let said = || {
        let lines = logged.lines().into_iter().filter(|line| line.is_event);
        let lines = lines.filter(|line| line.level <= Level::INFO);
        lines.map(|line| (line.level, line.fields["message"].clone())).collect::<Vec<_>>()
    };
    sleep(LOOKED).await;
    assert_eq!(said(), [], "nothing happened");
    let mut expected = 0;
    for bad in no_good() {
        bad(&file);
        expected += 1;
        in_time("it is said", || said().len() == expected).await;
        sleep(LOOKED).await;
        let said = said();
        assert_eq!((said.len(), said[expected - 1].0), (expected, Level::WARN), "{said:?}");
    }
    let last = logged.values("error").pop().unwrap();
    assert!(last.contains(file.to_str().unwrap()), "{last}");
    // Valid again, first with the earlier content, then with another.
    for secret in [ONE, TWO] {
        put(&file, secret);
        expected += 1;
        in_time("it is said", || said().len() == expected).await;
        assert_eq!(said()[expected - 1].0, Level::INFO);
        assert_eq!(status(&app, &testing::scrapest(secret).sign()).await, 200);
    }
    assert!(!logged.text(Level::TRACE).contains("canary"));
    drop(app);
    tokio::time::timeout(Duration::from_secs(10), watching)
        .await
        .expect("nobody is left to tell")
        .unwrap();
}

support::for_each_framework! {
    a_changed_file_changes_the_secrets,
    a_kubernetes_style_link_swap_changes_the_secrets,
    an_unusable_file_keeps_the_secrets,
    a_file_written_in_pieces_takes_effect_once_complete,
}

/// Opening it would block the reader until there is a writer, and also the end of the runtime.
#[test]
fn a_named_pipe_instead_of_the_file_is_not_opened_and_logged_once() {
    let (done, over) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (logged, _guard) = Logged::begin();
        let folder = Folder::new();
        let file = folder.join("secret");
        fs::write(&file, ONE).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_secrets, watch) = Secrets::from_watched_file(&file, EVERY).unwrap();
            tokio::spawn(watch);
            sleep(LOOKED).await;
            fs::remove_file(&file).unwrap();
            let made = std::process::Command::new("mkfifo").arg(&file).status().unwrap();
            assert!(made.success());
            let said = || {
                let lines = logged.lines().into_iter().filter(|line| line.level <= Level::WARN);
                lines.filter(|line| format!("{line:?}").contains("regular file")).count()
            };
            in_time("it is said", || said() == 1).await;
            sleep(LOOKED).await;
            assert_eq!(said(), 1);
            assert!(Secrets::from_watched_file(&file, EVERY).is_err());
        });
        drop(runtime);
        done.send(()).unwrap();
    });
    over.recv_timeout(Duration::from_secs(20)).expect("the runtime ends");
}
