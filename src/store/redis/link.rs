//! The connection that all operations share. It is replaced when it breaks.
//!
//! The driver's own manager is not enough: it does not support Sentinel, it does not try again after a server refused
//! the handshake (because of too many clients, for example), and it keeps a connection that no longer answers.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::redis::{Cmd, ServerErrorKind, Value};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::{Duration, Instant, timeout_at};

use super::failure::Failure;
use super::info;
use super::server::{Handle, Server};

/// The time between two attempts to connect, however many callers wait.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);

pub(super) struct Link {
    server: Arc<Server>,
    state: Mutex<State>,
    /// Whether the server was ever asked for its `INFO`.
    known: AtomicBool,
}

#[derive(Default)]
struct State {
    connection: Option<Attempt>,
    /// The number of the next attempt.
    next: u64,
}

/// An attempt to connect, or the resulting connection.
#[derive(Clone)]
struct Attempt {
    number: u64,
    begun: Instant,
    /// A task drives it, even if all callers give up.
    outcome: Shared<BoxFuture<'static, Result<Handle, Failure>>>,
    /// Whether the server was asked for its `INFO` over this connection, which happens once.
    looked: Arc<AtomicBool>,
    /// Whether it answered that it is standalone.
    alone: Arc<AtomicBool>,
}

impl Link {
    pub(super) fn new(server: Server) -> Self {
        Self { server: Arc::new(server), state: Mutex::default(), known: AtomicBool::new(false) }
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Returns whether a script over the current connection may use several keys.
    pub(super) fn stands_alone(&self) -> bool {
        let state = self.lock();
        state.connection.as_ref().is_some_and(|attempt| attempt.alone.load(Ordering::Relaxed))
    }

    /// Sends a command and returns its answer. Connects first if necessary, and fails at the deadline.
    pub(super) async fn call(&self, command: &Cmd, deadline: Instant) -> Result<Value, Failure> {
        let attempt = self.attempt();
        let connected = timeout_at(deadline, attempt.outcome.clone()).await;
        let handle = connected.map_err(|_| Failure::Connecting)??;
        let mut connection = handle();
        let answer = timeout_at(deadline, connection.req_packed_command(command)).await;
        // The driver returns an error of the server as a value.
        let failure = match answer.map(|answer| answer.and_then(Value::extract_error)) {
            Ok(Ok(value)) => {
                self.look_once(&attempt, &handle);
                return Ok(value);
            }
            Ok(Err(error)) => Failure::Driver(error),
            Err(_) => Failure::Silent,
        };
        if failure.is_cross_slot() {
            // It is not standalone, even if its `INFO` said so.
            attempt.alone.store(false, Ordering::Relaxed);
        }
        if self.is_broken_by(&failure) {
            self.discard(attempt.number);
        }
        Err(failure)
    }

    fn attempt(&self) -> Attempt {
        let mut state = self.lock();
        if let Some(attempt) = &state.connection {
            let failed = matches!(attempt.outcome.peek(), Some(Err(_)));
            if !failed || attempt.begun.elapsed() < BETWEEN_ATTEMPTS {
                return attempt.clone();
            }
        }
        let server = Arc::clone(&self.server);
        let outcome = async move { server.connect().await }.boxed().shared();
        tokio::spawn(outcome.clone());
        let (number, begun) = (state.next, Instant::now());
        let attempt =
            Attempt { number, begun, outcome, looked: Arc::default(), alone: Arc::default() };
        state.next += 1;
        state.connection = Some(attempt.clone());
        attempt
    }

    /// Returns whether the next command needs another connection after this failure.
    fn is_broken_by(&self, failure: &Failure) -> bool {
        match failure {
            // A cluster's connection consists of many, and the driver replaces each of them by itself.
            Failure::Silent => !self.server.is_cluster(),
            Failure::Driver(error) => {
                error.is_unrecoverable_error()
                    || error.is_io_error()
                    // The primary was demoted. The sentinel or the DNS that named it knows its successor.
                    || error.kind() == ServerErrorKind::ReadOnly.into()
                    || error.detail().is_some_and(|detail| detail.contains("READONLY"))
            }
            Failure::Connecting => false,
        }
    }

    fn discard(&self, number: u64) {
        let mut state = self.lock();
        if state.connection.as_ref().is_some_and(|attempt| attempt.number == number) {
            state.connection = None;
        }
    }

    /// Asks the server for its `INFO`, in a task, so that no caller waits for it.
    fn look_once(&self, attempt: &Attempt, handle: &Handle) {
        if !attempt.looked.swap(true, Ordering::Relaxed) {
            let is_new = !self.known.swap(true, Ordering::Relaxed);
            let (looking, alone) = (info::look(handle(), is_new), Arc::clone(&attempt.alone));
            tokio::spawn(async move { alone.store(looking.await, Ordering::Relaxed) });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No operation under the lock can panic and leave a partial change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)
    }
}
