//! The values under the keys: ours are readable, and foreign values are not changed.

use std::time::Duration;

use redis::Value;
use scrapest_webhook::store::{Claim, DeliveryStore, Fence, Key, Owner, RedisStore, Settled};
use support::servers::redis::{FORGETFUL, RedisServer};

const LEASE: Duration = Duration::from_secs(15);
const KEEP: Duration = Duration::from_secs(4_200);

fn text(value: Value) -> String {
    redis::from_redis_value(value).unwrap()
}

#[tokio::test]
async fn a_foreign_value_under_a_key_is_an_error_and_is_not_changed() {
    let Some(server) = RedisServer::start(FORGETFUL) else { return };
    let store = RedisStore::new(&server.url()).unwrap().with_prefix("mine:");
    let (key, owner) = (Key::from_bytes([7; 32]), Owner::random());
    let name = format!("mine:{key}");
    let foreign: &[&[&str]] = &[
        &["SET", &name, "1"],
        &["SET", &name, ""],
        &["SET", &name, "{\"state\":\"completed\"}"],
        &["SET", &name, "sw0 c 1 1 99999999999999"],
        &["SET", &name, "sw1 c surplus"],
        &["SET", &name, "sw1 f 1 1 99999999999999 surplus"],
        &["SET", &name, "sw1 r 1 1 99999999999999"],
        &["SET", &name, "sw1"],
        &["HSET", &name, "state", "c"],
        &["RPUSH", &name, "sw1 c"],
    ];
    for write in foreign {
        server.ask(&["DEL", &name]).unwrap();
        server.ask(write).unwrap();
        let before = server.ask(&["DUMP", &name]).unwrap();
        let errors = [
            store.claim(&key, owner, LEASE, KEEP).await.expect_err("a claim"),
            store.renew(&key, owner, LEASE).await.expect_err("a renewal"),
            store.complete(&key, owner, Fence::new(1), KEEP).await.expect_err("a completion"),
            store.release(&key, owner).await.expect_err("a release"),
        ];
        for error in errors.map(|error| error.to_string()) {
            assert!(error.contains("left alone"), "{error}");
        }
        assert_eq!(server.ask(&["DUMP", &name]).unwrap(), before, "{write:?} was changed");
        assert_eq!(server.ask(&["PTTL", &name]).unwrap(), Value::Int(-1), "{write:?}");
    }
}

#[tokio::test]
async fn a_record_of_a_newer_version_is_in_progress_and_is_not_changed() {
    let Some(server) = RedisServer::start(FORGETFUL) else { return };
    let store = RedisStore::new(&server.url()).unwrap();
    let (key, owner) = (Key::from_bytes([7; 32]), Owner::random());
    let name = format!("scrapest-webhook:{key}");
    for version in ["sw2 whatever comes", "sw1999 r 1 1 1"] {
        server.ask(&["SET", &name, version]).unwrap();
        let claim = store.claim(&key, owner, LEASE, KEEP).await.unwrap();
        assert!(matches!(claim, Claim::InProgress { .. }), "{claim:?}");
        store.renew(&key, owner, LEASE).await.expect_err("a renewal");
        store.complete(&key, owner, Fence::new(1), KEEP).await.expect_err("a completion");
        store.release(&key, owner).await.expect_err("a release");
        assert_eq!(text(server.ask(&["GET", &name]).unwrap()), version);
    }
}

#[tokio::test]
async fn the_server_drops_a_record_at_the_later_of_its_retention_and_its_lease() {
    let Some(server) = RedisServer::start(FORGETFUL) else { return };
    let store = RedisStore::new(&server.url()).unwrap();
    let (key, owner) = (Key::from_bytes([7; 32]), Owner::random());
    let name = format!("scrapest-webhook:{key}");
    let left = || match server.ask(&["PTTL", &name]).unwrap() {
        Value::Int(millis) => Duration::from_millis(u64::try_from(millis).unwrap()),
        other => panic!("{other:?}"),
    };
    let near = |expected: Duration| {
        let left = left();
        assert!(left <= expected && left + Duration::from_secs(10) > expected, "{left:?}");
    };
    let long = 10 * KEEP;
    store.claim(&key, owner, LEASE, KEEP).await.unwrap();
    near(KEEP);
    store.renew(&key, owner, long).await.unwrap();
    near(long);
    store.renew(&key, owner, LEASE).await.unwrap();
    near(KEEP);
    store.release(&key, owner).await.unwrap();
    near(KEEP);
    store.complete(&key, owner, Fence::new(1), long).await.unwrap();
    near(long);
    // The longer retention counts.
    store.complete(&key, owner, Fence::new(1), KEEP).await.unwrap();
    near(long);
}

#[tokio::test]
async fn scripts_are_loaded_again_into_a_server_that_forgot_them() {
    let Some(server) = RedisServer::start(FORGETFUL) else { return };
    let store = RedisStore::new(&server.url()).unwrap();
    let (key, owner) = (Key::from_bytes([7; 32]), Owner::random());
    let claimed = store.claim(&key, owner, LEASE, KEEP).await.unwrap();
    server.ask(&["SCRIPT", "FLUSH"]).unwrap();
    assert_eq!(store.claim(&key, owner, LEASE, KEEP).await.unwrap(), claimed);
    server.ask(&["SCRIPT", "FLUSH"]).unwrap();
    assert_eq!(store.release(&key, owner).await.unwrap(), Settled::Done);
}

#[tokio::test]
async fn the_largest_durations_and_fences_are_kept() {
    let Some(server) = RedisServer::start(FORGETFUL) else { return };
    let store = RedisStore::new(&server.url()).unwrap();
    let (key, owner) = (Key::from_bytes([7; 32]), Owner::random());
    store.claim(&key, owner, Duration::MAX, Duration::MAX).await.unwrap();
    store.renew(&key, owner, Duration::MAX).await.unwrap();
    let settled = store.complete(&key, owner, Fence::new(u64::MAX), Duration::MAX).await.unwrap();
    assert_eq!(settled, Settled::Done);
    assert_eq!(store.claim(&key, owner, LEASE, KEEP).await.unwrap(), Claim::Completed);
}

#[tokio::test]
async fn an_existing_connection_can_be_used() {
    let Some(server) = RedisServer::start(FORGETFUL) else { return };
    let client = redis::Client::open(server.url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let store = RedisStore::from_connection(connection);
    store.ready().await.unwrap();
    let key = Key::from_bytes([7; 32]);
    let claim = store.claim(&key, Owner::random(), LEASE, KEEP).await.unwrap();
    assert!(matches!(claim, Claim::Acquired { attempt: 1, .. }), "{claim:?}");
}
