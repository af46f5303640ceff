//! The log lines about a webhook.

use scrapest_webhook::{RejectionKind, ScrapestWebhookLayer, Secrets, Webhook, testing};
use support::in_process::{app, status};
use support::logged::Logged;
use support::{Handler, InProcess};
use tracing::Level;

use super::{badger, from, said_to_be, secret, webhooks};

#[tokio::test(start_paused = true)]
async fn the_log_names_the_webhook_after_verification() {
    let all = webhooks(["wh_1"]);
    let (logged, _guard) = Logged::begin();
    let receiver = InProcess::new(&badger(&all), Handler::ok());
    for (request, reason) in [
        (from("wh_1", "del_1"), None),
        (said_to_be("wh_1", "wh_2", "del_2"), Some(RejectionKind::WrongSignature)),
        (from("m4rk3r", "del_3"), Some(RejectionKind::UnknownWebhook)),
    ] {
        assert_eq!(receiver.ask(&request).await.1, reason);
    }
    assert_eq!(logged.values("webhook_id"), ["wh_1"]);
    assert_eq!(logged.values("signed_with"), ["1"]);
    assert_eq!(logged.values("outcome"), ["completed", "wrong_signature", "unknown_webhook"]);
    assert!(!logged.text(Level::TRACE).contains("m4rk3r"), "unverified text is not logged");
    assert!(!logged.text(Level::TRACE).contains("canary"));
    let debug = format!("{:?} {:?}", badger(&all), all.read().unwrap()["wh_1"]);
    assert!(debug.contains("wh_1") && !debug.contains("canary"), "{debug}");
}

#[tokio::test(start_paused = true)]
async fn a_webhook_id_is_logged_escaped() {
    let evil = "\u{1b}[31m\r\n".repeat(100);
    let webhook = Webhook::new(evil, Secrets::new([secret("wh_1")]).unwrap());
    let layer = ScrapestWebhookLayer::for_webhooks(move |_| Some(webhook.clone()));
    let (logged, _guard) = Logged::begin();
    let handler = Handler::ok();
    assert_eq!(status(&app(layer, &handler), &testing::scrapest(secret("wh_1")).sign()).await, 200);
    let delivery = handler.deliveries().pop().unwrap();
    for said in [logged.values("webhook_id").pop().unwrap(), format!("{delivery:?}")] {
        assert!(!said.contains(char::is_control) && said.len() < 1_500, "{said:?}");
    }
}
