//! The serving examples as processes: graceful shutdown, readiness, and TLS.

#![cfg(unix)]
mod process;
mod prometheus;
mod serving;
mod tls;

use scrapest_webhook::testing::{self, WebhookRequest};

const SECRET: &str = "whsec_0123456789abcdef01234567";
const PATH: &str = "/webhooks/scrapest";

fn genuine() -> WebhookRequest {
    testing::scrapest(SECRET)
}
