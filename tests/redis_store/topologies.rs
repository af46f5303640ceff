//! A primary that is found through sentinels, and a cluster.

use std::time::{Duration, Instant};

use scrapest_webhook::store::{Claim, DeliveryStore, Key, Owner, RedisStore, StoreError};
use support::claims::recovers;
use support::free_port;
use support::servers::redis::{DURABLE, FORGETFUL, RedisServer};
use tokio::time::sleep;

const LONG: Duration = Duration::from_secs(4_200);

/// Waits until a server's answer contains `part`.
pub async fn until(server: &RedisServer, command: &[&str], part: &str) {
    let began = Instant::now();
    while !format!("{:?}", server.ask(command)).contains(part) {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{command:?}: {:?}",
            server.ask(command)
        );
        sleep(Duration::from_millis(20)).await;
    }
}

async fn settle(store: &RedisStore, key: &Key) -> Result<(), StoreError> {
    let owner = Owner::random();
    if let Claim::Acquired { fence, .. } = store.claim(key, owner, LONG, LONG).await? {
        store.complete(key, owner, fence, LONG).await?;
    }
    Ok(())
}

/// Returns a server's position in the replication stream.
fn offset(server: &RedisServer) -> u64 {
    let info: String =
        redis::from_redis_value(server.ask(&["INFO", "replication"]).unwrap()).unwrap();
    let offset = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:")).unwrap();
    offset.trim().parse().unwrap()
}

#[tokio::test]
async fn the_new_primary_is_found_after_a_failover() {
    let Some(mut primary) = RedisServer::start(FORGETFUL) else { return };
    let of = primary.port.to_string();
    let replica = [FORGETFUL, &["--replicaof", "127.0.0.1", &of]].concat();
    let replica = RedisServer::start(&replica).unwrap();
    until(&primary, &["INFO", "replication"], "state=online").await;
    let mut sentinel = RedisServer::stopped(&["--sentinel"]).unwrap();
    let config = format!(
        "sentinel monitor mine 127.0.0.1 {of} 1\n\
         sentinel down-after-milliseconds mine 300\n\
         sentinel failover-timeout mine 3000\n"
    );
    std::fs::write(sentinel.directory.join("sentinel.conf"), config).unwrap();
    sentinel.run();
    until(&sentinel, &["SENTINEL", "REPLICAS", "mine"], &replica.port.to_string()).await;

    // A sentinel that is unreachable must not prevent the use of another one.
    let absent = format!("redis://127.0.0.1:{}", free_port());
    let store = RedisStore::sentinel([&*absent, &sentinel.url()], "mine").unwrap();
    let key = Key::from_bytes([7; 32]);
    settle(&store, &key).await.unwrap();
    // Writes that the replica does not have yet are lost with the primary. `WAIT` cannot tell, because it covers only
    // the writes of its own connection.
    let written = offset(&primary);
    while offset(&replica) < written {
        sleep(Duration::from_millis(10)).await;
    }

    primary.kill();
    let took_over = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mine"];
    until(&sentinel, &took_over, &replica.port.to_string()).await;
    until(&replica, &["ROLE"], "master").await;
    let began = Instant::now();
    let found = loop {
        match store.claim(&key, Owner::random(), LONG, LONG).await {
            Ok(found) => break found,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(60), "{error}"),
        }
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(found, Claim::Completed);
}

#[tokio::test]
async fn the_connection_to_a_demoted_primary_is_closed() {
    let Some(primary) = RedisServer::start(FORGETFUL) else { return };
    let store = RedisStore::new(&primary.url()).unwrap();
    store.ready().await.unwrap();
    // The id of the store's connection: the one that runs scripts.
    let connection = || {
        let clients: String =
            redis::from_redis_value(primary.ask(&["CLIENT", "LIST"]).unwrap()).unwrap();
        let store = clients.lines().find(|client| client.contains("cmd=eval")).unwrap();
        store.split(' ').next().unwrap().to_owned()
    };
    let before = connection();
    // While the record of the last probe exists, which is 1 ms, the next probe does not write.
    sleep(Duration::from_millis(5)).await;
    primary.ask(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]).unwrap();
    let error = store.ready().await.unwrap_err().to_string();
    assert!(error.to_lowercase().contains("read only"), "{error}");
    primary.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
    store.ready().await.unwrap();
    assert_ne!(
        connection(),
        before,
        "the address may now belong to another server, so the connection is closed"
    );
}

/// Two nodes with half of the slots each, and these arguments.
pub async fn cluster(arguments: &[&str]) -> Option<Vec<RedisServer>> {
    let slots = [["0", "8191"], ["8192", "16383"]];
    let mut nodes = Vec::new();
    let mut buses = Vec::new();
    for _ in slots {
        let bus = free_port().to_string();
        let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "3000"];
        let arguments = [arguments, &cluster, &["--cluster-port", &bus]].concat();
        nodes.push(RedisServer::start(&arguments)?);
        buses.push(bus);
    }
    for (node, [from, to]) in nodes.iter().zip(slots) {
        node.ask(&["CLUSTER", "ADDSLOTSRANGE", from, to]).unwrap();
    }
    let meet = ["CLUSTER", "MEET", "127.0.0.1", &nodes[1].port.to_string(), &buses[1]];
    nodes[0].ask(&meet).unwrap();
    for node in &nodes {
        until(node, &["CLUSTER", "INFO"], "cluster_state:ok").await;
    }
    Some(nodes)
}

#[tokio::test]
async fn a_cluster_stays_one_store_after_a_node_outage() {
    let Some(mut nodes) = cluster(DURABLE).await else { return };
    // The store finds the other nodes through one of them.
    let store = RedisStore::cluster([&*nodes[0].url()]).unwrap();
    let keys: Vec<_> = (0..50).map(|key| Key::from_bytes([key; 32])).collect();
    for key in &keys {
        // Connecting to a cluster on a busy machine may take longer than the store waits.
        recovers(|| settle(&store, key)).await;
    }
    for node in &nodes {
        let redis::Value::Int(records) = node.ask(&["DBSIZE"]).unwrap() else { panic!() };
        assert!(records > 5, "{records} of {} are on one node", keys.len());
    }
    nodes[1].kill();
    nodes[1].run();
    for node in &nodes {
        until(node, &["CLUSTER", "INFO"], "cluster_state:ok").await;
    }
    for key in &keys {
        recovers(|| settle(&store, key)).await;
        let claim = || store.claim(key, Owner::random(), LONG, LONG);
        assert_eq!(recovers(claim).await.0, Claim::Completed);
    }
}
