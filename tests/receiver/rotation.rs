//! Secrets that are replaced while the receiver runs: at once, completely, and without losing a delivery.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use scrapest_webhook::testing::SignedRequest;
use scrapest_webhook::{Delivery, MemoryStore, ScrapestWebhookLayer, Secret, Secrets, testing};
use support::in_process::{app, status};
use support::logged::Logged;
use support::{Framework, Handler, Raw, client, eventually};
use tokio::sync::Semaphore;
use tracing::Level;

const OLD: &str = "whsec_canary_7b1d5f0c93aa4e21_old";
const NEW: &str = "whsec_canary_7b1d5f0c93aa4e21_new";
const OTHER: &str = "whsec_canary_7b1d5f0c93aa4e21_other";

fn begin_with(secrets: &[&str]) -> (Secrets, ScrapestWebhookLayer) {
    support::logged::trace_if_asked();
    let secrets = Secrets::new(secrets.iter().copied()).unwrap();
    let layer = ScrapestWebhookLayer::from_secrets(secrets.clone());
    (secrets, layer)
}

fn signed(secret: &str) -> SignedRequest {
    testing::scrapest(secret).sign()
}

async fn secrets_can_be_replaced_while_the_receiver_runs<F: Framework>() {
    let (secrets, layer) = begin_with(&[OLD]);
    let handler = Handler::ok();
    // Clones, and other layers that use the same handle.
    let servers = [
        F::serve(layer.clone().with_namespace("one"), handler.clone()).await,
        F::serve(layer.with_namespace("two"), handler.clone()).await,
        F::serve(ScrapestWebhookLayer::from_secrets(secrets.clone()), handler.clone()).await,
    ];
    let check = async |old, new| {
        for server in &servers {
            assert_eq!(server.send(&signed(OLD)).await.status, old);
            assert_eq!(server.send(&signed(NEW)).await.status, new);
        }
    };
    check(200, 401).await;
    secrets.replace([NEW, OLD]).unwrap();
    check(200, 200).await;
    secrets.clone().replace([NEW]).unwrap();
    check(401, 200).await;
    assert_eq!(handler.runs(), 12);
}

async fn an_invalid_new_set_of_secrets_keeps_the_old_one<F: Framework>() {
    let (secrets, layer) = begin_with(&[OLD, NEW]);
    let server = F::serve(layer, Handler::ok()).await;
    let before = format!("{secrets:?}");
    let labelled = |label: &str| Secret::from(OTHER).with_label(label);
    let refused: [(Vec<Secret>, &str); 8] = [
        (vec![], "secret: is missing, expected at least one"),
        (vec!["".into()], "secret is empty"),
        (vec![OTHER.into(), "".into()], "secret is empty"),
        (vec![" \n".into(), OTHER.into()], "secret is blank"),
        (vec![OTHER.into(), "1234567".into()], "secret has 7 bytes"),
        (vec!["\0\0\0\0\0\0\0\0\0".into()], "secret is blank"),
        ((0..5).map(|_| OTHER.into()).collect(), "one of more than 4"),
        (vec![labelled("a"), labelled("a")], "label \"a\" is used twice"),
    ];
    for (set, text) in refused {
        let error = secrets.replace(set).unwrap_err();
        assert_eq!(error.setting(), "secret");
        assert!(error.to_string().contains(text), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
        for (secret, status) in [(OLD, 200), (NEW, 200), (OTHER, 401), ("", 401)] {
            assert_eq!(server.send(&signed(secret)).await.status, status, "{text}");
        }
    }
    assert_eq!(format!("{secrets:?}"), before);
}

async fn a_rotation_between_retries_neither_loses_nor_duplicates<F: Framework>() {
    for has_id in [true, false] {
        let (secrets, layer) = begin_with(&[OLD]);
        let handler = Handler::new(|_, before| async move { if before < 3 { 500 } else { 200 } });
        let server = F::serve(layer, handler.clone()).await;
        let body = br#"{"event":"tweet.created","timestamp":"NOW","data":{"id":"1"}}"#;
        let now = time::OffsetDateTime::now_utc();
        let now = now.format(&time::format_description::well_known::Rfc3339).unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap().replace("NOW", &now);
        let attempt = |secret: &str| {
            let request = testing::scrapest(secret).with_delivery_id("del_1");
            let raw = Raw::from(request.with_body(body.clone()).sign());
            if has_id { raw } else { raw.without("x-scrapest-delivery-id") }
        };
        assert_eq!(server.raw(&attempt(OLD)).await.status, 500);
        secrets.replace([NEW, OLD]).unwrap();
        assert_eq!(server.raw(&attempt(OLD)).await.status, 500, "the receiver has both");
        assert_eq!(server.raw(&attempt(NEW)).await.status, 500, "and the sender the new one");
        secrets.replace([OLD, NEW]).unwrap();
        assert_eq!(server.raw(&attempt(NEW)).await.status, 200, "whatever their order");
        assert_eq!(handler.runs(), 4);
        for set in [&[OLD, NEW][..], &[NEW, OLD], &[NEW, OTHER], &[NEW]] {
            secrets.replace(set.iter().copied()).unwrap();
            for secret in [OLD, NEW] {
                let expected = if set.contains(&secret) { 200 } else { 401 };
                assert_eq!(server.raw(&attempt(secret)).await.status, expected);
            }
        }
        assert_eq!(handler.runs(), 4, "duplicates, or refused");
    }
}

async fn a_request_is_settled_with_the_secrets_that_verified_it<F: Framework>() {
    let gate = Arc::new(Semaphore::new(0));
    let handler = {
        let gate = Arc::clone(&gate);
        Handler::new(move |_, _| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                200
            }
        })
    };
    let (secrets, layer) = begin_with(&[OLD]);
    let server = F::serve(layer, handler.clone()).await;
    let request = signed(OLD);
    let first = client::begin(server.address, &client::text(&request)).await;
    eventually("it runs", || handler.runs() == 1).await;
    // Between its claim and its record.
    secrets.replace([NEW]).unwrap();
    assert_eq!(server.send(&request).await.status, 401, "its own retry came too late");
    gate.add_permits(10);
    let mut first = first;
    assert_eq!(client::read(&mut first).await.status, 200);
    // The record has the old secret's tag, so a replay is recognized when that secret is back.
    secrets.replace([NEW, OLD]).unwrap();
    let replay = Raw::from(request).replacing("x-scrapest-delivery-id", "another");
    let answer = server.raw(&replay).await;
    assert_eq!((answer.status, answer.body.len(), handler.runs()), (200, 0, 1));
}

struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn replacements_under_load_lose_and_duplicate_nothing<F: Framework>() {
    const SENDERS: usize = 4;
    const EACH: usize = 60;
    let (secrets, layer) = begin_with(&[OLD, NEW]);
    let handler = Handler::ok();
    let server = Arc::new(F::serve(layer.with_store(MemoryStore::new()), handler.clone()).await);
    let over = Arc::new(AtomicBool::new(false));
    // Also if the test fails, because otherwise it would never end.
    let end = Over(Arc::clone(&over));
    let exchanging = {
        let over = Arc::clone(&over);
        tokio::task::spawn_blocking(move || {
            let sets = [&[NEW, OLD][..], &[OLD, NEW], &[OTHER, OLD, NEW], &[NEW, OTHER, OLD]];
            let mut exchanges = 0;
            while !over.load(Ordering::Relaxed) {
                secrets.replace(sets[exchanges % sets.len()].iter().copied()).unwrap();
                assert!(secrets.replace([""]).is_err());
                exchanges += 1;
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            exchanges
        })
    };
    let senders = (0..SENDERS).map(|sender| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            for nth in 0..EACH {
                let id = format!("del_{sender}_{nth}");
                let first = testing::scrapest([OLD, NEW][nth % 2]).with_delivery_id(&id).sign();
                let body = first.body().clone();
                let again = testing::scrapest([NEW, OLD][nth % 2]).with_delivery_id(&id);
                let again = again.with_body(body).sign();
                for request in [&first, &first, &again] {
                    assert_eq!(server.send(request).await.status, 200, "{id}");
                }
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    drop(end);
    let exchanges = exchanging.await.unwrap();
    assert!(exchanges > EACH, "{exchanges}");
    assert_eq!(handler.runs(), SENDERS * EACH);
}

#[tokio::test(start_paused = true)]
async fn the_span_has_the_label_of_the_matching_secret() {
    let labelled = |secret: &str, label: &str| Secret::from(secret).with_label(label);
    let (secrets, layer) = begin_with(&[OLD]);
    let app = app(layer, &Handler::ok());
    let (logged, _guard) = Logged::begin();
    let mut expected = Vec::new();
    for (set, sent) in [
        (vec![OLD.into()], vec![(OLD, Some("1"))]),
        (vec![NEW.into(), OLD.into()], vec![(OLD, Some("2")), (NEW, Some("1")), (OTHER, None)]),
        (
            vec![labelled(NEW, "2026-11"), labelled(OLD, ""), labelled(OTHER, "2026-12")],
            vec![(OLD, Some("2")), (NEW, Some("2026-11")), (OTHER, Some("2026-12"))],
        ),
    ] {
        secrets.replace(set).unwrap();
        for (secret, label) in sent {
            let answered = status(&app, &signed(secret)).await;
            assert_eq!(answered, if label.is_some() { 200 } else { 401 });
            expected.extend(label);
            assert_eq!(logged.values("signed_with"), expected);
        }
    }
    // If a secret is there twice, the first label counts.
    secrets.replace([labelled(OTHER, "a"), labelled(NEW, "b"), labelled(NEW, "c")]).unwrap();
    assert_eq!(status(&app, &signed(NEW)).await, 200);
    assert_eq!(logged.values("signed_with").last().unwrap(), "b");
    assert!(!logged.text(Level::TRACE).contains("canary"));
}

#[test]
fn debug_of_secrets_shows_only_their_labels() {
    let labelled = Secret::from(OLD).with_label("2026-11");
    assert_eq!(format!("{labelled:?}"), "Secret(<redacted>)");
    let (secrets, layer) = begin_with(&[OLD]);
    secrets.replace([labelled, NEW.into()]).unwrap();
    assert_eq!(format!("{secrets:?}"), r#"Secrets(["2026-11", "2"] <redacted>)"#);
    let layer = format!("{layer:?}");
    assert!(
        layer.contains(r#"["2026-11", "2"] <redacted>"#) && !layer.contains("canary"),
        "{layer}"
    );
}

#[tokio::test]
async fn a_layer_for_one_webhook_sets_no_webhook_id() {
    let handler = Handler::ok();
    let (_, layer) = begin_with(&[OLD]);
    assert_eq!(status(&app(layer, &handler), &signed(OLD)).await, 200);
    assert_eq!(handler.deliveries()[0].webhook_id(), None::<&str>);
    let _: fn(&Delivery) -> Option<&str> = Delivery::webhook_id;
}

support::for_each_framework! {
    secrets_can_be_replaced_while_the_receiver_runs,
    an_invalid_new_set_of_secrets_keeps_the_old_one,
    a_rotation_between_retries_neither_loses_nor_duplicates,
    a_request_is_settled_with_the_secrets_that_verified_it,
    replacements_under_load_lose_and_duplicate_nothing,
}
