//! A store's own thread, on which its batches run.
//!
//! A batch has many callers, so it must not depend on the runtime of one of them: a handler that blocks its thread
//! would stall them all, and a runtime that ends would lose their answers.

use std::future::Future;
use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread that starts with its first task, and ends when this is dropped.
#[derive(Debug)]
pub(crate) struct OwnThread {
    name: &'static str,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    runtime: Handle,
    _until_dropped: oneshot::Sender<()>,
}

impl OwnThread {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, running: Mutex::new(None) }
    }

    /// Runs a task on the thread.
    ///
    /// # Errors
    ///
    /// If the system cannot start a thread.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let running = match &mut *running {
            Some(running) => running,
            none => none.insert(self.start()?),
        };
        running.runtime.spawn(task);
        Ok(())
    }

    fn start(&self) -> io::Result<Running> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (until_dropped, dropped) = oneshot::channel();
        std::thread::Builder::new().name(self.name.to_owned()).spawn(move || {
            // The tasks run during this wait.
            _ = runtime.block_on(dropped);
        })?;
        Ok(Running { runtime: handle, _until_dropped: until_dropped })
    }
}
