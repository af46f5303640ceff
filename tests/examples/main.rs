//! The examples that serve, as processes: how they end, whether they say that they are ready, and TLS.

#![cfg(unix)]
#![allow(unreachable_pub, dead_code, missing_docs, reason = "a test binary is nobody's library")]

mod process;
mod serving;
mod tls;

#[path = "../receiver/common/client.rs"]
mod client;
#[path = "../ports/mod.rs"]
mod ports;
#[path = "../redis_store/server.rs"]
mod server;

use scrapest_webhook::testing::{self, WebhookRequest};

const SECRET: &str = "whsec_0123456789abcdef01234567";
const PATH: &str = "/webhooks/scrapest";

fn genuine() -> WebhookRequest {
    testing::scrapest(SECRET)
}
