//! Several webhooks behind one layer, on one route: each has its own secrets and its own deliveries, and an unknown
//! webhook gets the same answer as a wrong signature.

mod log;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};

use scrapest_webhook::store::MemoryStore;
use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{
    DedupBy, ScrapeBadgerWebhookLayer, ScrapestWebhookLayer, Secrets, Webhook, scrapest::Scrapest,
};
use support::logged;
use support::scripted::ScriptedStore;
use support::{Framework, Handler, PATH, Raw, Server, client};

type Webhooks = Arc<RwLock<HashMap<String, Webhook>>>;

fn secret(id: &str) -> String {
    format!("whsec_canary_7b1d5f0c93aa4e21_of_{id}")
}

fn webhook(id: &str) -> Webhook {
    Webhook::new(id, Secrets::new([secret(id)]).unwrap())
}

fn webhooks(ids: impl IntoIterator<Item = impl AsRef<str>>) -> Webhooks {
    logged::trace_if_asked();
    let ids = ids.into_iter();
    let all = ids.map(|id| (id.as_ref().to_owned(), webhook(id.as_ref())));
    Arc::new(RwLock::new(all.collect()))
}

fn badger(webhooks: &Webhooks) -> ScrapeBadgerWebhookLayer {
    let webhooks = Arc::clone(webhooks);
    ScrapeBadgerWebhookLayer::for_webhooks(move |request| {
        webhooks.read().unwrap().get(request.id()?).cloned()
    })
}

/// Finds the webhook by the last segment of the path.
fn by_path(webhooks: &Webhooks) -> ScrapestWebhookLayer {
    let webhooks = Arc::clone(webhooks);
    ScrapestWebhookLayer::for_webhooks(move |request| {
        let (_, id) = request.path().rsplit_once('/')?;
        webhooks.read().unwrap().get(id).cloned()
    })
}

/// A request that is signed by the webhook `by` and names the webhook `of`.
fn said_to_be(of: &str, by: &str, delivery_id: &str) -> SignedRequest {
    let request = testing::scrapebadger_contract_2(secret(by)).with_delivery_id(delivery_id);
    request.sign().with_header("x-webhook-id", of)
}

fn from(id: &str, delivery_id: &str) -> SignedRequest {
    said_to_be(id, id, delivery_id)
}

async fn send_to(server: &Server, path: &str, request: &Raw) -> u16 {
    let text = String::from_utf8(request.text()).unwrap().replacen(PATH, path, 1);
    client::send(server.address, text.as_bytes()).await.status
}

/// A webhook with a valid secret floods the store that all webhooks share. The other webhooks lose no record, so none
/// of their captured requests can run again.
async fn a_flood_on_one_webhook_evicts_no_record_of_another<F: Framework>() {
    let (handler, store) = (Handler::ok(), MemoryStore::with_capacity(90.try_into().unwrap()));
    let all = webhooks(["quiet", "loud", "other"]);
    let server = F::serve(badger(&all).with_store(store.clone()), handler.clone()).await;
    let captured: Vec<_> = (0..20).map(|nth| from("quiet", &format!("id_{nth}"))).collect();
    for request in &captured {
        assert_eq!(server.send(request).await.status, 200);
    }
    for nth in 0..300 {
        for id in ["loud", "other"].into_iter().take(1 + nth % 2) {
            assert_eq!(server.send(&from(id, &format!("flood_{nth}"))).await.status, 200);
        }
    }
    assert!(store.evicted() > 500 && store.len() == 180, "{store:?}");
    let runs = handler.runs();
    for request in captured {
        let replay = Raw::from(request).replacing("x-scrapebadger-delivery-id", "another");
        assert_eq!(server.raw(&replay).await.status, 200);
    }
    assert_eq!(handler.runs(), runs, "each is a duplicate");
    // The flooding webhook has its share too: its last 30 deliveries.
    for nth in 275..300 {
        assert_eq!(server.send(&from("loud", &format!("flood_{nth}"))).await.status, 200);
    }
    assert_eq!(handler.runs(), runs);
}

async fn fifty_webhooks_share_one_route<F: Framework>() {
    let ids: Vec<_> = (0..50).map(|nth| format!("wh_{nth}")).collect();
    let handler = Handler::ok();
    let server = F::serve(badger(&webhooks(&ids)), handler.clone()).await;
    for (nth, id) in ids.iter().enumerate() {
        let another = &ids[(nth + 7) % 50];
        assert_eq!(server.send(&said_to_be(id, another, "del_1")).await.status, 401);
        for _ in 0..2 {
            assert_eq!(server.send(&from(id, "del_1")).await.status, 200);
        }
        assert_eq!(
            handler.runs(),
            nth + 1,
            "the same id under another webhook is another delivery"
        );
        assert_eq!(handler.deliveries()[nth].webhook_id(), Some(id.as_str()));
    }
    let keys: HashSet<_> = handler.deliveries().iter().map(|delivery| delivery.key()).collect();
    assert_eq!(keys.len(), 50);
}

async fn an_unknown_webhook_gets_the_answer_of_a_wrong_signature<F: Framework>() {
    let all = webhooks(["wh_1", "wh_2"]);
    let handler = Handler::ok();
    let store = ScriptedStore::recording();
    let server = F::serve(badger(&all).with_store(store.clone()), handler.clone()).await;
    let good = from("wh_1", "del_1");
    let bare = || Raw::from(good.clone()).without("x-webhook-id");
    let mut answers = vec![server.send(&said_to_be("wh_1", "wh_2", "del_1")).await.without_date()];
    for request in [
        Raw::from(from("wh_3", "del_1")),
        Raw::from(said_to_be("wh_3", "wh_1", "del_1")),
        Raw::from(said_to_be("WH_1", "wh_1", "del_1")),
        Raw::from(said_to_be("", "wh_1", "del_1")),
        // Signed with the empty key, which must not be accepted for an unknown webhook.
        Raw::from(testing::scrapebadger_contract_2("").sign().with_header("x-webhook-id", "wh_3")),
        bare(),
        bare().with("x-webhook-id", b"wh_1\xff"),
        bare().with("x-webhook-id", "wh_1, wh_2"),
        bare().with("x-webhook-id", "w".repeat(5_000)),
        // The first header counts.
        bare().with("x-webhook-id", "wh_2").with("x-webhook-id", "wh_1"),
    ] {
        answers.push(server.raw(&request).await.without_date());
    }
    assert_eq!(answers[0].status, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(
        (handler.runs(), store.calls().len()),
        (0, 0),
        "no handler ran and the store was not used"
    );

    assert_eq!(server.send(&good).await.status, 200);
    // A new webhook is known without a restart, and a removed one is unknown again.
    all.write().unwrap().insert("wh_3".into(), webhook("wh_3"));
    assert_eq!(server.send(&from("wh_3", "del_1")).await.status, 200);
    all.write().unwrap().remove("wh_1");
    assert_eq!(server.send(&from("wh_1", "del_2")).await.status, 401);
    assert_eq!(handler.runs(), 2);
}

async fn a_request_captured_from_one_webhook_is_refused_by_another<F: Framework>() {
    let all = webhooks(["wh_1", "wh_2"]);
    // The path names the webhook. The header is not signed, so anyone can change it.
    let handler = Handler::ok();
    let server = F::serve_on("/webhooks/{id}", by_path(&all), handler.clone()).await;
    let captured = Raw::from(testing::scrapest(secret("wh_1")).sign());
    assert_eq!(send_to(&server, "/webhooks/wh_1", &captured).await, 200);
    for (path, status) in [
        ("/webhooks/wh_1", 200),
        ("/webhooks/wh_1?any=thing", 200),
        ("/webhooks/wh_2", 401),
        ("/webhooks/wh_3", 401),
        ("/webhooks/wh%5f1", 401),
    ] {
        for replay in [
            captured.clone(),
            captured.clone().with("x-scrapest-webhook-id", "wh_2"),
            captured.clone().with("x-scrapest-webhook-id", "any"),
            captured.clone().replacing("x-scrapest-delivery-id", "another"),
        ] {
            assert_eq!(send_to(&server, path, &replay).await, status, "{path}");
        }
    }
    assert_eq!(handler.runs(), 1);
    assert_eq!(handler.deliveries()[0].webhook_id(), Some("wh_1"));
}

async fn each_webhook_has_its_own_deliveries_with_every_dedup_by<F: Framework>() {
    for dedup_by in [DedupBy::DeliveryIdAndTag, DedupBy::DeliveryId, DedupBy::Tag] {
        let handler = Handler::ok();
        let layer = badger(&webhooks(["wh_1", "wh_2"])).with_dedup_by(dedup_by);
        let server = F::serve(layer, handler.clone()).await;
        for kind in ["tweet.detected", "test"] {
            let before = handler.runs();
            for id in ["wh_1", "wh_2"] {
                let request = testing::scrapebadger_contract_2(secret(id)).with_delivery_id(kind);
                let request = request.with_kind(kind).sign().with_header("x-webhook-id", id);
                for _ in 0..2 {
                    assert_eq!(server.send(&request).await.status, 200);
                }
            }
            assert_eq!(handler.runs() - before, 2, "{dedup_by:?}, {kind}");
        }
    }
}

async fn replacing_the_secrets_of_one_webhook_keeps_the_others<F: Framework>() {
    let all = webhooks(["wh_1", "wh_2"]);
    let handler = Handler::new(|_, before| async move { if before == 0 { 500 } else { 200 } });
    let server = F::serve(badger(&all), handler.clone()).await;
    let secrets = all.read().unwrap()["wh_1"].secrets().clone();
    let new = secret("new");
    let by_new = |delivery_id: &str| {
        let request = testing::scrapebadger_contract_2(new.as_str()).with_delivery_id(delivery_id);
        request.sign().with_header("x-webhook-id", "wh_1")
    };
    let (one, two) = (from("wh_1", "del_1"), from("wh_2", "del_2"));
    assert_eq!(server.send(&one).await.status, 500);
    assert_eq!(server.send(&by_new("del_1")).await.status, 401);
    secrets.replace([new.as_str(), &secret("wh_1")]).unwrap();
    assert_eq!(server.send(&by_new("del_1")).await.status, 200);
    assert_eq!(server.send(&one).await.status, 200, "a duplicate");
    assert_eq!(server.send(&two).await.status, 200);
    assert_eq!(server.send(&from("wh_3", "del_1")).await.status, 401);
    secrets.replace([new.as_str()]).unwrap();
    assert_eq!(server.send(&from("wh_1", "del_3")).await.status, 401);
    assert_eq!(server.send(&by_new("del_3")).await.status, 200);
    assert_eq!(server.send(&from("wh_2", "del_3")).await.status, 200);
    assert_eq!(handler.runs(), 5);
}

async fn a_webhook_id_in_the_body_does_not_select_a_secret<F: Framework>() {
    let all = webhooks(["wh_1"]);
    let by_id = |all: &Webhooks| {
        let all = Arc::clone(all);
        ScrapestWebhookLayer::for_webhooks(move |request| {
            all.read().unwrap().get(request.id()?).cloned()
        })
    };
    let handler = Handler::ok();
    let server = F::serve(by_id(&all), handler.clone()).await;
    let time = time::OffsetDateTime::now_utc();
    let time = time.format(&time::format_description::well_known::Rfc3339).unwrap();
    let body = format!(
        r#"{{"id":"1","event":"tweet.created","webhook_id":"wh_1","timestamp":"{time}","data":{{"id":"1"}}}}"#
    );
    let signed = Raw::from(testing::scrapest(secret("wh_1")).with_body(body).sign());
    assert_eq!(server.raw(&signed).await.status, 401);
    assert_eq!(server.raw(&signed.clone().with("x-hook", "wh_1")).await.status, 401);
    assert_eq!(server.raw(&signed.clone().with("x-scrapest-webhook-id", "wh_1")).await.status, 200);
    // The name of the header is configurable.
    let named = Scrapest::default().with_webhook_id_header("X-Hook");
    let server = F::serve(by_id(&all).with_provider(named), handler.clone()).await;
    assert_eq!(server.raw(&signed.clone().with("x-scrapest-webhook-id", "wh_1")).await.status, 401);
    assert_eq!(server.raw(&signed.with("x-hook", "wh_1")).await.status, 200);
    assert_eq!(handler.runs(), 2);
}

async fn a_challenge_is_answered_for_the_webhook_that_signs_it<F: Framework>() {
    let handler = Handler::ok();
    let all = webhooks(["wh_1"]);
    let challenge = |by: &str| {
        let request = testing::scrapest(secret(by)).with_kind("webhook.verification").sign();
        Raw::from(request)
    };
    let server = F::serve_on("/webhooks/{id}", by_path(&all), handler.clone()).await;
    assert_eq!(send_to(&server, "/webhooks/wh_1", &challenge("wh_1")).await, 200);
    assert_eq!(send_to(&server, "/webhooks/wh_1", &challenge("wh_2")).await, 401);
    assert_eq!(send_to(&server, "/webhooks/wh_2", &challenge("wh_2")).await, 401);
    let unsigned = Scrapest::default().with_insecure_unsigned_challenge(true);
    let layer = by_path(&all).with_provider(unsigned);
    let server = F::serve_on("/webhooks/{id}", layer, handler.clone()).await;
    let bare = challenge("wh_2").without("x-scrapest-signature");
    assert_eq!(send_to(&server, "/webhooks/wh_2", &bare).await, 200);
    assert_eq!(send_to(&server, "/webhooks/wh_2", &challenge("wh_2")).await, 401);
    assert_eq!(handler.runs(), 0);
}

#[test]
fn the_webhook_header_must_be_a_valid_header_name() {
    let named = Scrapest::default().with_webhook_id_header("x hook");
    let error = by_path(&webhooks(["wh_1"])).with_provider(named).check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "webhook_id_header: is \"x hook\", expected the name of a header"
    );
}

support::for_each_framework! {
    a_flood_on_one_webhook_evicts_no_record_of_another,
    fifty_webhooks_share_one_route,
    an_unknown_webhook_gets_the_answer_of_a_wrong_signature,
    a_request_captured_from_one_webhook_is_refused_by_another,
    each_webhook_has_its_own_deliveries_with_every_dedup_by,
    replacing_the_secrets_of_one_webhook_keeps_the_others,
    a_webhook_id_in_the_body_does_not_select_a_secret,
    a_challenge_is_answered_for_the_webhook_that_signs_it,
}
