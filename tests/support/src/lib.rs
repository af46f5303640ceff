//! Code that is shared by the tests and the benchmarks: servers, clients, handlers and stores.
//!
//! * Receivers under test: [`Framework`] on a socket; [`here`], [`InProcess`] and [`in_process`] without one;
//!   [`process`] as a separate process.
//! * Clients: [`client`] and [`connection`] write HTTP/1.1 by hand; [`Raw`] is a request of arbitrary bytes.
//! * Handlers: [`Handler`] takes the delivery, [`Plain`] only the body; [`workers`] runs many, some of which
//!   block.
//! * Stores: [`scripted`] fails on request, [`watched`] records its calls, [`claims`] has helpers.
//! * [`servers`]: Redis and PostgreSQL on free ports, which can be killed and frozen. [`Proxy`] disturbs
//!   connections.
//! * [`logged`]: the log lines of one test or of a process. [`effects`]: an independent count of effects.
//!   [`Folder`]: a temporary folder. [`SmallDisk`]: a disk that fills up.

pub mod claims;
pub mod client;
pub mod connection;
pub mod direct;
pub mod effects;
mod folder;
mod framework;
mod handler;
pub mod here;
pub mod in_process;
pub mod log;
pub mod logged;
pub mod plain;
mod ports;
pub mod process;
mod proxy;
pub mod raw;
pub mod scripted;
pub mod servers;
mod small_disk;
pub mod watched;
pub mod workers;

use std::time::{Duration, SystemTime};

use scrapest_webhook::testing::WebhookRequest;
use scrapest_webhook::{ScrapeBadgerWebhookLayer, ScrapestWebhookLayer, testing};

pub use self::client::Answer;
pub use self::direct::InProcess;
pub use self::folder::Folder;
pub use self::framework::{Actix, Axum, Framework, Server, Stop};
pub use self::handler::{Handler, Run};
pub use self::plain::Plain;
pub use self::ports::free_port;
pub use self::proxy::Proxy;
pub use self::raw::{Raw, nonce, signature};
pub use self::small_disk::SmallDisk;

/// The secret of every receiver. No log line and no answer may contain it.
pub const SECRET: &str = "whsec_canary_7b1d5f0c93aa4e21";

/// The path of every receiver.
pub const PATH: &str = "/webhooks/test";

/// The layer with which most tests start.
pub fn layer() -> ScrapestWebhookLayer {
    logged::trace_if_asked();
    ScrapestWebhookLayer::new(SECRET)
}

pub fn badger_layer() -> ScrapeBadgerWebhookLayer {
    logged::trace_if_asked();
    ScrapeBadgerWebhookLayer::new(SECRET)
}

/// A genuine request with a new id and a new body.
pub fn genuine() -> WebhookRequest {
    testing::scrapest(SECRET)
}

/// Waits until `condition` holds. Fails after 10 s, which is more than any test needs on any machine.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited 10 s in vain: {what}");
}

/// This many seconds before now, or after now if negative.
pub fn seconds_ago(seconds: i64) -> SystemTime {
    let now = SystemTime::now();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { now + distance } else { now - distance }
}
