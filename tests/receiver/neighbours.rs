//! Layers of one process that interfere with each other.

use scrapest_webhook::store::{AnyStore, MemoryStore, store_from_url};
use scrapest_webhook::{ScrapestWebhookLayer, Webhook};
use support::logged::Logged;
use support::scripted::ScriptedStore;
use support::{Folder, Handler, InProcess, layer};

const ANOTHER: &str = "a secret of another webhook";

/// The lines that these layers cause when they are applied to services one after the other.
fn said(layers: &[ScrapestWebhookLayer]) -> Vec<String> {
    let (logged, _guard) = Logged::begin();
    let _services: Vec<_> =
        layers.iter().map(|layer| InProcess::new(layer, Handler::ok())).collect();
    let lines = logged.about_neighbours();
    lines.iter().map(|line| line.message().to_owned()).collect()
}

#[test]
fn a_memory_store_per_worker_is_logged_once() {
    let built_in_the_factory = || layer().with_namespace("split");
    let lines = said(&[built_in_the_factory(), built_in_the_factory(), built_in_the_factory()]);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.contains("HttpServer::new"), "{line}");
    // Built once and cloned, or each with the same store.
    let one = layer().with_namespace("whole");
    assert_eq!(said(&[one.clone(), one.clone()]), [""; 0]);
    let store = MemoryStore::new();
    let shared = || layer().with_namespace("shared").with_store(store.clone());
    assert_eq!(said(&[shared(), shared()]), [""; 0]);
    // Two webhooks of one sender.
    let other = ScrapestWebhookLayer::new(ANOTHER).with_namespace("two");
    assert_eq!(said(&[layer().with_namespace("two"), other]), [""; 0]);
}

#[test]
fn two_webhooks_with_one_store_and_namespace_are_logged() {
    let store = MemoryStore::new();
    let one = layer().with_namespace("confused").with_store(store.clone());
    let other = ScrapestWebhookLayer::new(ANOTHER).with_store(store.clone());
    let lines = said(&[one.clone(), other.clone().with_namespace("confused")]);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.contains("with_namespace"), "{line}");
    assert_eq!(said(&[one.clone(), other.with_namespace("of its own")]), [""; 0]);
    // A layer with both secrets, as during a rotation, is for the same webhook.
    let both = scrapest_webhook::Secrets::new([support::SECRET, ANOTHER]).unwrap();
    let both = ScrapestWebhookLayer::from_secrets(both).with_store(store);
    assert_eq!(said(&[one, both.with_namespace("confused")]), [""; 0]);
}

#[tokio::test]
async fn persistent_stores_are_compared_by_location_and_others_by_pointer() {
    let confused = |stores: [AnyStore; 2]| {
        let [store, other] = stores;
        let one = layer().with_namespace("lasting").with_store(store);
        let other = ScrapestWebhookLayer::new(ANOTHER).with_namespace("lasting").with_store(other);
        said(&[one, other]).len() == 1
    };
    let folder = Folder::new();
    let file = |name| store_from_url(&format!("sqlite:{}", folder.file(name))).unwrap();
    assert!(confused([file("one.db"), file("one.db")]), "opened twice");
    assert!(!confused([file("one.db"), file("two.db")]));
    let own = AnyStore::new(ScriptedStore::recording());
    assert!(confused([own.clone(), own]));
    // Their `Debug` output is the same.
    assert!(!confused([(); 2].map(|()| AnyStore::new(ScriptedStore::recording()))));
}

#[test]
fn secrets_that_are_looked_up_per_request_log_no_conflict() {
    let store = MemoryStore::new();
    let of_each = ScrapestWebhookLayer::for_webhooks(|_| None::<Webhook>);
    let of_each = of_each.with_namespace("looked up").with_store(store.clone());
    let one = layer().with_namespace("looked up").with_store(store);
    assert_eq!(said(&[of_each, one]), [""; 0]);
}
