//! On a standalone server, both keys of a delivery take one round trip.

use std::time::{Duration, Instant};

use redis::Value;
use scrapest_webhook::store::RedisStore;
use support::servers::redis::{FORGETFUL, RedisServer};
use support::{Axum, Framework, Handler, Server, genuine, layer};

use crate::topologies;

async fn receiver(store: RedisStore, handler: &Handler) -> Server {
    Axum::serve(layer().with_store(store), handler.clone()).await
}

/// A receiver whose store has learned that its server is standalone.
async fn warmed_up(redis: &RedisServer, handler: &Handler) -> Server {
    let server = receiver(RedisStore::new(&redis.url()).unwrap(), handler).await;
    let began = Instant::now();
    while last_delivery(redis, &server).await > 2 {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the store has not learned the server's mode"
        );
    }
    server
}

/// Returns how many scripts one delivery runs.
async fn last_delivery(redis: &RedisServer, server: &Server) -> usize {
    let before = scripts(redis);
    assert_eq!(server.send(&genuine().sign()).await.status, 200);
    scripts(redis) - before
}

/// Returns how many scripts the server has run, without calls that failed because it did not know the script.
fn scripts(redis: &RedisServer) -> usize {
    let stats: String =
        redis::from_redis_value(redis.ask(&["INFO", "commandstats"]).unwrap()).unwrap();
    let of = |verb: &str, name: &str| -> usize {
        let line = stats.lines().find(|line| line.starts_with(verb)).unwrap_or_default();
        let field = line.split([':', ',']).find_map(|field| field.strip_prefix(name));
        field.map_or(0, |number| number.parse().unwrap())
    };
    ["cmdstat_evalsha:", "cmdstat_eval:"]
        .map(|verb| of(verb, "calls=") - of(verb, "failed_calls="))
        .iter()
        .sum()
}

fn records(redis: &RedisServer) -> i64 {
    let Value::Int(records) = redis.ask(&["DBSIZE"]).unwrap() else { panic!() };
    records
}

#[tokio::test]
async fn a_delivery_takes_one_round_trip_to_claim_and_one_to_complete() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    let handler = Handler::ok();
    let server = warmed_up(&redis, &handler).await;
    for _ in 0..10 {
        assert_eq!(last_delivery(&redis, &server).await, 2);
    }
    assert_eq!(records(&redis), 2 * handler.runs() as i64, "each has both its records");
}

#[tokio::test]
async fn a_failed_delivery_takes_one_round_trip_to_release_and_runs_again() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    let handler = Handler::new(|_, before| async move { if before == 3 { 500 } else { 200 } });
    let server = receiver(RedisStore::new(&redis.url()).unwrap(), &handler).await;
    for _ in 0..3 {
        assert_eq!(server.send(&genuine().sign()).await.status, 200);
    }
    let request = genuine().sign();
    let before = scripts(&redis);
    assert_eq!(server.send(&request).await.status, 500);
    assert_eq!(scripts(&redis) - before, 2);
    assert_eq!(server.send(&request).await.status, 200);
    assert_eq!(handler.deliveries().last().unwrap().attempt(), 2);
    assert_eq!(scripts(&redis) - before, 4);
}

#[tokio::test]
async fn a_replay_and_a_refreshed_duplicate_leave_nothing_behind() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    let handler = Handler::ok();
    let server = warmed_up(&redis, &handler).await;
    let request = genuine().with_delivery_id("the-first").sign();
    assert_eq!(server.send(&request).await.status, 200);
    let (runs, before, kept) = (handler.runs(), scripts(&redis), records(&redis));

    let replay = request.clone().with_header("x-scrapest-delivery-id", "yet-to-come");
    assert_eq!(server.send(&replay).await.status, 200);
    // Other bytes under the same id: only the second key is taken.
    let refreshed = genuine().with_delivery_id("the-first").with_kind("user.updated").sign();
    assert_eq!(server.send(&refreshed).await.status, 200);
    assert_eq!(handler.runs(), runs);
    assert_eq!(scripts(&redis) - before, 2, "there was nothing to release");
    assert_eq!(records(&redis), kept);

    let genuine = genuine().with_delivery_id("yet-to-come").sign();
    assert_eq!(server.send(&genuine).await.status, 200);
    assert_eq!(handler.runs(), runs + 1, "the id that the replay named is still free");
}

/// A foreign string can be read; for a value of another type, `GET` returns an error.
#[tokio::test]
async fn a_foreign_value_under_one_key_does_not_block_a_success_of_the_other() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    let (first, url) = (Handler::ok(), redis.url());
    let server = warmed_up(&redis, &first).await;
    for command in ["SET", "RPUSH"] {
        for vandalized in [Vandalized::Main, Vandalized::Guard] {
            redis.ask(&["FLUSHALL"]).unwrap();
            let vandal = vandal(url.clone(), command, vandalized);
            let other = warmed_up(&redis, &vandal).await;
            redis.ask(&["FLUSHALL"]).unwrap();
            let (request, runs) = (genuine().with_delivery_id("one").sign(), first.runs());
            assert_eq!(other.send(&request).await.status, 200);
            let again = match vandalized {
                // The same bytes under another id, and other bytes under the same id.
                Vandalized::Main => request.with_header("x-scrapest-delivery-id", "another"),
                Vandalized::Guard => {
                    genuine().with_delivery_id("one").with_kind("user.updated").sign()
                }
            };
            assert_eq!(server.send(&again).await.status, 200, "a duplicate of the success");
            assert_eq!(first.runs(), runs, "{command} under one key keeps the other incomplete");
        }
    }
}

#[derive(Clone, Copy)]
enum Vandalized {
    Main,
    Guard,
}

/// A handler that replaces one of its delivery's records by a foreign value.
fn vandal(url: String, command: &'static str, vandalized: Vandalized) -> Handler {
    Handler::new(move |delivery, _| {
        let main = format!("scrapest-webhook:{}", delivery.key());
        let client = redis::Client::open(&*url).unwrap();
        let is_victim = delivery.id() == Some("one");
        async move {
            if !is_victim {
                return 200;
            }
            let mut connection = client.get_connection().unwrap();
            let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
            let is_meant = |key: &String| (*key == main) == matches!(vandalized, Vandalized::Main);
            for key in keys.into_iter().filter(is_meant) {
                redis::cmd("DEL").arg(&key).exec(&mut connection).unwrap();
                redis::cmd(command).arg(&key).arg("foreign").exec(&mut connection).unwrap();
            }
            200
        }
    })
}

#[tokio::test]
async fn a_claim_that_finds_the_second_key_taken_releases_the_first() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    let handler = Handler::new(|_, before| async move { if before == 3 { 500 } else { 200 } });
    let server = receiver(RedisStore::new(&redis.url()).unwrap(), &handler).await;
    for _ in 0..3 {
        assert_eq!(server.send(&genuine().sign()).await.status, 200);
    }
    // The first attempt fails. Its id is then known with that attempt, and other bytes are new.
    assert_eq!(server.send(&genuine().with_delivery_id("one").sign()).await.status, 500);
    let refreshed = genuine().with_delivery_id("one").with_kind("user.updated").sign();
    assert_eq!(server.send(&refreshed).await.status, 200);
    assert_eq!(handler.deliveries().last().unwrap().attempt(), 2);
    let kept = records(&redis);
    let refreshed = genuine().with_delivery_id("one").with_kind("tweet.updated").sign();
    assert_eq!(server.send(&refreshed).await.status, 200, "a duplicate");
    assert_eq!((handler.runs(), records(&redis)), (5, kept));
}

#[tokio::test]
async fn in_a_cluster_each_key_is_claimed_on_its_own_node() {
    let Some(nodes) = topologies::cluster(FORGETFUL).await else { return };
    let handler = Handler::ok();
    let store = RedisStore::cluster([&*nodes[0].url()]).unwrap();
    let server = receiver(store, &handler).await;
    // So many deliveries that not all of them are on one node by chance.
    for _ in 0..20 {
        let request = genuine().sign();
        for _ in 0..2 {
            assert_eq!(server.send(&request).await.status, 200);
        }
    }
    assert_eq!(handler.runs(), 20);
    assert_eq!(nodes.iter().map(records).sum::<i64>(), 40);
}
