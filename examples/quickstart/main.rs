//! Starts a receiver on the loopback interface and sends it every kind of request that a webhook receiver must
//! handle, over real HTTP. Prints each request, its answers, and the number of runs; exits with 1 if a row is
//! not as promised.
//!
//! ```sh
//! cargo run --example quickstart            # axum
//! cargo run --example quickstart -- --actix # the same table from actix-web
//! ```

mod deliveries;
mod handler;
mod on_actix;
mod on_axum;
mod table;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use scrapest_webhook::testing::SignedRequest;

use crate::deliveries::Sender;
use crate::handler::Journal;

/// The secret of both webhooks. A real one comes from the environment:
/// `Secret::from_env("SCRAPEST_WEBHOOK_SECRET")`.
const SECRET: &str = "whsec_quickstart_0f4d1c7a9be2";

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let journal = Journal::default();
    let (framework, address) = match std::env::args().nth(1).as_deref() {
        None => ("axum", on_axum::start(SECRET, journal.clone()).await?),
        Some("--actix") => ("actix-web", on_actix::start(SECRET, journal.clone()).await?),
        Some(other) => {
            return Err(format!("unknown argument {other:?}, expected --actix or none").into());
        }
    };
    let [scrapest, scrapebadger] = [Sender::Scrapest.path(), Sender::ScrapeBadger.path()];
    println!("{framework} receives on http://{address}{scrapest} and {scrapebadger}\n");
    let client = Sending { client: Client::builder(TokioExecutor::new()).build_http(), address };
    let mut table = table::Table::begin();
    for case in deliveries::all(SECRET) {
        let before = journal.runs();
        let answers = case.send(&client).await?;
        table.row(&case, &answers, &journal.since(before));
    }
    Ok(table.end())
}

/// A sender that POSTs a request unchanged and returns the answer.
struct Sending {
    client: Client<HttpConnector, Body>,
    address: SocketAddr,
}

impl Sending {
    async fn post(
        &self,
        sender: Sender,
        request: SignedRequest,
    ) -> Result<(StatusCode, Bytes), Box<dyn Error>> {
        let uri = format!("http://{}{}", self.address, sender.path());
        let response = self.client.request(request.into_http(&uri)).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}
