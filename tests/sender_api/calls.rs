//! Each operation once, and the keys and addresses that the client refuses to use.

mod failures;

use std::time::Duration;

use scrapest_webhook::Secret;
use scrapest_webhook::scrapebadger::api::{
    ApiErrorKind, ApiKey, Client, LogQuery, MonitorChange, NewMonitor, NewWebhook, Order,
};
use serde_json::json;

use crate::mock::{Fault, KEY, Mock};

fn client(mock: &Mock) -> Client {
    Client::at(&mock.url, ApiKey::new(KEY).unwrap())
        .unwrap()
        .with_attempts(3, Duration::from_millis(1))
}

fn webhook() -> NewWebhook {
    NewWebhook {
        monitor_id: "mon-1".to_owned(),
        url: "https://example.com/webhooks".to_owned(),
        secret: Some(Secret::from("whsec-of-the-application")),
    }
}

#[tokio::test]
async fn a_webhook_is_created_listed_tested_and_deleted_by_monitor_id() {
    let mock = Mock::start().await;
    mock.site().add_monitor("mon-1", "active", None);
    let client = client(&mock);
    let made = client.create_webhook(&webhook()).await.unwrap();
    assert_eq!((&*made.monitor_id, &*made.url), ("mon-1", "https://example.com/webhooks"));
    assert_eq!(mock.site().secrets["mon-1"], "whsec-of-the-application");
    let listed = client.webhooks(Some("mon-1")).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].id, listed[0].secret_set), (&made.id, true));
    assert!(client.webhooks(Some("mon-2")).await.unwrap().is_empty());
    let tested = client.test_webhook("mon-1").await.unwrap();
    assert_eq!((tested.success, tested.status_code), (true, Some(204)));
    client.delete_webhook("mon-1").await.unwrap();
    assert!(client.webhooks(None).await.unwrap().is_empty());
    mock.assert_as_published();
}

#[tokio::test]
async fn a_second_webhook_of_a_monitor_is_a_conflict_that_says_what_to_do() {
    let mock = Mock::start().await;
    mock.site().add_monitor("mon-1", "active", None);
    let client = client(&mock);
    client.create_webhook(&webhook()).await.unwrap();
    let error = client.create_webhook(&webhook()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ApiErrorKind::Conflict, Some(409)));
    assert_eq!(
        error.to_string(),
        "create the webhook: status 409: the monitor already has a webhook, and can have only one: \
         delete it first (the sender says \"Monitor already has a webhook\")"
    );
    mock.assert_as_published();
}

#[tokio::test]
async fn a_monitor_is_read_and_its_secret_is_changed() {
    let mock = Mock::start().await;
    mock.site().add_monitor("mon-1", "paused", Some("insufficient_credits"));
    let client = client(&mock);
    let monitor = client.monitor("mon-1").await.unwrap();
    assert_eq!(monitor.status_reason.as_deref(), Some("insufficient_credits"));
    assert_eq!(client.monitors(1).await.unwrap().monitors.len(), 1);
    let change =
        MonitorChange { webhook_secret: Some("whsec-the-next-one".into()), ..Default::default() };
    assert!(client.change_monitor("mon-1", &change).await.unwrap().webhook_secret_set);
    assert_eq!(mock.site().secrets["mon-1"], "whsec-the-next-one");
    mock.assert_as_published();
}

#[tokio::test]
async fn the_log_is_read_in_pages_in_either_order() {
    let mock = Mock::start().await;
    for number in 0..250 {
        mock.site().add_tweet("mon-1", &number.to_string(), 1_000 - number, "webhook_failed");
    }
    let client = client(&mock);
    for (order, first) in [(Order::OldestFirst, "0"), (Order::NewestFirst, "249")] {
        let query = LogQuery { order, monitor_id: Some("mon-1".to_owned()), ..Default::default() };
        let page = client.log(&query, 1).await.unwrap();
        assert_eq!((page.logs.len(), page.total), (100, 250));
        assert_eq!(page.logs[0].tweet_id, first);
        assert_eq!(client.log(&query, 3).await.unwrap().logs.len(), 50);
        assert!(client.log(&query, 4).await.unwrap().logs.is_empty());
    }
    mock.assert_as_published();
}

#[tokio::test]
async fn a_tweet_is_found_by_its_id() {
    let mock = Mock::start().await;
    let tweet = json!({"id": "12345678901234567890", "text": "hello"});
    let number = json!({"id": 12_345_678_901_234_567_890_u64, "text": "hello"});
    let client = client(&mock);
    for answer in
        [tweet.clone(), number, json!({"data": tweet}), json!({"tweet": tweet, "id": "another"})]
    {
        mock.site().faults.push_back(Fault::Broken(answer));
        let found = client.tweet("12345678901234567890").await.unwrap();
        assert!(found.json.get().contains("hello"), "{found:?}");
    }
    mock.site().faults.push_back(Fault::Broken(json!({"id": "another", "text": "hello"})));
    let error = client.tweet("12345678901234567890").await.unwrap_err();
    assert_eq!(error.kind(), ApiErrorKind::Schema);
    assert!(error.to_string().contains("field id is not that of the tweet"), "{error}");
}

#[tokio::test]
async fn an_id_with_any_characters_is_one_path_segment() {
    let mock = Mock::start().await;
    let client = client(&mock);
    for id in ["../../secrets", "a/b", "a?b=c", "a#b", "%2e%2e"] {
        let error = client.monitor(id).await.unwrap_err();
        assert_eq!(error.kind(), ApiErrorKind::NotFound, "{id}: {error}");
    }
    let calls = mock.site().calls.clone();
    assert!(
        calls.iter().all(|call| call.starts_with("GET /v1/twitter/stream/monitors/")),
        "{calls:?}"
    );
    mock.assert_as_published();
}

#[test]
fn an_invalid_api_key_is_refused_without_showing_it() {
    for (key, said) in
        [("", "empty"), ("two words", "visible ASCII"), ("schlüssel", "visible ASCII")]
    {
        let error = ApiKey::new(key).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert!(key.is_empty() || !error.contains(key), "{error}");
    }
    assert_eq!(
        ApiKey::from_env("NOT_SET_ANYWHERE").unwrap_err().to_string(),
        "api_key: environment variable \"NOT_SET_ANYWHERE\" is not set, expected the API key"
    );
}

#[test]
fn an_invalid_address_is_refused_without_showing_it() {
    for (url, said) in [
        ("scrapebadger.com", "is not a URL"),
        ("ftp://scrapebadger.com", "https:// or http://"),
        ("https://user:s3cret@scrapebadger.com", "user name"),
        ("https://scrapebadger.com/?key=s3cret", "query"),
    ] {
        let error = Client::at(url, ApiKey::new(KEY).unwrap()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn a_base_path_is_kept() {
    let mock = Mock::start().await;
    let client = Client::at(&format!("{}/proxy/", mock.url), ApiKey::new(KEY).unwrap()).unwrap();
    _ = client.check().await;
    assert!(mock.site().calls[0].starts_with("GET /proxy/v1/twitter/stream/webhooks"));
}

#[tokio::test]
async fn a_new_monitor_is_sent_as_published() {
    let mock = Mock::start().await;
    let new = NewMonitor {
        name: "mine".to_owned(),
        usernames: vec!["someone".to_owned()],
        ..Default::default()
    };
    mock.site().faults.push_back(Fault::Status(422, None));
    let error = client(&mock).create_monitor(&new).await.unwrap_err();
    assert_eq!(error.kind(), ApiErrorKind::Request);
    assert_eq!(mock.calls("POST /v1/twitter/stream/monitors"), 1);
}

#[tokio::test]
async fn the_senders_clock_is_read_from_its_answers() {
    let mock = Mock::start().await;
    mock.site().add_monitor("mon-1", "active", None);
    let client = client(&mock);
    assert_eq!(client.clock_difference(), None);
    client.monitor("mon-1").await.unwrap();
    // The client and the stand-in run on one machine; a busy one may answer late.
    let difference = client.clock_difference().unwrap();
    assert!((-60..=1).contains(&difference), "{difference}");
}
