//! A handler that knows nothing of this crate, as there was one before the layer.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::Run;

/// Remembers what it was given, and answers with a status.
#[derive(Clone)]
pub struct Plain {
    act: Arc<dyn Fn(usize) -> Run + Send + Sync>,
    given: Arc<Mutex<Vec<Given>>>,
}

/// A request as it arrived behind the layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    pub method: String,
    /// `None` if it could not be read.
    pub body: Option<Bytes>,
    pub has_delivery: bool,
}

impl Plain {
    /// `act` gets how many came before.
    pub fn new<F>(act: impl Fn(usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = u16> + Send + 'static,
    {
        Self { act: Arc::new(move |before| Box::pin(act(before))), given: Arc::default() }
    }

    /// Called by the framework's glue.
    pub async fn run(self, given: Given) -> u16 {
        let before = {
            let mut all = self.given.lock().unwrap();
            all.push(given);
            all.len() - 1
        };
        (self.act)(before).await
    }

    pub fn given(&self) -> Vec<Given> {
        self.given.lock().unwrap().clone()
    }
}
