//! The cost that no receiver can avoid.

use std::hint::black_box;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::cpu::thread_time;
use crate::{Contender, sample};

/// One HMAC-SHA256 with a key state that was computed in advance.
pub(super) fn hmac() -> Contender {
    let key = key();
    Contender::new("the HMAC alone", move |deliveries, bytes| {
        let bodies = Vec::from_iter((0..deliveries).map(|_| sample::body(bytes)));
        let key = key.clone();
        Box::new(move || {
            for body in bodies {
                sign(&key, &body);
            }
        })
    })
}

/// Returns the time of one HMAC. The same body is used over and over, so that it is in the cache like a body
/// that was just received.
pub fn hmac_in_cache(times: usize, bytes: usize) -> Duration {
    let (key, body) = (key(), sample::body(bytes));
    let began = thread_time();
    for _ in 0..times {
        sign(&key, black_box(&body));
    }
    (thread_time() - began) / u32::try_from(times).unwrap()
}

fn key() -> Hmac<Sha256> {
    Hmac::new_from_slice(sample::SECRET.as_bytes()).unwrap()
}

fn sign(key: &Hmac<Sha256>, body: &[u8]) {
    let mut mac = key.clone();
    mac.update(body);
    black_box(mac.finalize().into_bytes());
}
