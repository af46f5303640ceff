//! The examples that serve, as processes: how they end, whether they say that they are ready, and TLS.

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
