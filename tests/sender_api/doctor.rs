//! `doctor` as a process: its findings about the sender's account and about the receiver's own store.

use scrapest_webhook::scrapebadger::api::{ApiKey, Client};
use scrapest_webhook::store::SqliteStore;
use scrapest_webhook::{Delivery, Once, Reconcile, ScrapeBadgerWebhookLayer};
use serde_json::json;

use crate::mock::{Fault, KEY, Mock};
use crate::process::run;

async fn with_monitor() -> Mock {
    let mock = Mock::start().await;
    mock.site().add_monitor("mon-1", "active", None);
    mock
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_reports_no_problem_for_a_healthy_setup() {
    let mock = with_monitor().await;
    {
        let mut site = mock.site();
        site.add_tweet("mon-1", "1", 3_600, "webhook_delivered");
        // A failure of an earlier day is not reported.
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
async fn text_of_the_sender_cannot_control_the_terminal() {
    let mock = with_monitor().await;
    mock.site().monitors[0]["status"] = json!("paused\u{1b}[2J\u{9b}1m\u{202e}");
    let (_, out, _) = run(&mock, &["doctor"]).await;
    assert!(out.contains("\\u{1b}[2J"), "{out}");
    assert!(!out.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{out:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_sender_is_an_error_that_says_what_to_do() {
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

/// A monitor without problems, and a log of `tweets` entries, of which the receiver has handled the first `handled`.
async fn with_log(path: &std::path::Path, tweets: u32, handled: u32) -> Mock {
    let mock = with_monitor().await;
    mock.site().monitors[0]["webhook_url"] = json!("https://example.com/w");
    mock.site().monitors[0]["webhook_secret_set"] = json!(true);
    // A pass handles the tweets that are in the log at that time.
    for number in 0..handled {
        mock.site().add_tweet("mon-1", &number.to_string(), 100, "webhook_delivered");
    }
    let layer = ScrapeBadgerWebhookLayer::new("whsec_0123456789abcdef01234567")
        .with_store(SqliteStore::new(path.to_str().unwrap()).unwrap())
        .with_once_per(Once::Tweet);
    let client = Client::at(&mock.url, ApiKey::new(KEY).unwrap()).unwrap();
    let handler = |_: Delivery| async { Ok::<_, String>(()) };
    let done = layer.reconcile(&client, &Reconcile::new("mon-1"), handler).await.unwrap();
    assert_eq!(done.missing, u64::from(handled));
    for number in handled..tweets {
        mock.site().add_tweet("mon-1", &number.to_string(), 100, "webhook_delivered");
    }
    mock
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_reports_what_was_received_and_what_to_do_about_the_rest() {
    for (tweets, handled, code, said) in [
        (3, 3, 0, &["ok       mon-1 has 3 of 3 tweets handled here"][..]),
        (
            5,
            2,
            1,
            &[
                "PROBLEM  mon-1 has 2 of 5 tweets handled here, and 3 are unknown",
                "run reconcile with the same --store",
            ],
        ),
        (
            2,
            0,
            1,
            &[
                "has 0 of 2 tweets handled here",
                "--namespace are the receiver's",
                "--once-per tweet",
            ],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deliveries.db");
        let mock = with_log(&path, tweets, handled).await;
        let store = format!("sqlite:{}", path.display());
        let words = ["doctor", "--monitor", "mon-1", "--store", &store];
        // A second check has the same result, because the first one released its claims.
        for _ in 0..2 {
            let (status, out, err) = run(&mock, &words).await;
            assert_eq!(status, Some(code), "{out}{err}");
            for said in said {
                assert!(out.contains(said), "{said}: {out}");
            }
        }
        assert_eq!(mock.calls("GET /v1/twitter/tweets"), usize::try_from(handled).unwrap());
        let (_, out, _) = run(&mock, &["doctor", "--monitor", "mon-1"]).await;
        assert!(out.contains("ok       store was not checked: give"), "{out}");
        mock.assert_as_published();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_reports_an_unresponsive_store_without_waiting_for_it() {
    let mock = with_monitor().await;
    mock.site().add_tweet("mon-1", "1", 100, "webhook_delivered");
    let words = ["doctor", "--store", "redis://127.0.0.1:1"];
    let (code, out, err) = run(&mock, &words).await;
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("PROBLEM  store does not answer"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_doctor_cannot_read_is_refused() {
    let mock = with_monitor().await;
    for (words, said) in [
        (
            &["doctor", "--store", "memory:"][..],
            "--store: is memory:, expected the receiver's store",
        ),
        (&["doctor", "--namespace", "orders"], "--namespace, --retention: need --store"),
    ] {
        let (code, _, err) = run(&mock, words).await;
        assert_eq!(code, Some(2));
        assert!(err.contains(said), "{said}: {err}");
    }
    assert_eq!(mock.calls("GET"), 0);
}
