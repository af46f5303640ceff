//! The libraries that are compared, and how one of them is made to work.

pub mod client;
mod contenders;
pub mod cpu;
pub mod floor;
mod sample;
pub mod server;

pub use self::contenders::{FEW, all, hmac_in_cache, refused, router};
pub use self::sample::{SECRET, SHORTEST, key_of_one_webhook, request, signed};

/// Somebody who receives a webhook.
pub struct Contender {
    pub name: &'static str,
    /// What its cost is added to: the same handler with nothing before it.
    pub floor: Option<&'static str>,
    prepare: Box<dyn Fn(usize, usize) -> Batch>,
}

/// Deliveries that are signed and waiting; to call it is to receive them all, one after the other.
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

    /// So many deliveries, each new, with bodies of so many bytes.
    pub fn prepare(&self, deliveries: usize, bytes: usize) -> Batch {
        (self.prepare)(deliveries, bytes)
    }
}

/// What is measured, under a name that a profiler finds.
#[inline(never)]
pub fn measured(batch: Batch) {
    batch();
}
