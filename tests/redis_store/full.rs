//! A Redis server that is full.

use scrapest_webhook::store::{Claim, DeliveryStore, RedisStore, Settled};
use support::claims::{KEEP, LEASE, acquire, claim, random_key};
use support::servers::redis::{FORGETFUL, RedisServer};
use support::{Handler, genuine};

use crate::faults::{receiver, taken_soon};

#[tokio::test]
async fn a_full_server_refuses_and_forgets_nothing() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    let (handler, known, late) = (Handler::ok(), genuine().sign(), genuine().sign());
    let store = RedisStore::new(&redis.url()).unwrap();
    let server = receiver(&redis.url(), &handler).await;
    assert_eq!(server.send(&known).await.status, 200);
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let error = store.ready().await.unwrap_err().to_string();
    assert!(error.contains("OOM"), "{error}");
    assert_eq!(server.send(&late).await.status, 503);
    assert_eq!(server.send(&known).await.status, 200, "the delivery is still known");
    assert_eq!(handler.runs(), 1);
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    taken_soon(&server, &late).await;
    store.ready().await.unwrap();
    assert_eq!(handler.runs(), 2);
}

#[tokio::test]
async fn a_full_server_accepts_completions_renewals_and_releases() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    let store = RedisStore::new(&redis.url()).unwrap();
    let keys = [random_key(), random_key(), random_key(), random_key()];
    let [renewed, completed, released, taken_over] = keys;
    let mut held = Vec::new();
    for key in keys {
        held.push(acquire(&store, key).await);
    }
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    assert!(
        store.claim(&random_key(), held[0].0, LEASE, KEEP).await.is_err(),
        "the server is full"
    );
    assert_eq!(store.renew(&renewed, held[0].0, LEASE * 4).await.unwrap(), Settled::Done);
    let (owner, fence) = held[1];
    assert_eq!(store.complete(&completed, owner, fence, KEEP).await.unwrap(), Settled::Done);
    assert_eq!(store.release(&released, held[2].0).await.unwrap(), Settled::Done);
    // A success of an attempt that lost its key, and a success for an absent key.
    assert_eq!(store.complete(&taken_over, owner, fence, KEEP).await.unwrap(), Settled::Lost);
    let absent = random_key();
    assert_eq!(store.complete(&absent, owner, fence, KEEP).await.unwrap(), Settled::Lost);
    for key in [completed, taken_over, absent] {
        assert_eq!(claim(&store, key).await, Claim::Completed);
    }
    let Claim::InProgress { retry_after } = claim(&store, renewed).await else { panic!() };
    assert!(retry_after > LEASE, "{retry_after:?}");
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    assert!(matches!(claim(&store, released).await, Claim::Acquired { attempt: 2, .. }));
}
