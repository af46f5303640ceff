//! The Redis store against real servers that the tests start and kill.

mod access;
mod faults;
mod full;
mod log;
mod processes;
mod records;
mod round_trips;
mod topologies;

use scrapest_webhook::store::{AnyStore, RedisStore};
use support::servers::redis::{FORGETFUL, RedisServer};
use support::workers;

/// Runs the contract against one server for all clauses.
mod contract {
    use std::sync::OnceLock;

    use scrapest_webhook::store::RedisStore;

    use support::servers::redis::{FORGETFUL, RedisServer};

    fn store() -> Option<RedisStore> {
        static SERVER: OnceLock<Option<RedisServer>> = OnceLock::new();
        let server = SERVER.get_or_init(|| RedisServer::start(FORGETFUL)).as_ref()?;
        // Each clause has its own connection, because receivers on one store must act as one.
        Some(RedisStore::new(&server.url()).unwrap())
    }

    scrapest_webhook::store_contract_tests!(match store() {
        Some(store) => store,
        None => return,
    });
}

#[test]
fn a_blocked_worker_does_not_delay_others() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    let store = RedisStore::new(&redis.url()).unwrap();
    workers::a_blocked_worker_does_not_delay_others(AnyStore::new(store));
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_that_run_longer_than_a_lease_keep_it() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    let store = || AnyStore::new(RedisStore::new(&redis.url()).unwrap());
    let runs = std::env::var("RUNS").map_or(200, |runs| runs.parse().unwrap());
    workers::long_runs_keep_their_leases([store(), store()], runs).await;
}
