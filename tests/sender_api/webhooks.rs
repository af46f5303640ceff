//! `webhook list|create|test|delete` and `doctor`, as processes.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::mock::{Fault, Mock};
use crate::process::run;

async fn with_monitor() -> Mock {
    let mock = Mock::start().await;
    mock.site().add_monitor("mon-1", "active", None);
    mock
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_goes_into_a_file_that_only_its_owner_can_read() {
    let (mock, folder) = (with_monitor().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("webhook.secret");
    let path = path.to_str().unwrap();
    let words = ["webhook", "create", "--monitor", "mon-1", "--url", "https://example.com/w"];
    let (code, out, err) = run(&mock, &[&words[..], &["--secret-file", path]].concat()).await;
    assert_eq!(code, Some(0), "{err}");
    let secret = mock.site().secrets["mon-1"].clone();
    assert_eq!(std::fs::read_to_string(path).unwrap(), format!("{secret}\n"));
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(secret.len(), 49, "6 characters and 256 bits");
    assert!(!format!("{out}{err}").contains(&secret));
    // A second one is refused, and changes nothing.
    let (code, _, err) = run(&mock, &[&words[..], &["--secret-file", path]].concat()).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("status 409: there is one already"), "{err}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), format!("{secret}\n"));
    let (code, out, _) = run(&mock, &["webhook", "list"]).await;
    assert_eq!((code, &*out), (Some(0), "mon-1  monitor  https://example.com/w  signed\n"));
    mock.assert_as_published();
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_has_to_be_confirmed() {
    let mock = with_monitor().await;
    let (code, _, err) = run(&mock, &["webhook", "delete", "--monitor", "mon-1"]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("--yes: is missing"), "{err}");
    assert_eq!(mock.calls("DELETE"), 0);
    let (code, _, err) = run(&mock, &["webhook", "delete", "--monitor", "mon-1", "--yes"]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("status 404"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_shows_what_the_sender_says_and_what_arrived() {
    let (mock, folder) = (with_monitor().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("webhook.secret");
    std::fs::write(&path, "whsec_of_the_webhook_0001\n").unwrap();
    let address = {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        free.local_addr().unwrap()
    };
    {
        let mut site = mock.site();
        site.webhooks.push(json!({
            "id": "wh-1", "monitor_id": "mon-1", "monitor_name": "monitor", "secret_set": true,
            "url": format!("http://{address}/webhooks"), "created_at": crate::mock::now(0),
        }));
        site.secrets.insert("mon-1".to_owned(), "whsec_of_the_webhook_0001".to_owned());
        site.posts_tests = true;
    }
    let (address, path) = (address.to_string(), path.to_str().unwrap().to_owned());
    let words = ["webhook", "test", "--monitor", "mon-1"];
    let listening = ["--listen", &address, "--secret-file", &path];
    let (code, out, err) = run(&mock, &[&words[..], &listening[..]].concat()).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("the sender says: received, status 204"), "{out}");
    assert!(out.contains("arrived here: /webhooks, signature right (status 204)"), "{out}");
    // The sender has another secret.
    mock.site().secrets.insert("mon-1".to_owned(), "whsec_of_another_webhook".to_owned());
    let (code, out, _) = run(&mock, &[&words[..], &listening[..]].concat()).await;
    assert_eq!(code, Some(1));
    assert!(out.contains("the sender says: NOT RECEIVED, status 401"), "{out}");
    assert!(out.contains("refused: wrong_signature (status 401)"), "{out}");
    mock.assert_as_published();
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_nothing_where_all_is_well() {
    let mock = with_monitor().await;
    {
        let mut site = mock.site();
        site.add_tweet("mon-1", "1", 3_600, "webhook_delivered");
        // Yesterday's failure is another day's.
        site.add_tweet("mon-1", "0", 3 * 86_400, "webhook_failed");
        site.log.reverse();
        site.monitors[0]["webhook_url"] = json!("https://example.com/w");
        site.monitors[0]["webhook_secret_set"] = json!(true);
    }
    let (code, out, err) =
        run(&mock, &["doctor", "--monitor", "mon-1", "--url", "https://example.com/w"]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("has delivered 1 of the last day"), "{out}");
    assert!(!out.contains("PROBLEM"), "{out}");
    mock.assert_as_published();
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_each_problem_and_what_to_do() {
    let mock = Mock::start().await;
    {
        let mut site = mock.site();
        site.add_monitor("mon-1", "paused", Some("insufficient_credits"));
        site.monitors[0]["webhook_url"] = json!("https://example.com/old");
        site.add_tweet("mon-1", "1", 60, "webhook_failed");
    }
    let (code, out, _) = run(&mock, &["doctor", "--url", "https://example.com/new"]).await;
    assert_eq!(code, Some(1));
    for said in [
        "the account is out of credits",
        "add credits",
        "posts to \"https://example.com/old\", expected \"https://example.com/new\"",
        "does not sign its deliveries",
        "has failed to deliver 1 tweets of 1 of the last day",
        "run reconcile",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sender_writes_cannot_steer_the_terminal() {
    let mock = with_monitor().await;
    mock.site().monitors[0]["status"] = json!("paused\u{1b}[2J\u{9b}1m\u{202e}");
    let (_, out, _) = run(&mock, &["doctor"]).await;
    assert!(out.contains("\\u{1b}[2J"), "{out}");
    assert!(!out.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{out:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_cannot_be_asked_is_an_error_that_says_what_to_do() {
    let mock = with_monitor().await;
    for (fault, said) in [
        (Fault::Status(401, None), "status 401: the API key is not accepted"),
        (Fault::Status(402, None), "status 402: the account has no credits left"),
        (Fault::Broken(json!({"id": "mon-1"})), "does not fit the published schema"),
    ] {
        mock.site().faults.push_back(fault);
        let (code, _, err) = run(&mock, &["doctor", "--monitor", "mon-1"]).await;
        assert_eq!(code, Some(2));
        assert!(err.contains(said), "{said}: {err}");
    }
    let (code, _, err) = run(&mock, &["doctor", "--monitor", "another"]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("look at the monitor: status 404: not found in this account"), "{err}");
}
