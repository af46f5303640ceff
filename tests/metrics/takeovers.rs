//! Takeovers, as every store reports them.

use std::time::Duration;

use scrapest_webhook::MemoryStore;
use scrapest_webhook::store::{
    AnyStore, Claim, DeliveryStore, Key, Owner, SqliteStore, store_from_url,
};
use support::servers::{postgres, redis};
use tokio::time::sleep;

use crate::{KEEP, recorded, seen};

const LEASE: Duration = Duration::from_millis(100);

/// Counts the takeovers by three attempts on a key whose lease has ended. The earlier attempt has died, has released
/// its claim, or has the same owner.
fn takeovers(store: impl AsyncFnOnce() -> AnyStore) -> f64 {
    let seen = seen(&recorded(async |_| {
        let store = store().await;
        for byte in 0..3 {
            let (key, owner) = (Key::from_bytes([byte; 32]), Owner::random());
            let mut claim = store.claim(&key, owner, LEASE, KEEP).await;
            // A server that has just started may need longer for a connection than a claim waits.
            while claim.is_err() {
                sleep(LEASE).await;
                claim = store.claim(&key, owner, LEASE, KEEP).await;
            }
            if byte == 1 {
                store.release(&key, owner).await.unwrap();
            }
            sleep(2 * LEASE).await;
            let again = if byte == 2 { owner } else { Owner::random() };
            let claim = store.claim(&key, again, LEASE, KEEP).await.unwrap();
            assert!(matches!(claim, Claim::Acquired { .. }));
        }
    }));
    seen["takeovers_total"]
}

#[test]
fn only_an_expired_lease_counts_in_memory() {
    assert_eq!(takeovers(async || AnyStore::new(MemoryStore::new())), 1.0);
}

#[test]
fn only_an_expired_lease_counts_in_sqlite() {
    let file = std::env::temp_dir().join(format!("webhook-metrics-{}.db", std::process::id()));
    let store = SqliteStore::new(file.to_str().unwrap()).unwrap();
    assert_eq!(takeovers(async || AnyStore::new(store)), 1.0);
    for end in ["", "-wal", "-shm"] {
        _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
}

#[test]
fn only_an_expired_lease_counts_in_redis() {
    let Some(server) = redis::RedisServer::start(redis::FORGETFUL) else { return };
    assert_eq!(takeovers(async || store_from_url(&server.url()).unwrap()), 1.0);
}

#[test]
fn only_an_expired_lease_counts_in_postgres() {
    let Some(server) = postgres::Postgres::start(&[]) else { return };
    assert_eq!(takeovers(async || store_from_url(&server.url()).unwrap()), 1.0);
}
