use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Default)]
pub(crate) struct RunState {
    lease_lost: AtomicBool,
}

impl RunState {
    pub(crate) fn is_lease_lost(&self) -> bool {
        self.lease_lost.load(Ordering::Relaxed)
    }
}
