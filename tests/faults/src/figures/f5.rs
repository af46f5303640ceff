//! F5: the latency that the layer adds at 1,000 events of 2 kB per second, in an open loop: each event has a
//! fixed due time, however long earlier events take.

use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep_until};

use super::{Options, Violations};
use crate::receiver::Framework;
use crate::sender::SCRAPEST;
use crate::servers::Store;
use crate::site::Site;

const RATE: u32 = 1_000;
const BODY: usize = 2_048;

pub async fn run(options: &Options) -> Result<Violations> {
    for &store in &options.stores {
        for &framework in &options.frameworks {
            one(options, store, framework).await?;
        }
    }
    Ok(Violations::new())
}

async fn one(options: &Options, store: Store, framework: Framework) -> Result<()> {
    let (rounds, seconds) = if options.full { (7, 5) } else { (3, 2) };
    let mut site = tokio::task::block_in_place(|| Site::new(store, framework, 1, 0))?;
    site.setup.journal = None;
    tokio::task::block_in_place(|| site.start(0, None))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut rng = StdRng::seed_from_u64(options.seed);
    let (mut added, mut bare, mut with) = ([const { Vec::new() }; 2], Vec::new(), Vec::new());
    for round in 0..=rounds {
        // Interleaved, so that other load on the machine affects both.
        let without = load(&site, &client, &mut rng, seconds, false).await?;
        let layered = load(&site, &client, &mut rng, seconds, true).await?;
        // The first round warms up.
        if round > 0 {
            for (added, quantile) in added.iter_mut().zip([0.5, 0.99]) {
                let (with, without) =
                    (layered.value_at_quantile(quantile), without.value_at_quantile(quantile));
                added.push(with as i64 - without as i64);
            }
            bare.push(without.value_at_quantile(0.99));
            with.push(layered.value_at_quantile(0.99));
        }
    }
    let [p50, p99] = added.map(|mut added| {
        added.sort_unstable();
        (added[0], added[added.len() / 2], added[added.len() - 1])
    });
    bare.sort_unstable();
    with.sort_unstable();
    let (bare, with) = (bare[bare.len() / 2], with[with.len() / 2]);
    println!(
        "f5 {store:?}/{framework:?}: added p50 {} µs ({}–{}), added p99 {} µs ({}–{}), medians of {rounds} \
         rounds; p99 {with} µs with, {bare} µs without: {:.2} ×; goal for p99: {}",
        p50.1,
        p50.0,
        p50.2,
        p99.1,
        p99.0,
        p99.2,
        with as f64 / bare as f64,
        goal(store, p99.1)
    );
    Ok(())
}

/// Printed, but not judged: on a shared machine a tail is not caused by the crate alone.
fn goal(store: Store, added: i64) -> String {
    let goal = match store {
        Store::Memory => 1_000,
        Store::Redis => 3_000,
        Store::Postgres => 15_000,
        Store::Sqlite => return "none".to_owned(),
    };
    format!("{goal} µs, {}", if added <= goal { "met" } else { "missed" })
}

async fn load(
    site: &Site,
    client: &Client<HttpConnector, Full<Bytes>>,
    rng: &mut StdRng,
    seconds: u32,
    layered: bool,
) -> Result<Histogram<u64>> {
    let address = site.receivers[0].address;
    // Signed in advance, so that signing is not measured.
    let requests: Vec<_> = (0..RATE * seconds)
        .map(|_| {
            let id = format!("{:032x}", rng.random::<u128>());
            let mut request = SCRAPEST.request(address, &id, Some(body(&id)));
            if !layered {
                *request.uri_mut() = format!("http://{address}/bare").parse()?;
            }
            anyhow::Ok(request)
        })
        .collect::<Result<_>>()?;
    let began = Instant::now() + Duration::from_millis(50);
    let mut running = Vec::new();
    for (number, request) in requests.into_iter().enumerate() {
        let due = began + Duration::from_secs(1) / RATE * u32::try_from(number)?;
        sleep_until(due).await;
        running.push(tokio::spawn(send(client.clone(), request, due)));
    }
    let mut histogram = Histogram::new(3)?;
    for answer in running {
        histogram.record(answer.await??)?;
    }
    Ok(histogram)
}

/// Returns microseconds since the due time.
async fn send(
    client: Client<HttpConnector, Full<Bytes>>,
    request: Request<Full<Bytes>>,
    due: Instant,
) -> Result<u64> {
    let answer = client.request(request).await?;
    let status = answer.status();
    answer.into_body().collect().await?;
    if status != 200 {
        bail!("answered {status}");
    }
    Ok(u64::try_from(due.elapsed().as_micros())?)
}

fn body(id: &str) -> Bytes {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    let mut body = format!(
        r#"{{"id":"evt_{id}","event":"tweet.created","timestamp":{now},"data":{{"id":"1","text":""#
    );
    let end = r#""}}"#;
    body.extend(std::iter::repeat_n('x', BODY - body.len() - end.len()));
    body.push_str(end);
    body.into()
}
