//! A handler that is scripted by a test and counts its runs.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use scrapest_webhook::Delivery;

pub type Run = Pin<Box<dyn Future<Output = u16> + Send>>;

/// The handler behind the layer. It counts its runs and answers with a status.
#[derive(Clone)]
pub struct Handler {
    act: Arc<dyn Fn(Delivery, usize) -> Run + Send + Sync>,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    begun: AtomicUsize,
    ended: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    deliveries: Mutex<Vec<Delivery>>,
}

impl Handler {
    /// Always answers 200.
    pub fn ok() -> Self {
        Self::new(|_, _| async { 200 })
    }

    /// `act` receives the delivery and the number of earlier runs.
    pub fn new<F>(act: impl Fn(Delivery, usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = u16> + Send + 'static,
    {
        let act = move |delivery, before| Box::pin(act(delivery, before)) as Run;
        Self { act: Arc::new(act), log: Arc::default() }
    }

    /// Called by the framework adapters.
    pub async fn run(self, delivery: Delivery) -> u16 {
        struct Running(Arc<Log>);
        impl Drop for Running {
            fn drop(&mut self) {
                self.0.at_once.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let before = self.log.begun.fetch_add(1, Ordering::SeqCst);
        let at_once = self.log.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.log.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        let running = Running(Arc::clone(&self.log));
        self.log.deliveries.lock().unwrap().push(delivery.clone());
        let status = (self.act)(delivery, before).await;
        self.log.ended.fetch_add(1, Ordering::SeqCst);
        drop(running);
        status
    }

    /// The number of runs that have started.
    pub fn runs(&self) -> usize {
        self.log.begun.load(Ordering::SeqCst)
    }

    /// The number of runs that have ended by themselves.
    pub fn ended(&self) -> usize {
        self.log.ended.load(Ordering::SeqCst)
    }

    pub fn most_at_once(&self) -> usize {
        self.log.most_at_once.load(Ordering::SeqCst)
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.log.deliveries.lock().unwrap().clone()
    }
}
