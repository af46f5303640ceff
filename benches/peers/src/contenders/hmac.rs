//! What nobody can do without.

use std::hint::black_box;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{Contender, sample};

/// One HMAC-SHA256 with the key's state computed before.
pub(super) fn hmac() -> Contender {
    let key = Hmac::<Sha256>::new_from_slice(sample::SECRET.as_bytes()).unwrap();
    Contender::new("the HMAC alone", move |deliveries, bytes| {
        let bodies = Vec::from_iter((0..deliveries).map(|_| sample::body(bytes)));
        let key = key.clone();
        Box::new(move || {
            for body in bodies {
                let mut mac = key.clone();
                mac.update(&body);
                black_box(mac.finalize().into_bytes());
            }
        })
    })
}
