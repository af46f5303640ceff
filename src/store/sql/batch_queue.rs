//! Where questions wait while a statement is in flight, so that they go out together with the next.
//!
//! If no task leads, the first question spawns one. It answers what has been asked, then what has been asked
//! meanwhile, until nothing is left. So a single question waits for nobody, many at once share a statement,
//! and a caller that gives up cancels nothing half-way.

use std::error::Error;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::store::StoreError;

/// A question, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Asked<Q, A> {
    pub(crate) question: Q,
    answer: Option<Result<A, StoreError>>,
    to: oneshot::Sender<Result<A, StoreError>>,
}

impl<Q, A> Asked<Q, A> {
    pub(crate) fn new(question: Q) -> (Self, Answer<A>) {
        let (to, from) = oneshot::channel();
        (Self { question, answer: None, to }, Answer(from))
    }

    /// Whether nobody waits any more: then the question need not be put at all. Its caller asks again.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.to.is_closed()
    }

    /// Notes the answer, which counts once the batch is committed.
    pub(crate) fn note(&mut self, answer: Result<A, StoreError>) {
        self.answer = Some(answer);
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn is_answered(&self) -> bool {
        self.answer.is_some()
    }

    /// Tells the answer that was noted.
    pub(crate) fn tell(self) {
        if let Some(answer) = self.answer {
            // A caller that no longer waits asks again.
            let _ = self.to.send(answer);
        }
    }

    /// Tells an error, whatever was noted: the batch was not committed.
    pub(crate) fn fail<E: Error + Send + Sync + 'static>(self, error: &Arc<E>) {
        let _ = self.to.send(Err(StoreError::new(Arc::clone(error))));
    }
}

/// An answer that is to come.
#[derive(Debug)]
pub(crate) struct Answer<A>(oneshot::Receiver<Result<A, StoreError>>);

impl<A> Answer<A> {
    pub(crate) async fn wait(self) -> Result<A, StoreError> {
        self.0.await.unwrap_or_else(|_| Err(StoreError::new("the runtime that asked has ended")))
    }
}

/// A queue of jobs with one leader at a time.
#[derive(Debug)]
pub(crate) struct BatchQueue<J>(Mutex<Waiting<J>>);

#[derive(Debug)]
struct Waiting<J> {
    jobs: Vec<J>,
    led: bool,
}

impl<J: Send + 'static> BatchQueue<J> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Waiting { jobs: Vec::new(), led: false })))
    }

    /// Puts a job in the queue. If nobody leads, `lead` does, in a task.
    pub(crate) fn put<L>(self: &Arc<Self>, job: J, lead: impl FnOnce(Leader<J>) -> L)
    where
        L: Future<Output = ()> + Send + 'static,
    {
        let mut waiting = self.lock();
        waiting.jobs.push(job);
        if std::mem::replace(&mut waiting.led, true) {
            return;
        }
        drop(waiting);
        // Made before the task is, which a runtime that ends drops without ever polling it.
        let leader = Leader { queue: Arc::clone(self), leads: true };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(lead(leader));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<J>> {
        // Nothing under the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to answer what a queue's queue holds.
#[derive(Debug)]
pub(crate) struct Leader<J: Send + 'static> {
    queue: Arc<BatchQueue<J>>,
    leads: bool,
}

impl<J: Send + 'static> Leader<J> {
    /// The next jobs, in the order in which they came, at most so many. `None` ends the leadership.
    pub(crate) fn next(&mut self, most: usize) -> Option<Vec<J>> {
        let mut waiting = self.queue.lock();
        if waiting.jobs.is_empty() {
            // Under the lock: the next caller that puts a job in leads.
            (waiting.led, self.leads) = (false, false);
            return None;
        }
        let most = most.min(waiting.jobs.len());
        Some(waiting.jobs.drain(..most).collect())
    }

    /// Puts jobs back, ahead of what has come since.
    #[cfg(feature = "postgres")]
    pub(crate) fn put_back(&mut self, jobs: Vec<J>) {
        self.queue.lock().jobs.splice(..0, jobs);
    }
}

impl<J: Send + 'static> Drop for Leader<J> {
    /// A leader that ends in the middle leaves nobody waiting for ever.
    fn drop(&mut self) {
        if self.leads {
            let mut waiting = self.queue.lock();
            waiting.led = false;
            let orphans = std::mem::take(&mut waiting.jobs);
            drop(waiting);
            drop(orphans);
        }
    }
}
