//! `webhook rotate` beside receivers that watch the file, and killed after each of its steps.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::post;
use scrapest_webhook::{ScrapeBadgerWebhookLayer, Secrets, scrapebadger, testing};
use serde_json::json;
use tower::ServiceExt;

use crate::mock::Mock;
use crate::process::{Running, run};

const OLD: &str = "whsec_the_old_secret_0001";

fn words(path: &Path) -> Vec<&str> {
    let path = path.to_str().unwrap();
    vec!["webhook", "rotate", "--monitor", "mon-1", "--secret-file", path]
}

async fn with_webhook() -> Mock {
    let mock = Mock::start().await;
    let mut site = mock.site();
    site.add_monitor("mon-1", "active", None);
    site.monitors[0]["webhook_url"] = json!("https://example.com/w");
    site.secrets.insert("mon-1".to_owned(), OLD.to_owned());
    drop(site);
    mock
}

/// The lines of progress after which the rotation is killed.
const KILLED_AFTER: [&str; 4] = ["1 of 3", "waiting", "2 of 3", "3 of 3"];

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_killed_after_any_step_continues_from_there() {
    let (mock, folder) = (with_webhook().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("webhook.secret");
    std::fs::write(&path, format!("{OLD}\n")).unwrap();
    let words = [words(&path), vec!["--follow", "1s", "--keep-old", "1s"]].concat();
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    for beginning in KILLED_AFTER {
        let (sender, words) = (mock.clone(), words.clone());
        tokio::task::spawn_blocking(move || {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let mut running = Running::start(&sender, &words);
            // A later run continues after the steps of an earlier one.
            _ = running.reaches(beginning);
            running.kill();
        })
        .await
        .unwrap();
        let lines = std::fs::read_to_string(&path).unwrap();
        let current = mock.site().secrets["mon-1"].clone();
        assert!(
            lines.lines().any(|line| line == current),
            "after {beginning:?} the sender signs with a secret that the file does not have"
        );
    }
    // The last run was killed after all steps were done.
    let lines = std::fs::read_to_string(&path).unwrap();
    assert_eq!(lines, format!("{}\n", mock.site().secrets["mon-1"]));
    assert_ne!(mock.site().secrets["mon-1"], OLD);
    assert!(!folder.path().join("webhook.secret.rotation").exists());
    mock.assert_as_published();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_under_load_refuses_and_duplicates_no_delivery() {
    let (mock, folder) = (with_webhook().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("webhook.secret");
    std::fs::write(&path, format!("{OLD}\n")).unwrap();
    let (secrets, watch) = Secrets::from_watched_file(&path, Duration::from_millis(50)).unwrap();
    tokio::spawn(watch);
    let layer = ScrapeBadgerWebhookLayer::from_secrets(secrets);
    let runs = Arc::new(std::sync::Mutex::new(Vec::new()));
    let app = {
        let runs = Arc::clone(&runs);
        // Every third attempt fails, so that some deliveries are signed before a step and retried after it.
        let handler = move |event: scrapebadger::Event| async move {
            let id = event.tweet().unwrap().id.clone();
            let mut runs = runs.lock().unwrap();
            let failed = runs.len() % 3 == 2;
            runs.push((id, failed));
            if failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
        };
        Router::new().route("/", post(handler).route_layer(layer))
    };
    let stop = Arc::new(AtomicBool::new(false));
    let deliveries = {
        let (mock, stop) = (mock.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let (mut number, mut refused, began) = (0, Vec::new(), Instant::now());
            let mut tick = tokio::time::interval(Duration::from_millis(2));
            let mut unfinished: Vec<(String, testing::SignedRequest)> = Vec::new();
            while !stop.load(Ordering::SeqCst) || !unfinished.is_empty() {
                tick.tick().await;
                if !stop.load(Ordering::SeqCst) {
                    number += 1;
                    let secret = mock.site().secrets["mon-1"].clone();
                    let id = format!("del-{number}");
                    let body = json!({
                        "type": "tweet", "detected_at": crate::mock::now(0),
                        "tweet_id": number.to_string(), "tweet": {"id": number.to_string()},
                    });
                    let request = testing::scrapebadger(secret.as_str())
                        .with_delivery_id(&id)
                        .with_body(body.to_string())
                        .sign();
                    unfinished.push((id, request));
                }
                // A retry has the same bytes, as with the sender.
                for (id, request) in std::mem::take(&mut unfinished) {
                    let sent = request.clone().into_http::<Body>("/");
                    let status = app.clone().oneshot(sent).await.unwrap().status();
                    match status.as_u16() {
                        200..300 => {}
                        503 => unfinished.push((id, request)),
                        _ => refused.push((id, status)),
                    }
                }
            }
            println!("{:.0} deliveries/s", number as f64 / began.elapsed().as_secs_f64());
            (number, refused)
        })
    };
    let arguments = [words(&path), vec!["--follow", "8s", "--keep-old", "5s"]].concat();
    let (code, _, err) = run(&mock, &arguments).await;
    stop.store(true, Ordering::SeqCst);
    let (sent, refused) = deliveries.await.unwrap();
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(refused, [], "of {sent}");
    let runs = runs.lock().unwrap();
    let mut succeeded: Vec<_> = runs.iter().filter(|run| !run.1).map(|run| run.0.clone()).collect();
    succeeded.sort();
    let all = succeeded.len();
    succeeded.dedup();
    assert_eq!((all, succeeded.len()), (sent, sent), "each succeeds exactly once");
    assert_ne!(mock.site().secrets["mon-1"], OLD);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_several_secrets_and_no_rotation_is_refused_before_anything_changes() {
    let (mock, folder) = (with_webhook().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("webhook.secret");
    let before = format!("{OLD}\nwhsec_another_secret_0002\n");
    std::fs::write(&path, &before).unwrap();
    let (code, _, err) = run(&mock, &words(&path)).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("has 2 secrets and no rotation is under way, expected one"), "{err}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    assert_eq!(mock.calls("PATCH"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_refuses_the_change_leaves_both_secrets_valid() {
    let (mock, folder) = (with_webhook().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("webhook.secret");
    std::fs::write(&path, format!("{OLD}\n")).unwrap();
    let arguments = [words(&path), vec!["--follow", "0s", "--keep-old", "0s"]].concat();
    // The monitor is read before it is changed, and only the change is refused.
    mock.site().refuse_changes = Some(422);
    let (code, _, err) = run(&mock, &arguments).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("both secrets stay valid here"), "{err}");
    let lines = std::fs::read_to_string(&path).unwrap();
    assert_eq!(lines.lines().count(), 2);
    assert_eq!(lines.lines().nth(1), Some(OLD));
    mock.site().refuse_changes = None;
    let (code, _, err) = run(&mock, &arguments).await;
    assert_eq!(code, Some(0), "{err}");
    let lines = std::fs::read_to_string(&path).unwrap();
    assert_eq!(lines.trim_end(), mock.site().secrets["mon-1"]);
}
