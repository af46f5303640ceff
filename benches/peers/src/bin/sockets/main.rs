//! The CPU that servers take for a delivery over sockets, as the kernel accounts for it, not how many there were in a
//! second. Each delivery is new and signed beforehand, and each server is a process with one thread at work.
//!
//! ```sh
//! cd benches/peers
//! cargo run --release --bin sockets -- large
//! sockets/install && cargo run --release --bin sockets
//! ```
//!
//! The first measures large bodies, where the HMAC is nearly all there is, beside webhook-verify's layer. The second
//! measures the sample, beside others' servers with the sender's own SDK.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::{Router, routing::post};
use peers::{SECRET, server, webhook_verify};
use scrapest_webhook::{ScrapeBadgerWebhookLayer, scrapebadger};

mod large;
mod sdks;

fn main() {
    let arguments = Vec::from_iter(std::env::args().skip(1));
    match Vec::from_iter(arguments.iter().map(String::as_str)).as_slice() {
        [] => sdks::compare(),
        ["large"] => large::compare(),
        ["serve", what] => serve(what),
        other => panic!("unknown arguments: {other:?}"),
    }
}

/// One of the servers that are Rust.
fn serve(what: &str) {
    let layer = ScrapeBadgerWebhookLayer::new(SECRET);
    let bytes =
        async |body: Bytes| if body.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let event = async |event: scrapebadger::Event| match event.tweet() {
        Some(_) => StatusCode::OK,
        None => StatusCode::BAD_REQUEST,
    };
    server::serve(match what {
        "bare" => Router::new().route("/", post(bytes)),
        "ours" => Router::new().route("/", post(bytes).route_layer(layer)),
        "event" => Router::new().route("/", post(event).route_layer(layer)),
        "webhook-verify" => webhook_verify(post(bytes)),
        other => panic!("unknown server: {other}"),
    });
}
