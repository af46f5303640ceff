//! Collects questions while a statement is in flight, so that they share the next one.
//!
//! A single question does not wait. A caller that gives up does not cancel a statement half-way.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::{Answer, Failure, OwnThread, Question};
use crate::store::StoreError;

/// A question, and the way back to its caller.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) question: Question,
    answer: Option<Result<Answer, StoreError>>,
    /// `None` if no caller waits for the answer.
    caller: Option<oneshot::Sender<Result<Answer, StoreError>>>,
}

impl Asked {
    /// Notes the answer, which is sent once the batch is committed.
    pub(crate) fn note(&mut self, answer: Result<Answer, StoreError>) {
        self.answer = Some(answer);
    }

    /// Returns whether the caller has given up. The question is then dropped: its caller asks again.
    fn is_abandoned(&self) -> bool {
        self.caller.as_ref().is_some_and(oneshot::Sender::is_closed)
    }
}

/// The questions of one kind. One task answers them, a batch at a time.
#[derive(Debug, Default)]
pub(crate) struct BatchQueue(Mutex<Option<mpsc::UnboundedSender<Asked>>>);

impl BatchQueue {
    /// Asks a question and waits for the answer. Starts `work` on the thread if no task answers yet.
    pub(crate) async fn ask<W>(
        &self,
        question: Question,
        thread: &OwnThread,
        work: impl FnOnce(Batches) -> W,
    ) -> Result<Answer, StoreError>
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        self.put(Asked { question, answer: None, caller: Some(caller) }, thread, work)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::new("the task of the store has failed")))
    }

    /// Asks a question without waiting for the answer.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "SQLite deletes expired records with each claim")
    )]
    pub(crate) fn tell<W>(
        &self,
        question: Question,
        thread: &OwnThread,
        work: impl FnOnce(Batches) -> W,
    ) -> Result<(), StoreError>
    where
        W: Future<Output = ()> + Send + 'static,
    {
        self.put(Asked { question, answer: None, caller: None }, thread, work)
    }

    fn put<W>(
        &self,
        asked: Asked,
        thread: &OwnThread,
        work: impl FnOnce(Batches) -> W,
    ) -> Result<(), StoreError>
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = match &*queue {
            Some(sender) => match sender.send(asked) {
                Ok(()) => return Ok(()),
                // The task panicked.
                Err(mpsc::error::SendError(asked)) => asked,
            },
            None => asked,
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        // Cannot fail: the receiver exists.
        _ = sender.send(asked);
        thread.spawn(work(Batches { receiver, postponed: Vec::new() })).map_err(StoreError::new)?;
        *queue = Some(sender);
        Ok(())
    }
}

/// Sends the noted answers to their callers, or the failure if the batch was not committed.
pub(crate) fn tell_all(batch: Vec<Asked>, committed: Result<(), Failure>) {
    let failure = committed.map_err(Arc::new);
    for Asked { answer, caller, .. } in batch {
        let answer = match &failure {
            Ok(()) => answer,
            Err(failure) => Some(Err(StoreError::new(Arc::clone(failure)))),
        };
        // Sending fails if the caller has given up; it asks again.
        answer.zip(caller).map(|(answer, caller)| caller.send(answer));
    }
}

/// The receiving end of a queue.
#[derive(Debug)]
pub(crate) struct Batches {
    receiver: mpsc::UnboundedReceiver<Asked>,
    /// These come first in the next batch.
    postponed: Vec<Asked>,
}

impl Batches {
    /// Waits for questions and takes them. Returns `None` once the store is dropped.
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(dead_code, reason = "PostgreSQL waits for its turn between `wait` and `take`")
    )]
    pub(crate) async fn next(&mut self, most: usize) -> Option<Vec<Asked>> {
        while self.wait().await {
            let batch = self.take(most);
            if !batch.is_empty() {
                return Some(batch);
            }
        }
        None
    }

    /// Waits for a question. Returns `false` once the store is dropped.
    pub(crate) async fn wait(&mut self) -> bool {
        if self.postponed.is_empty() {
            self.postponed.extend(self.receiver.recv().await);
        }
        !self.postponed.is_empty()
    }

    /// Takes the waiting questions in their order, but at most `most` of them.
    pub(crate) fn take(&mut self, most: usize) -> Vec<Asked> {
        let mut batch = std::mem::take(&mut self.postponed);
        while let Ok(asked) = self.receiver.try_recv() {
            batch.push(asked);
        }
        batch.retain(|asked| !asked.is_abandoned());
        self.postponed = batch.split_off(most.min(batch.len()));
        batch
    }

    /// Leaves a question for the next batch.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "only PostgreSQL postpones"))]
    pub(crate) fn postpone(&mut self, asked: Asked) {
        self.postponed.push(asked);
    }
}
