//! F1: many simultaneous duplicates of each delivery, at every receiver of a store. Each delivery runs once.

use std::sync::Arc;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::sync::Barrier;

use super::{Options, Violations, report};
use crate::judge::judge;
use crate::receiver::{Defect, Framework};
use crate::sender::SCRAPEST;
use crate::servers::Store;
use crate::site::Site;

pub async fn run(options: &Options) -> Result<Violations> {
    let (ids, duplicates) = if options.full { (200, 1_000) } else { (20, 200) };
    let mut violations = Vec::new();
    for (place, &store) in options.stores.iter().enumerate() {
        let framework = options.frameworks[place % options.frameworks.len()];
        violations.extend(one(options, store, framework, ids, duplicates, None).await?);
    }
    Ok(violations)
}

pub async fn with_defect(options: &Options, defect: Defect) -> Result<Violations> {
    one(options, Store::Sqlite, Framework::Axum, 3, 50, Some(defect)).await
}

async fn one(
    options: &Options,
    store: Store,
    framework: Framework,
    ids: usize,
    duplicates: usize,
    defect: Option<Defect>,
) -> Result<Violations> {
    // Always at full scale: this figure measures concurrency, not time.
    let mut site = tokio::task::block_in_place(|| Site::new(store, framework, 1, 20))?;
    site.setup.defect = defect;
    tokio::task::block_in_place(|| site.start_all())?;
    let client = Client::builder(TokioExecutor::new())
        .retry_canceled_requests(false)
        .build_http::<Full<Bytes>>();
    let addresses: Vec<_> = site.receivers.iter().map(|receiver| receiver.address).collect();
    let began = std::time::Instant::now();
    let (mut answered, mut put_off, mut others) = (0, 0, Vec::new());
    for number in 0..ids {
        let id = format!("f1-{number}");
        let request = SCRAPEST.request(addresses[0], &id, None);
        let requests = addresses.iter().map(|address| {
            let mut request = request.clone();
            *request.uri_mut() = format!("http://{address}{}", SCRAPEST.path).parse()?;
            anyhow::Ok(request)
        });
        let requests = requests.collect::<Result<Vec<_>>>()?;
        let crowd = Arc::new(Barrier::new(duplicates));
        let crowd: Vec<_> = (0..duplicates)
            .map(|place| {
                let (client, crowd) = (client.clone(), Arc::clone(&crowd));
                let request = requests[place % requests.len()].clone();
                tokio::spawn(async move {
                    crowd.wait().await;
                    let answer = client.request(request).await?;
                    let status = answer.status().as_u16();
                    // Read to the end, so that the connection can be reused.
                    answer.into_body().collect().await?;
                    anyhow::Ok(status)
                })
            })
            .collect();
        for answer in crowd {
            match answer.await? {
                Ok(200) => answered += 1,
                Ok(503) => put_off += 1,
                other => others.push(format!("{other:?}")),
            }
        }
    }
    let took = began.elapsed().as_secs_f64();
    let history = site.history()?;
    let mut verdict = judge(&history, site.terms());
    // The journal has no attempts of these deliveries, so none counts as acknowledged.
    verdict.unreachable.clear();
    println!(
        "f1: {ids} ids × {duplicates} at {} receiver(s) in {took:.1} s: {} runs, {answered} × 200, \
         {put_off} × 503, {} others",
        addresses.len(),
        verdict.runs,
        others.len()
    );
    let mut violations = report("f1", &site, options, &verdict)?;
    if verdict.runs != ids || history.deliveries.len() != ids {
        violations.push(format!("f1 {store:?}: {} runs of {ids} deliveries", verdict.runs));
    }
    if let Some(other) = others.first() {
        violations
            .push(format!("f1 {store:?}: {} answers beside 200 and 503: {other}", others.len()));
    }
    ensure!(answered + put_off + others.len() == ids * duplicates, "answers are missing");
    Ok(violations)
}
