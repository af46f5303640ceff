//! Missed deliveries are found in the sender's log, and handled exactly once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::post;
use scrapest_webhook::scrapebadger::api::{ApiKey, Client};
use scrapest_webhook::store::MemoryStore;
use scrapest_webhook::{
    Delivery, Once, Reconcile, ReconcileError, ScrapeBadgerWebhookLayer, ScrapestWebhookLayer,
    scrapebadger, scrapest, testing,
};
use serde_json::json;
use tower::ServiceExt;

use crate::mock::{Fault, KEY, Mock};

const SECRET: &str = "whsec_0123456789abcdef01234567";

fn client(mock: &Mock) -> Client {
    Client::at(&mock.url, ApiKey::new(KEY).unwrap())
        .unwrap()
        .with_attempts(2, Duration::from_millis(1))
}

/// A receiver whose handler collects the ids of its tweets.
#[derive(Clone)]
struct Receiver {
    layer: ScrapeBadgerWebhookLayer,
    handled: Arc<Mutex<Vec<String>>>,
    fails: Arc<Mutex<bool>>,
}

impl Receiver {
    fn new() -> Self {
        let layer = ScrapeBadgerWebhookLayer::new(SECRET)
            .with_store(MemoryStore::new())
            .with_retention(Duration::from_secs(48 * 3_600))
            .with_once_per(Once::Tweet);
        Self { layer, handled: Arc::default(), fails: Arc::default() }
    }

    async fn handle(self, delivery: Delivery) -> Result<(), String> {
        if *self.fails.lock().unwrap() {
            return Err("the database is away".to_owned());
        }
        let event = scrapebadger::Event::try_from(&delivery).unwrap();
        let tweet = event.tweet().unwrap();
        assert_eq!(delivery.is_reconciled(), tweet.text.is_some());
        self.handled.lock().unwrap().push(tweet.id.clone());
        Ok(())
    }

    /// Sends a delivery as the sender does.
    async fn deliver(&self, monitor: &str, tweet: &str) -> StatusCode {
        let receiver = self.clone();
        let handler = move |delivery: Delivery| async move {
            match receiver.handle(delivery).await {
                Ok(()) => StatusCode::NO_CONTENT,
                Err(_) => StatusCode::SERVICE_UNAVAILABLE,
            }
        };
        let app = Router::new().route("/", post(handler).route_layer(self.layer.clone()));
        let body = json!({
            "type": "tweet", "monitor_id": monitor, "tweet_id": tweet,
            "detected_at": crate::mock::now(0), "tweet": {"id": tweet},
        });
        let request = testing::scrapebadger(SECRET)
            .with_delivery_id(format!("del-{monitor}-{tweet}"))
            .with_body(body.to_string())
            .sign();
        app.oneshot(request.into_http::<Body>("/")).await.unwrap().status()
    }

    async fn reconcile(
        &self,
        mock: &Mock,
        what: Reconcile,
    ) -> Result<scrapest_webhook::Reconciled, ReconcileError> {
        let handler = |delivery| self.clone().handle(delivery);
        self.layer.reconcile(&client(mock), &what, handler).await
    }

    fn handled(&self) -> Vec<String> {
        self.handled.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn missing_tweets_are_fetched_and_handled_oldest_first() {
    let (mock, receiver) = (Mock::start().await, Receiver::new());
    for (tweet, status) in
        [("1", "webhook_failed"), ("2", "webhook_delivered"), ("3", "webhook_delivered")]
    {
        mock.site().add_tweet("mon-1", tweet, 100, status);
    }
    mock.site().add_tweet("mon-2", "4", 100, "webhook_failed");
    assert_eq!(receiver.deliver("mon-1", "2").await, 204);
    let done = receiver.reconcile(&mock, Reconcile::new("mon-1")).await.unwrap();
    assert_eq!((done.looked_at, done.known, done.missing, done.calls), (3, 1, 2, 3));
    assert_eq!(receiver.handled(), ["2", "1", "3"]);
    // The sender retries after the pass: the delivery has been handled.
    assert_eq!(receiver.deliver("mon-1", "1").await, 200);
    let done = receiver.reconcile(&mock, Reconcile::new("mon-1")).await.unwrap();
    assert_eq!((done.known, done.missing, done.is_complete()), (3, 0, true));
    assert_eq!(receiver.handled().len(), 3);
    mock.assert_as_published();
}

#[tokio::test]
async fn a_tweet_that_several_monitors_report_runs_once() {
    let receiver = Receiver::new();
    assert_eq!(receiver.deliver("mon-1", "1").await, 204);
    assert_eq!(receiver.deliver("mon-2", "1").await, 200);
    assert_eq!(receiver.deliver("mon-2", "2").await, 204);
    assert_eq!(receiver.handled(), ["1", "2"]);
}

#[tokio::test]
async fn a_tweet_whose_first_report_failed_runs_with_the_next() {
    let receiver = Receiver::new();
    *receiver.fails.lock().unwrap() = true;
    assert_eq!(receiver.deliver("mon-1", "1").await, 503);
    *receiver.fails.lock().unwrap() = false;
    assert_eq!(receiver.deliver("mon-2", "1").await, 204);
    assert_eq!(receiver.deliver("mon-1", "1").await, 200);
    assert_eq!(receiver.handled(), ["1"]);
}

#[tokio::test]
async fn a_tweet_whose_handler_fails_is_retried_by_the_next_pass() {
    let (mock, receiver) = (Mock::start().await, Receiver::new());
    mock.site().add_tweet("mon-1", "1", 100, "webhook_failed");
    *receiver.fails.lock().unwrap() = true;
    let done = receiver.reconcile(&mock, Reconcile::new("mon-1")).await.unwrap();
    assert_eq!((done.missing, done.left, done.is_complete()), (0, 1, false));
    *receiver.fails.lock().unwrap() = false;
    let done = receiver.reconcile(&mock, Reconcile::new("mon-1")).await.unwrap();
    assert_eq!((done.missing, done.left), (1, 0));
}

#[tokio::test]
async fn a_tweet_whose_handler_panics_is_retried_by_the_next_pass() {
    let (mock, receiver) = (Mock::start().await, Receiver::new());
    mock.site().add_tweet("mon-1", "1", 100, "webhook_failed");
    let panics = |_| async { panic!("in the handler") };
    let what = Reconcile::new("mon-1");
    let done =
        receiver.layer.reconcile::<_, _, String>(&client(&mock), &what, panics).await.unwrap();
    assert_eq!(done.left, 1);
    let done = receiver.reconcile(&mock, what).await.unwrap();
    assert_eq!(done.missing, 1);
}

#[tokio::test]
async fn a_dry_run_handles_nothing_and_fetches_nothing() {
    let (mock, receiver) = (Mock::start().await, Receiver::new());
    mock.site().add_tweet("mon-1", "1", 100, "webhook_failed");
    let done = receiver.reconcile(&mock, Reconcile::new("mon-1").dry_run()).await.unwrap();
    assert_eq!((done.missing, done.calls), (1, 1));
    assert_eq!(receiver.handled().len(), 0);
    assert_eq!(mock.calls("GET /v1/twitter/tweets"), 0);
    // After a dry run, the delivery can still be handled.
    let done = receiver.reconcile(&mock, Reconcile::new("mon-1")).await.unwrap();
    assert_eq!(done.missing, 1);
}

#[tokio::test]
async fn a_tweet_deleted_by_the_sender_is_counted_as_gone() {
    let (mock, receiver) = (Mock::start().await, Receiver::new());
    mock.site().add_tweet("mon-1", "1", 100, "webhook_failed");
    mock.site().add_tweet("mon-1", "2", 90, "webhook_failed");
    mock.site().tweets.remove("1");
    let done = receiver.reconcile(&mock, Reconcile::new("mon-1")).await.unwrap();
    assert_eq!((done.gone, done.missing, done.left), (1, 1, 0));
    assert_eq!(receiver.handled(), ["2"]);
}

#[tokio::test]
async fn a_growing_log_is_read_to_its_end_without_a_gap() {
    let (mock, receiver) = (Mock::start().await, Receiver::new());
    for number in 0..350 {
        mock.site().add_tweet("mon-1", &number.to_string(), 1_000 - number, "webhook_failed");
    }
    mock.site().growth = 7;
    let done = receiver.reconcile(&mock, Reconcile::new("mon-1")).await.unwrap();
    let mut handled = receiver.handled();
    let at_first: Vec<String> = (0..350).map(|number| number.to_string()).collect();
    assert_eq!(done.missing, handled.len() as u64);
    assert!(at_first.iter().all(|tweet| handled.contains(tweet)));
    handled.sort();
    let all = handled.len();
    handled.dedup();
    assert_eq!(handled.len(), all, "none is handled twice");
    mock.assert_as_published();
}

#[tokio::test]
async fn entries_before_the_requested_time_are_ignored() {
    let (mock, receiver) = (Mock::start().await, Receiver::new());
    mock.site().add_tweet("mon-1", "1", 7_200, "webhook_failed");
    mock.site().add_tweet("mon-1", "2", 1_800, "webhook_failed");
    let what = Reconcile::new("mon-1").since(Duration::from_secs(3_600));
    let done = receiver.reconcile(&mock, what).await.unwrap();
    assert_eq!((done.looked_at, done.missing), (1, 1));
    assert_eq!(receiver.handled(), ["2"]);
}

#[tokio::test]
async fn an_api_failure_ends_the_pass_and_the_next_pass_continues() {
    let (mock, receiver) = (Mock::start().await, Receiver::new());
    for tweet in ["1", "2", "3"] {
        mock.site().add_tweet("mon-1", tweet, 100, "webhook_failed");
    }
    let client = client(&mock).with_budget(2);
    let handler = |delivery| receiver.clone().handle(delivery);
    let what = Reconcile::new("mon-1");
    let error = receiver.layer.reconcile(&client, &what, handler).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "fetch the tweet: the budget of 2 calls is spent, expected a larger one"
    );
    assert_eq!(receiver.handled(), ["1"]);
    let done = receiver.reconcile(&mock, what.clone()).await.unwrap();
    assert_eq!((done.known, done.missing), (1, 2));
    // An answer that fits no schema is an error too, and creates no delivery.
    mock.site().add_tweet("mon-1", "4", 50, "webhook_failed");
    let page = json!({"logs": [{"tweet_id": "4"}], "total": 1, "page": 1, "page_size": 100});
    mock.site().faults.push_back(Fault::Broken(page));
    let error = receiver.reconcile(&mock, what).await.unwrap_err().to_string();
    assert!(error.contains("field logs[0]"), "{error}");
    assert_eq!(receiver.handled().len(), 3);
}

#[tokio::test]
async fn settings_that_would_run_a_tweet_twice_are_refused() {
    let mock = Mock::start().await;
    let handler = |_| async { Ok::<_, String>(()) };
    let layer = ScrapeBadgerWebhookLayer::new(SECRET);
    let what = Reconcile::new("mon-1").since(Duration::from_secs(60));
    let error = layer.reconcile(&client(&mock), &what, handler).await.unwrap_err().to_string();
    assert!(error.starts_with("once_per: is Once::Delivery, expected Once::Tweet"), "{error}");
    let layer = layer.with_once_per(Once::Tweet);
    let what = Reconcile::new("mon-1");
    let error = layer.reconcile(&client(&mock), &what, handler).await.unwrap_err().to_string();
    assert!(
        error.starts_with("since: is 86400s, expected at most the retention of 4200s"),
        "{error}"
    );
    assert_eq!(mock.site().calls.len(), 0);
}
#[tokio::test]
async fn the_history_of_a_scrapest_source_is_reconciled_by_source_and_message_id() {
    let mock = Mock::start().await;
    let payload =
        json!({"id": "77", "text": "hello", "author": {"id": "5", "screen_name": "someone"}});
    let message = |id: &str, source: &str| {
        json!({
            "id": format!("entry-{id}"), "source": source, "messageId": id, "sourceId": "5",
            "content": "hello", "rawPayload": payload, "createdAt": crate::mock::now(-60),
        })
    };
    mock.site().faults.extend([
        Fault::Broken(json!({
            "data": [message("77", "fast-x"), message("77", "x")], "nextCursor": "next", "limit": 100,
        })),
        Fault::Broken(json!({"data": [message("78", "telegram")], "nextCursor": null, "limit": 100})),
    ]);
    let layer = ScrapestWebhookLayer::new(SECRET)
        .with_store(MemoryStore::new())
        .with_retention(Duration::from_secs(48 * 3_600));
    let handled = Mutex::new(Vec::new());
    let handler = async |delivery: Delivery| {
        let event = scrapest::Event::try_from(&delivery).map_err(|error| error.to_string())?;
        assert!(delivery.is_reconciled());
        handled.lock().unwrap().push(format!("{:?}", event.kind()));
        Ok::<_, String>(())
    };
    // Delivered before, and known by its source and id.
    let body = json!({"mid": "77", "sid": "5", "source": "x", "timestamp": 1_000 * time::OffsetDateTime::now_utc().unix_timestamp(), "payload": payload});
    let app = Router::new().route(
        "/",
        post(|_: scrapest::Event| async { StatusCode::NO_CONTENT }).route_layer(layer.clone()),
    );
    let request =
        testing::scrapest(SECRET).with_body(body.to_string()).without_delivery_id().sign();
    assert_eq!(app.oneshot(request.into_http::<Body>("/")).await.unwrap().status(), 204);
    let client = scrapest::api::Client::at(&mock.url, ApiKey::new(KEY).unwrap()).unwrap();
    let done = layer.reconcile(&client, &Reconcile::new("5"), handler).await.unwrap();
    assert_eq!((done.looked_at, done.known, done.missing), (3, 1, 2), "{handled:?}");
    let calls = mock.site().calls.clone();
    assert!(
        calls[0].starts_with("GET /account/history/5?order=asc&limit=100&startDate="),
        "{calls:?}"
    );
    assert!(calls[1].ends_with("&cursor=next"), "{calls:?}");
}
