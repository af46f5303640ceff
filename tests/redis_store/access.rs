//! Users with only the documented rights, sentinels with and without a password, and a proxy that shards.

use scrapest_webhook::store::{Claims, DeliveryStore, Fence, Owner, RedisStore, Settlement};
use support::claims::{KEEP, LEASE, acquire, random_key, recovers};
use support::servers::redis::{FORGETFUL, RedisServer};
use support::{Axum, Framework, Handler, Proxy, genuine, layer};

use crate::topologies::{cluster, until};

/// The rights that the store's documentation names.
const RIGHTS: &str = "~scrapest-webhook:* +evalsha +eval +get +set +del +pexpire +pttl +time +info";

fn set_user(redis: &RedisServer, rights: &str) {
    let rights = format!("ACL SETUSER webhooks on >canary_password {RIGHTS} {rights}");
    redis.ask(&rights.split_whitespace().collect::<Vec<_>>()).unwrap();
}

fn url(redis: &RedisServer) -> String {
    redis.url().replace("//", "//webhooks:canary_password@")
}

/// Uses each verb, over one key and over several. The server logs the commands that it refuses.
async fn use_all(store: &RedisStore, servers: &[&RedisServer]) {
    recovers(|| store.ready()).await;
    for _ in 0..20 {
        let (key, owner) = (random_key(), Owner::random());
        let mut keys = [(key, Fence::new(0)), (random_key(), Fence::new(0))];
        for _ in 0..2 {
            let claims = store.claim_all(&mut keys, owner, LEASE, KEEP).await.unwrap();
            assert!(matches!(claims, Claims::Acquired { attempt: 1 }), "{claims:?}");
        }
        let found = store.claim_all(&mut keys, Owner::random(), LEASE, KEEP).await.unwrap();
        assert!(matches!(found, Claims::InProgress { place: 0, .. }), "{found:?}");
        store.renew_all(&keys, owner, LEASE).await.unwrap();
        store.settle_all(&keys, owner, Settlement::Release).await.unwrap();
        // The second key is taken, so the first one is released.
        let (holder, _) = acquire(store, keys[1].0).await;
        let found = store.claim_all(&mut keys, owner, LEASE, KEEP).await.unwrap();
        assert!(matches!(found, Claims::InProgress { place: 1, .. }), "{found:?}");
        for _ in 0..2 {
            let how = Settlement::Complete { keep: KEEP };
            store.settle_all(&keys, holder, how).await.unwrap();
        }
    }
    for server in servers {
        let refused = format!("{:?}", server.ask(&["ACL", "LOG"]).unwrap());
        let of_driver = refused.matches("client|setinfo").count();
        assert_eq!(refused.matches("\"reason\"").count(), of_driver, "{refused}");
    }
}

#[tokio::test]
async fn the_documented_privileges_are_enough() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    set_user(&redis, "");
    use_all(&RedisStore::new(&url(&redis)).unwrap(), &[&redis]).await;
    set_user(&redis, "+select");
    use_all(&RedisStore::new(&(url(&redis) + "/3")).unwrap(), &[&redis]).await;
}

#[tokio::test]
async fn a_missing_privilege_and_a_wrong_password_are_reported() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    set_user(&redis, "-set");
    let store = RedisStore::new(&url(&redis)).unwrap();
    let error = store.ready().await.unwrap_err().to_string();
    assert!(error.contains("ACL SETUSER"), "{error}");
    let wrong = url(&redis).replace("canary", "canary_wrong");
    let error = RedisStore::new(&wrong).unwrap().ready().await.unwrap_err().to_string();
    assert!(error.contains("check the user and the password"), "{error}");
    assert!(!error.contains("canary"), "{error}");
}

#[tokio::test]
async fn the_documented_privileges_are_enough_in_a_cluster() {
    let Some(nodes) = cluster(FORGETFUL).await else { return };
    for node in &nodes {
        set_user(node, "+cluster|slots +ping");
    }
    let nodes: Vec<_> = nodes.iter().collect();
    use_all(&RedisStore::cluster([&*url(nodes[0])]).unwrap(), &nodes).await;
}

#[tokio::test]
async fn a_password_is_sent_to_the_sentinels_and_primary_that_require_it() {
    for (of_sentinel, of_primary) in [(true, true), (false, true), (true, false)] {
        let Some(primary) = RedisServer::start(FORGETFUL) else { return };
        let mut sentinel = RedisServer::stopped(&["--sentinel"]).unwrap();
        let config = format!("sentinel monitor mine 127.0.0.1 {} 1\n", primary.port);
        std::fs::write(sentinel.directory.join("sentinel.conf"), config).unwrap();
        sentinel.run();
        until(&sentinel, &["SENTINEL", "MASTERS"], "\"master\"").await;
        for (server, wants) in [(&primary, of_primary), (&sentinel, of_sentinel)] {
            if wants {
                server
                    .ask(&["ACL", "SETUSER", "default", "resetpass", ">canary_password"])
                    .unwrap();
            }
        }
        let url = sentinel.url().replace("//", "//:canary_password@");
        let store = RedisStore::sentinel([&*url], "mine").unwrap();
        recovers(|| store.ready()).await;
        acquire(&store, random_key()).await;
    }
}

#[tokio::test]
async fn a_sharding_proxy_that_reports_standalone_mode_works() {
    let arguments = [FORGETFUL, &["--cluster-enabled", "yes"]].concat();
    let Some(redis) = RedisServer::start(&arguments) else { return };
    redis.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).unwrap();
    until(&redis, &["CLUSTER", "INFO"], "cluster_state:ok").await;
    let proxy = Proxy::start(redis.port).await;
    // The replacement has the same length.
    proxy.change_replies(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        let text = text.replace("redis_mode:cluster", "redis_mode:standalone");
        text.replace("redis_build_id:", "redis_build_").into_bytes()
    });
    let store = RedisStore::new(&format!("redis://127.0.0.1:{}", proxy.port)).unwrap();
    let handler = Handler::ok();
    let server = Axum::serve(layer().with_store(store.clone()), handler.clone()).await;
    for number in 1..=20 {
        let request = genuine().sign();
        assert_eq!(server.send(&request).await.status, 200);
        assert_eq!(server.send(&request).await.status, 200);
        assert_eq!(handler.runs(), number);
    }
    let refused: String =
        redis::from_redis_value(redis.ask(&["INFO", "errorstats"]).unwrap()).unwrap();
    assert!(refused.contains("CROSSSLOT"), "the proxy was never sent two keys at once: {refused}");
}
