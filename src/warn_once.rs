//! What is said once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is said once, and not for every request. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct WarnOnce(Arc<AtomicBool>);

impl WarnOnce {
    pub(crate) fn then(&self, say: impl FnOnce()) {
        // Read first: a flood must not fight for the line.
        if !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Relaxed) {
            say();
        }
    }
}
