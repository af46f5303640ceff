//! Ports for the servers that tests start.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below those that the system gives to connections (Linux: 32768 to 60999, and 49152 and up elsewhere):
/// one of them can be taken by any client while the server that shall have it is still starting.
const FIRST: u16 = 10_000;
const NUMBER: u16 = 20_000;

/// A port that nobody listens on, and that this process has not given to another.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Where to begin differs from process to process, because several may run.
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
