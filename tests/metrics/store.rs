//! The metrics of the store: failures, lost leases, and evictions.

use std::time::Duration;

use axum::http::StatusCode;
use scrapest_webhook::store::{Claim, DeliveryStore, Fence, Key, Owner};
use scrapest_webhook::{Delivery, MemoryStore};
use support::scripted::{Fault, ScriptedStore, Verb};

use crate::{KEEP, Seen, app, genuine, layer, recorded, seen, send};

const LEASE: Duration = Duration::from_millis(30);

#[test]
fn store_failures_and_pending_records_are_counted_by_verb() {
    let pending = "pending_settlements sender=scrapest verb=complete";
    let mut first = Seen::new();
    let seen = seen(&recorded(async |snapshotter| {
        let store = ScriptedStore::new(|call| match (call.verb, call.nth) {
            (Verb::Complete, 0..2) => Fault::Error,
            _ => Fault::None,
        });
        let layer = layer().with_store(store);
        let app = app(layer.clone(), async |_| StatusCode::NO_CONTENT);
        assert_eq!(send(&app, &genuine()).await, 204);
        first = seen(&snapshotter);
        assert!(layer.drain(Duration::from_secs(10)).await);
    }));
    // This recorder starts from zero at each snapshot.
    let errors = "store_errors_total verb=complete";
    assert_eq!((first[errors], first[pending]), (1.0, 1.0));
    assert_eq!((seen[errors], seen[pending]), (1.0, -1.0));
    assert_eq!(seen["store_errors_total verb=claim"], 0.0);
    assert!(!seen.contains_key("records sender=scrapest"), "only a memory store has this gauge");
}

#[test]
fn a_success_after_the_lease_was_lost_is_counted_once() {
    let seen = seen(&recorded(async |_| {
        let store = MemoryStore::new();
        let layer = layer().with_lease(LEASE).with_store(store.clone());
        let app = app(layer, move |delivery: Delivery| {
            let store = store.clone();
            async move {
                // The handler blocks its thread, so the lease is not renewed and another attempt takes over.
                std::thread::sleep(2 * LEASE);
                let other = store.claim(&delivery.key(), Owner::random(), LEASE, KEEP).await;
                assert!(matches!(other.unwrap(), Claim::Acquired { attempt: 2, .. }));
                StatusCode::NO_CONTENT
            }
        });
        assert_eq!(send(&app, &genuine()).await, 204);
    }));
    assert_eq!(seen["late_successes_total sender=scrapest"], 1.0);
    assert_eq!(seen["takeovers_total"], 1.0);
}

#[test]
fn evictions_of_a_full_store_are_counted() {
    let seen = seen(&recorded(async |_| push_out().await));
    // Two records are one delivery.
    assert_eq!(seen, Seen::from([("evictions_total".to_owned(), 3.0)]));
}

pub async fn push_out() {
    let store = MemoryStore::with_capacity(1.try_into().unwrap());
    for byte in 0..5 {
        let (key, owner) = (Key::from_bytes([byte; 32]), Owner::random());
        store.claim(&key, owner, LEASE, KEEP).await.unwrap();
        store.complete(&key, owner, Fence::new(1), KEEP).await.unwrap();
    }
}
