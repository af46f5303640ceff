//! A receiver on a real socket, a handler that does as it is told, and a client that can misbehave.
//!
//! Tests are written once against [`Framework`] and run for each by [`for_each_framework!`].

pub mod client;
pub mod connection;
pub mod direct;
pub mod in_process;
pub mod logged;
mod on_actix;
mod on_axum;
pub mod plain;
pub mod raw;
pub mod scripted;
pub mod watched;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use scrapest_webhook::testing::{SignedRequest, WebhookRequest};
use scrapest_webhook::{
    Delivery, Provider, ScrapeBadgerWebhookLayer, ScrapestWebhookLayer, WebhookLayer, testing,
};

pub use self::client::Answer;
pub use self::direct::InProcess;
pub use self::on_actix::Actix;
pub use self::on_axum::Axum;
pub use self::plain::Plain;
pub use self::raw::{Raw, nonce, signature};

pub const SECRET: &str = "whsec_canary_7b1d5f0c93aa4e21";

/// The layer that most tests begin with.
pub fn layer() -> ScrapestWebhookLayer {
    logged::trace_if_asked();
    ScrapestWebhookLayer::new(SECRET)
}

pub fn badger_layer() -> ScrapeBadgerWebhookLayer {
    logged::trace_if_asked();
    ScrapeBadgerWebhookLayer::new(SECRET)
}

/// A genuine request, under a new id and with bytes of its own.
pub fn genuine() -> WebhookRequest {
    testing::scrapest(SECRET)
}

pub type Run = Pin<Box<dyn Future<Output = u16> + Send>>;

/// What stands behind the layer: counts its runs and answers with a status.
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
    /// Answers 200 always.
    pub fn ok() -> Self {
        Self::new(|_, _| async { 200 })
    }

    /// `act` gets the delivery, and how many runs there were before.
    pub fn new<F>(act: impl Fn(Delivery, usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = u16> + Send + 'static,
    {
        let act = move |delivery, before| Box::pin(act(delivery, before)) as Run;
        Self { act: Arc::new(act), log: Arc::default() }
    }

    /// Called by the framework's glue.
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

    /// How many runs were begun.
    pub fn runs(&self) -> usize {
        self.log.begun.load(Ordering::SeqCst)
    }

    /// How many reached their end by themselves.
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

/// A web framework that can serve a handler behind a layer, on a free port of the loopback interface.
pub trait Framework {
    /// Whether it answers `Expect: 100-continue` by itself, before any middleware sees the request.
    const CONTINUES_BY_ITSELF: bool;

    fn serve<P: Provider>(
        layer: WebhookLayer<P>,
        handler: Handler,
    ) -> impl Future<Output = Server> + Send {
        Self::serve_on(PATH, layer, handler)
    }

    /// On a path of one's own, which may have parameters, like `/{id}`.
    fn serve_on<P: Provider>(
        path: &'static str,
        layer: WebhookLayer<P>,
        handler: Handler,
    ) -> impl Future<Output = Server> + Send;

    /// The same for a handler that takes the body for itself, as before there was a layer.
    fn serve_plain<P: Provider>(
        layer: WebhookLayer<P>,
        handler: Plain,
    ) -> impl Future<Output = Server> + Send;
}

/// A running server. It stops at once when this is dropped.
pub struct Server {
    pub address: SocketAddr,
    pub stop: Box<dyn Stop>,
}

/// How a framework is told to stop accepting and to finish what has begun. Dropped: to end at once.
pub trait Stop: Send + Sync {
    fn gracefully(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

pub const PATH: &str = "/webhooks/test";

impl Server {
    /// Sends the request on a connection of its own and gives the whole answer.
    pub async fn send(&self, request: &SignedRequest) -> Answer {
        client::send(self.address, &client::text(request)).await
    }

    /// Stops accepting, and waits until every connection is over.
    pub async fn shut_down(&self) {
        self.stop.gracefully().await;
    }

    /// Sends these bytes on a connection of their own, and reads until the server closes it.
    pub async fn send_raw(&self, bytes: &[u8]) -> Answer {
        client::send(self.address, bytes).await
    }

    /// The same for a request that was written by hand.
    pub async fn raw(&self, request: &Raw) -> Answer {
        self.send_raw(&request.text()).await
    }
}

/// Waits until `condition` holds; fails after 10 s, which no test needs on any machine.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited 10 s in vain: {what}");
}

/// This many seconds before now, or after it if negative.
pub fn seconds_ago(seconds: i64) -> SystemTime {
    let now = SystemTime::now();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { now + distance } else { now - distance }
}

/// One test of each name for each framework.
#[macro_export]
macro_rules! for_each_framework {
    ($($(#[$attribute:meta])* $test:ident,)*) => {
        mod on_axum {
            $(
                $(#[$attribute])*
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test::<$crate::common::Axum>().await;
                }
            )*
        }

        mod on_actix {
            $(
                $(#[$attribute])*
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test::<$crate::common::Actix>().await;
                }
            )*
        }
    };
}
