//! Calls that fail: which of them are repeated, and the error that explains the cause.

use std::time::Duration;

use scrapest_webhook::scrapebadger::api::{ApiErrorKind, ApiKey, Client};
use serde_json::json;

use super::{client, webhook};
use crate::mock::{Fault, KEY, Mock};

#[tokio::test]
async fn a_call_is_repeated_after_a_temporary_failure() {
    let mock = Mock::start().await;
    mock.site().add_monitor("mon-1", "active", None);
    let client = client(&mock);
    for fault in [
        Fault::Status(429, Some("0")),
        Fault::Status(429, None),
        Fault::Status(500, None),
        Fault::Status(503, Some("0")),
    ] {
        mock.site().faults.extend([fault.clone(), fault.clone()]);
        client.monitor("mon-1").await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
    }
    assert_eq!(client.calls(), 12);
}

#[tokio::test]
async fn a_call_that_keeps_failing_is_an_error_with_its_last_status() {
    let mock = Mock::start().await;
    let client = client(&mock);
    for (status, kind, calls) in [
        (429, ApiErrorKind::RateLimited, 3),
        (500, ApiErrorKind::Unavailable, 3),
        (401, ApiErrorKind::Key, 1),
        (402, ApiErrorKind::Credits, 1),
        (404, ApiErrorKind::NotFound, 1),
        (422, ApiErrorKind::Request, 1),
        (302, ApiErrorKind::Unavailable, 1),
    ] {
        let before = client.calls();
        mock.site().faults.extend(vec![Fault::Status(status, None); calls]);
        let error = client.monitor("mon-1").await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, Some(status)), "{error}");
        assert_eq!(client.calls() - before, calls as u64, "{status}");
    }
}

#[tokio::test]
async fn a_too_long_pause_requested_by_the_sender_is_returned_to_the_caller() {
    let mock = Mock::start().await;
    let client = client(&mock);
    mock.site().faults.push_back(Fault::Status(429, Some("3600")));
    let error = client.monitor("mon-1").await.unwrap_err();
    assert_eq!(error.kind(), ApiErrorKind::RateLimited);
    assert_eq!(client.calls(), 1);
}

#[tokio::test]
async fn a_call_that_may_have_been_executed_is_not_repeated() {
    let mock = Mock::start().await;
    mock.site().add_monitor("mon-1", "active", None);
    let client = client(&mock);
    mock.site().faults.push_back(Fault::Status(500, None));
    let error = client.create_webhook(&webhook()).await.unwrap_err();
    assert_eq!(error.kind(), ApiErrorKind::Unavailable);
    assert_eq!(mock.calls("POST"), 1);
    // The call was refused before it was carried out, so it is repeated.
    mock.site().faults.push_back(Fault::Status(429, Some("0")));
    client.create_webhook(&webhook()).await.unwrap();
    assert_eq!(mock.calls("POST"), 3);
}

#[tokio::test]
async fn a_call_to_a_sender_that_never_answers_times_out() {
    let mock = Mock::start().await;
    let client = client(&mock).with_timeout(Duration::from_millis(50));
    mock.site().faults.extend([Fault::Silence, Fault::Silence, Fault::Silence]);
    let error = client.monitor("mon-1").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ApiErrorKind::Unavailable, None));
    assert!(error.to_string().contains("no answer within 50ms"), "{error}");
}

#[tokio::test]
async fn an_unreachable_address_is_an_error_that_does_not_show_it() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::at(&format!("http://{address}"), ApiKey::new(KEY).unwrap())
        .unwrap()
        .with_attempts(2, Duration::from_millis(1));
    let error = client.monitor("mon-1").await.unwrap_err();
    assert_eq!(error.kind(), ApiErrorKind::Unavailable);
    assert!(!error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn an_unexpected_answer_is_an_error_that_names_the_field() {
    let mock = Mock::start().await;
    mock.site().add_monitor("mon-1", "active", None);
    let whole = mock.site().monitors[0].clone();
    let client = client(&mock);
    let without = |field: &str| {
        let mut monitor = whole.clone();
        monitor.as_object_mut().unwrap().remove(field);
        monitor
    };
    let with = |field: &str, value| {
        let mut monitor = whole.clone();
        monitor[field] = value;
        monitor
    };
    for (answer, said) in [
        (without("status_reason"), "status_reason"),
        (without("pricing_tier"), "pricing_tier"),
        (with("created_at", json!("yesterday")), "field created_at"),
        (with("usernames", json!(["a", 5])), "field usernames[1]"),
        (with("webhook_secret_set", json!("s3cret-in-an-answer")), "field webhook_secret_set"),
        (json!("text"), "another type"),
    ] {
        mock.site().faults.push_back(Fault::Broken(answer));
        let error = client.monitor("mon-1").await.unwrap_err();
        assert_eq!(error.kind(), ApiErrorKind::Schema);
        let error = error.to_string();
        assert!(error.contains(said), "{said}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    // Fields that a later version of the API adds are ignored.
    mock.site().faults.push_back(Fault::Broken(with("added_later", json!(1))));
    client.monitor("mon-1").await.unwrap();
}

#[tokio::test]
async fn a_spent_budget_ends_every_clone() {
    let mock = Mock::start().await;
    mock.site().add_monitor("mon-1", "active", None);
    let client = client(&mock).with_budget(2);
    client.monitor("mon-1").await.unwrap();
    client.clone().monitor("mon-1").await.unwrap();
    let error = client.monitor("mon-1").await.unwrap_err();
    assert_eq!(error.kind(), ApiErrorKind::Budget);
    assert_eq!(
        error.to_string(),
        "look at the monitor: the budget of 2 calls is spent, expected a larger one"
    );
    assert_eq!(mock.site().calls.len(), 2);
}

#[tokio::test]
async fn a_wrong_api_key_is_reported_and_never_shown() {
    let mock = Mock::start().await;
    let client = Client::at(&mock.url, ApiKey::new("sb_wrong_key").unwrap()).unwrap();
    let error = client.check().await.unwrap_err();
    assert_eq!(error.kind(), ApiErrorKind::Key);
    assert!(error.to_string().contains("expected a key of the account"), "{error}");
    for text in [format!("{error:?}"), format!("{client:?}"), error.to_string()] {
        assert!(!text.contains("sb_wrong_key"), "{text}");
    }
}
