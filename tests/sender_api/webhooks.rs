//! `webhook list|create|test|delete` as processes.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::mock::Mock;
use crate::process::run;

async fn with_monitor() -> Mock {
    let mock = Mock::start().await;
    mock.site().add_monitor("mon-1", "active", None);
    mock
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_is_written_to_a_file_that_only_its_owner_can_read() {
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
    // A second webhook is refused, and nothing changes.
    let (code, _, err) = run(&mock, &[&words[..], &["--secret-file", path]].concat()).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("status 409: the monitor already has a webhook"), "{err}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), format!("{secret}\n"));
    let (code, out, _) = run(&mock, &["webhook", "list"]).await;
    assert_eq!((code, &*out), (Some(0), "mon-1  monitor  https://example.com/w  signed\n"));
    mock.assert_as_published();
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_requires_confirmation() {
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
async fn a_test_shows_the_senders_result_and_the_received_delivery() {
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
    // The sender now signs with another secret.
    mock.site().secrets.insert("mon-1".to_owned(), "whsec_of_another_webhook".to_owned());
    let (code, out, _) = run(&mock, &[&words[..], &listening[..]].concat()).await;
    assert_eq!(code, Some(1));
    assert!(out.contains("the sender says: NOT RECEIVED, status 401"), "{out}");
    assert!(out.contains("refused: wrong_signature (status 401)"), "{out}");
    mock.assert_as_published();
}
