//! The libraries that are compared, and how to run each of them.

pub mod client;
mod contenders;
pub mod cpu;
pub mod floor;
mod sample;
pub mod server;

pub use self::contenders::{FEW, all, hmac_in_cache, refused, router};
pub use self::sample::{SECRET, SHORTEST, key_of_one_webhook, request, signed};

/// A receiver of webhooks.
pub struct Contender {
    pub name: &'static str,
    /// The contender with the same handler and nothing in front of it; costs are relative to it.
    pub floor: Option<&'static str>,
    prepare: Box<dyn Fn(usize, usize) -> Batch>,
}

/// Signed deliveries. Calling the batch receives all of them, one after the other.
pub type Batch = Box<dyn FnOnce()>;

impl Contender {
    pub fn new(name: &'static str, prepare: impl Fn(usize, usize) -> Batch + 'static) -> Self {
        Self { name, floor: None, prepare: Box::new(prepare) }
    }

    fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    fn over(self, floor: &'static str) -> Self {
        Self { floor: Some(floor), ..self }
    }

    /// Prepares `deliveries` new deliveries with bodies of `bytes` bytes.
    pub fn prepare(&self, deliveries: usize, bytes: usize) -> Batch {
        (self.prepare)(deliveries, bytes)
    }
}

/// Runs the batch under a name that a profiler finds.
#[inline(never)]
pub fn measured(batch: Batch) {
    batch();
}
