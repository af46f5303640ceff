//! A handler that does not know this crate, like one from before the layer was added.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::Run;

/// Records its requests, and answers with a status.
#[derive(Clone)]
pub struct Plain {
    act: Arc<dyn Fn(usize) -> Run + Send + Sync>,
    given: Arc<Mutex<Vec<Given>>>,
}

/// A request as it arrived behind the layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    pub method: String,
    /// `None` if the body could not be read.
    pub body: Option<Bytes>,
    pub has_delivery: bool,
}

impl Plain {
    /// `act` receives the number of earlier requests.
    pub fn new<F>(act: impl Fn(usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = u16> + Send + 'static,
    {
        Self { act: Arc::new(move |before| Box::pin(act(before))), given: Arc::default() }
    }

    /// Called by the framework adapters.
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
