//! The Redis store against real servers that the tests start and kill.

mod access;
mod faults;
mod full;
mod log;
mod processes;
mod records;
mod round_trips;
mod topologies;

/// The contract, against one server for all of its clauses.
mod contract {
    use std::sync::OnceLock;

    use scrapest_webhook::store::RedisStore;

    use support::servers::redis::{FORGETFUL, RedisServer};

    fn store() -> Option<RedisStore> {
        static SERVER: OnceLock<Option<RedisServer>> = OnceLock::new();
        let server = SERVER.get_or_init(|| RedisServer::start(FORGETFUL)).as_ref()?;
        // A connection for each clause: two receivers on one store are one receiver.
        Some(RedisStore::new(&server.url()).unwrap())
    }

    scrapest_webhook::store_contract_tests!(match store() {
        Some(store) => store,
        None => return,
    });
}
