//! Ports for the servers that tests start.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ephemeral ports of the system (Linux: 32768 to 60999, elsewhere from 49152). Any client could take
/// one of those while the server that needs it is still starting.
const FIRST: u16 = 10_000;
const NUMBER: u16 = 20_000;

/// Returns a port on which no process listens and which this process has not returned before.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Random per process, because several may run at once.
    static BEGIN: std::sync::LazyLock<u16> =
        std::sync::LazyLock::new(|| (RandomState::new().hash_one(0) % u64::from(NUMBER)) as u16);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) % NUMBER;
        let port = FIRST + (*BEGIN + next) % NUMBER;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
